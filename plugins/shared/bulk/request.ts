/** What every bulk request of an output has in common: path, query, headers. */
import { authorization } from '../http-headers.ts';
import type { BulkOptionValues } from './options.ts';

/** `/_bulk` below the configured path. */
export function bulkPath({ path = '' }: Pick<BulkOptionValues, 'path'>): string {
  const prefix = path.replace(/^\/*/, '/').replace(/\/*$/, '');
  return `${prefix}/_bulk`;
}

export function bulkQuery({ pipeline }: Pick<BulkOptionValues, 'pipeline'>): Record<string, string> {
  return pipeline === undefined ? {} : { pipeline };
}

/** Headers of the connections: who we are, and user and password. */
export function bulkHeaders(
  options: Pick<BulkOptionValues, 'http_user' | 'http_passwd'>,
  agentVersion: string,
): Record<string, string> {
  const headers = authorization(options.http_user, options.http_passwd, undefined);
  return {
    'user-agent': `Tailrace/${agentVersion}`,
    // No compressed answers: what comes unasked for must not be unpacked without a bound.
    accept: 'application/json',
    ...(typeof headers['authorization'] === 'string' ? { authorization: headers['authorization'] } : {}),
  };
}

/** Media type of the bodies: what all versions of both stores, and what is like them, take. */
export const NDJSON = 'application/x-ndjson';
