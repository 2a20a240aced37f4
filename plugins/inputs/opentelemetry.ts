/**
 * opentelemetry: takes logs by OTLP, by HTTP as protobuf or JSON, and by gRPC, plain or compressed.
 *
 * As the http input it answers when the records are safe, and refuses what it has no room for with 429.
 */
import {
  boolean,
  compileAccessor,
  defineInput,
  ignored,
  integer,
  loadOtlp,
  string,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { checkReceiver, receiverOptions, receiverSettings } from '../shared/http-receiver/options.ts';
import { HttpReceiver } from '../shared/http-receiver/receiver.ts';
import { openListenerTls } from '../shared/listener.ts';
import { OtlpProtocol } from './opentelemetry/protocol.ts';

const ONLY_LOGS = 'only logs are taken';
const SUCCESS_CODES: readonly number[] = [200, 201, 204];
/** What the path of a request makes of it, as in Fluent Bit. */
const TAG_FROM_URI = 'v1_logs';

export default defineInput({
  name: 'opentelemetry',
  summary: 'Takes logs by OTLP: HTTP and gRPC',
  options: {
    ...receiverOptions(4318),
    tag: string().optional().describe('Tag of the records. Without it see `tag_from_uri`.'),
    tag_from_uri: boolean()
      .default(true)
      .describe('Without `tag` the tag is that of the path, `v1_logs`; off: `opentelemetry.<n>`.'),
    tag_key: string()
      .optional()
      .describe('Key, or record accessor, whose text is the tag of its record; wins over the others.'),
    successful_response_code: integer()
      .default(201)
      .describe('Status of the answer once the records are safe: 200, as OTLP has it, 201 or 204.'),
    logs_metadata_key: string()
      .default('otlp')
      .describe(
        'Key of the metadata that holds what a log record has beside its body: times, severity, attributes, ids.',
      ),
    logs_body_key: string()
      .optional()
      .describe('Key of the body. Without it a map is the record itself, and any other body is under `log`.'),
    raw_traces: ignored(ONLY_LOGS),
    profiles_support: ignored(ONLY_LOGS),
    encode_profiles_as_log: ignored(ONLY_LOGS),
    http2: boolean()
      .default(true)
      .alias('http_server.http2')
      .describe(
        'Speaks HTTP/2 too, on the same port, and gRPC with it; unencrypted with clients that begin so.',
      ),
  },
  tags: (options, configured) => {
    if (options.tag_key !== undefined) return 'any';
    return [options.tag === undefined && options.tag_from_uri ? TAG_FROM_URI : configured];
  },
  example: `pipeline:
  inputs:
    - name: opentelemetry
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      token: \${INGEST_TOKEN}
      tag: otlp
      buffer_max_size: 20M
`,
  check(options) {
    const problems: OptionProblem[] = [
      ...checkReceiver(options),
      ...accessorProblems('tag_key', options.tag_key),
    ];
    if (!SUCCESS_CODES.includes(options.successful_response_code)) {
      problems.push({ key: 'successful_response_code', message: `is none of ${SUCCESS_CODES.join(', ')}` });
    }
    return problems;
  },
  async create(options, context) {
    const { tag, tag_key: tagKey } = options;
    const protocol = new OtlpProtocol(await loadOtlp(), {
      tag: tag ?? (options.tag_from_uri ? TAG_FROM_URI : context.tag),
      tagKey: tagKey === undefined ? undefined : { text: tagKey, read: compileAccessor(tagKey) },
      successCode: options.successful_response_code,
      metadataKey: options.logs_metadata_key,
      bodyKey: options.logs_body_key,
    });
    return new HttpReceiver(
      receiverSettings(options, { http2: options.http2 }),
      protocol,
      context,
      await openListenerTls(options),
    );
  },
});
