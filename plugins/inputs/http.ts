/**
 * http: takes records by HTTP POST, as JSON, lines of JSON, MessagePack or a form, plain or compressed.
 *
 * Unlike Fluent Bit it answers when the records are safe, not when they are read, and refuses what it has no room for with 429: a
 * client that sends again what was not answered with a success loses nothing.
 */
import { boolean, compileAccessor, defineInput, ignored, integer, kv, string } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { checkReceiver, receiverOptions, receiverSettings } from '../shared/http-receiver/options.ts';
import { HttpReceiver } from '../shared/http-receiver/receiver.ts';
import { successHeaderProblems } from '../shared/http-receiver/success-headers.ts';
import { openListenerTls } from '../shared/listener.ts';
import { HttpProtocol } from './http/protocol.ts';
import { tagReader } from './http/tag.ts';

const SUCCESS_CODES: readonly number[] = [200, 201, 202, 204];

export default defineInput({
  name: 'http',
  summary: 'Takes records by HTTP: JSON, lines of JSON, MessagePack and forms',
  options: {
    ...receiverOptions(9880),
    tag: string()
      .optional()
      .describe(
        'Tag of the records. Without it the path of the URL is the tag, every character but letters, digits, `_` and `.` replaced by `_`; `http.<n>` for `/`.',
      ),
    tag_key: string()
      .optional()
      .describe(
        'Key, or record accessor, whose text is the tag of its record, made one as the path is; wins over tag and path.',
      ),
    successful_response_code: integer()
      .default(201)
      .describe('Status of the answer once the records are safe: 200, 201, 202 or 204.'),
    success_header: kv()
      .default([])
      .describe('`NAME VALUE`, a header of that answer; may be given several times.'),
    add_remote_addr: boolean()
      .default(false)
      .describe(
        'Adds the first address of the header X-Forwarded-For to the records, if there is one. A record that has the key keeps its own, as in Fluent Bit: both are what the sender says, unless a proxy sees to it.',
      ),
    remote_addr_key: string().default('REMOTE_ADDR').describe('Key of that address.'),
    enable_health_endpoint: boolean()
      .default(false)
      .describe('Answers GET /health with 200, without credentials.'),
    http2: ignored('HTTP/1.1 is spoken').alias('http_server.http2'),
  },
  tags: ({ tag, tag_key: tagKey }, configured) =>
    tag === undefined || tagKey !== undefined ? 'any' : [configured],
  example: `pipeline:
  inputs:
    - name: http
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      token: \${INGEST_TOKEN}
      tag: app
`,
  check(options) {
    const problems: OptionProblem[] = checkReceiver(options);
    if (!SUCCESS_CODES.includes(options.successful_response_code)) {
      problems.push({ key: 'successful_response_code', message: `is none of ${SUCCESS_CODES.join(', ')}` });
    }
    return [
      ...problems,
      ...successHeaderProblems(options.success_header),
      ...accessorProblems('tag_key', options.tag_key),
    ];
  },
  async create(options, context) {
    const { tag_key: tagKey } = options;
    const protocol = new HttpProtocol({
      tag: options.tag,
      defaultTag: context.tag,
      tagKey: tagKey === undefined ? undefined : { text: tagKey, read: tagReader(compileAccessor(tagKey)) },
      remoteAddressKey: options.add_remote_addr ? options.remote_addr_key : undefined,
      successCode: options.successful_response_code,
      successHeaders: options.success_header,
      healthEndpoint: options.enable_health_endpoint,
    });
    return new HttpReceiver(receiverSettings(options), protocol, context, await openListenerTls(options));
  },
});
