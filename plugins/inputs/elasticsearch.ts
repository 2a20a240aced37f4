/**
 * elasticsearch: takes documents by Elasticsearch's bulk API, so that what ships to Elasticsearch or OpenSearch can ship here.
 *
 * As the http input it answers when the records are safe, and refuses what it has no room for with 429.
 */
import { compileAccessor, defineInput, secret, size, string } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import {
  checkReceiver,
  http2Option,
  receiverOptions,
  receiverSettings,
} from '../shared/http-receiver/options.ts';
import { HttpReceiver } from '../shared/http-receiver/receiver.ts';
import { openListenerTls } from '../shared/listener.ts';
import { Probes } from './elasticsearch/probes.ts';
import { SearchProtocol } from './elasticsearch/protocol.ts';

export default defineInput({
  name: 'elasticsearch',
  summary: "Takes documents by Elasticsearch's bulk API",
  options: {
    ...receiverOptions(9200),
    tag: string().optional().describe('Tag of the records. Default: `elasticsearch.<n>`.'),
    tag_key: string()
      .optional()
      .describe(
        "Key, or record accessor, whose text is the tag of its record; wins over tag. `$@meta['create']['_index']` is the index of what is sent by create.",
      ),
    meta_key: string()
      .default('@meta')
      .describe(
        'Key of the action in the record: `{"create":{"_index":…}}`. A document that has that key keeps its own.',
      ),
    time_key: string()
      .default('@timestamp')
      .describe(
        "Key of the document's time, ISO 8601 or milliseconds, which is the record's time; it stays in the record. Without it in the document, or empty here (as in Fluent Bit), the time of arrival counts.",
      ),
    api_key: secret()
      .optional()
      .describe(
        'Requests need the header `Authorization: ApiKey <key>`: written as `ID:KEY`, or in Base64 as clients send it. With token or http_user either will do.',
      ),
    buffer_max_size: size()
      .default('10M')
      .alias('http_server.buffer_max_size')
      .describe(
        "Largest body, before and after decompression; a larger one is answered with 413. Fluent Bit's default, 4M, is less than what some clients send.",
      ),
    hostname: string()
      .default('localhost')
      .describe('Name that clients are told which look for the nodes of the cluster (sniffing).'),
    version: string().default('8.0.0').describe('Version of Elasticsearch that clients are told.'),
    http2: http2Option(),
  },
  tags: ({ tag_key: tagKey }, configured) => (tagKey === undefined ? [configured] : 'any'),
  example: `pipeline:
  inputs:
    - name: elasticsearch
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      http_user: shipper
      http_passwd: \${INGEST_PASSWORD}
      tag: beats
`,
  check(options) {
    const problems: OptionProblem[] = [
      ...checkReceiver(options, options.api_key !== undefined),
      ...accessorProblems('tag_key', options.tag_key),
    ];
    if (options.api_key?.reveal().trim() === '')
      problems.push({ key: 'api_key', message: 'is empty: write one, or remove the line' });
    if (!/^\d+\.\d+\.\d+/.test(options.version))
      problems.push({ key: 'version', message: 'is no version: write one such as 8.0.0' });
    if (options.meta_key === options.time_key)
      problems.push({ key: 'meta_key', message: 'is the same as time_key' });
    return problems;
  },
  async create(options, context) {
    const { tag_key: tagKey, time_key: timeKey } = options;
    const probes = new Probes({
      version: options.version,
      hostname: options.hostname,
      port: options.port,
      maxBodyBytes: options.buffer_max_size,
    });
    const protocol = new SearchProtocol(
      {
        tag: context.tag,
        tagKey: tagKey === undefined ? undefined : { text: tagKey, read: compileAccessor(tagKey) },
        metaKey: options.meta_key,
        timeKey: timeKey === '' ? undefined : timeKey,
      },
      probes,
      context,
    );
    const apiKey = options.api_key?.reveal().trim();
    return new HttpReceiver(
      { ...receiverSettings(options, { http2: options.http2 }), apiKey: encoded(apiKey) },
      protocol,
      context,
      await openListenerTls(options),
    );
  },
});

/** An API key as it stands in the header. */
function encoded(key: string | undefined): string | undefined {
  return key?.includes(':') === true ? Buffer.from(key).toString('base64') : key;
}
