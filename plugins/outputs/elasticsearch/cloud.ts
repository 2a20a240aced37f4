/**
 * Cloud ids: `NAME:` and, in base64, `HOST[:PORT]$ELASTICSEARCH[$KIBANA]`; the deployment is at `ELASTICSEARCH.HOST`.
 *
 * Source: https://www.elastic.co/docs/deploy-manage/deploy/elastic-cloud/find-cloud-id
 */
import type { HostPort } from '../../shared/bulk/nodes.ts';

const HTTPS_PORT = 443;

/** Where the deployment is; undefined when the id is none. */
export function cloudHost(id: string): HostPort | undefined {
  const encoded = /^[^:]*:([A-Za-z0-9+/]+={0,2})$/.exec(id)?.[1];
  if (encoded === undefined) return undefined;
  const [domain = '', name = ''] = Buffer.from(encoded, 'base64').toString('utf8').split('$');
  const [, host, port] = /^([\w.-]+)(?::(\d{1,5}))?$/.exec(domain) ?? [];
  if (host === undefined || !/^[\w-]+$/.test(name)) return undefined;
  return { host: `${name}.${host}`, port: port === undefined ? HTTPS_PORT : Number(port) };
}
