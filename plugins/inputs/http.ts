/**
 * http: takes records by HTTP POST, as JSON, lines of JSON, MessagePack or a form, plain or compressed.
 *
 * Unlike Fluent Bit it answers when the records are safe, not when they are read, and refuses what it has no room for with 429: a
 * client that sends again what was not answered with a success loses nothing.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import {
  AccessorSyntaxError,
  boolean,
  compileAccessor,
  defineInput,
  ignored,
  integer,
  kv,
  prefix,
  secret,
  size,
  string,
  time,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { checkListener, listenerOptions, openListenerTls } from '../shared/listener.ts';
import { HttpInput } from './http/server.ts';

const SUCCESS_CODES: readonly number[] = [200, 201, 202, 204];
/** A body is one text while it is decoded. Bytes. */
const LARGEST_BODY = 256_000_000;
/** They say how the answer is sent, which is not the configuration's to say. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'transfer-encoding',
  'keep-alive',
  'upgrade',
]);

export default defineInput({
  name: 'http',
  summary: 'Takes records by HTTP: JSON, lines of JSON, MessagePack and forms',
  options: {
    ...listenerOptions(9880),
    tag: string()
      .optional()
      .describe(
        'Tag of the records. Without it the path of the URL is the tag, every character but letters, digits, `_` and `.` replaced by `_`; `http.<n>` for `/`.',
      ),
    tag_key: string()
      .optional()
      .describe('Key, or record accessor, whose text is the tag of its record; wins over tag and path.'),
    successful_response_code: integer()
      .default(201)
      .describe('Status of the answer once the records are safe: 200, 201, 202 or 204.'),
    success_header: kv()
      .default([])
      .describe('`NAME VALUE`, a header of that answer; may be given several times.'),
    ack_timeout: time()
      .default('30s')
      .describe(
        'Time for the records to become safe, on disk or delivered; then the answer is 503 with Retry-After. They stay where they are, so a client that sends them again sends them twice.',
      ),
    token: secret().optional().describe('Requests need the header `Authorization: Bearer <token>`.'),
    http_user: string().optional().describe('User of basic authentication; with a token either will do.'),
    http_passwd: secret().optional().describe('Password of basic authentication.'),
    add_remote_addr: boolean()
      .default(false)
      .describe('Adds the first address of the header X-Forwarded-For to the records, if there is one.'),
    remote_addr_key: string().default('REMOTE_ADDR').describe('Key of that address.'),
    enable_health_endpoint: boolean()
      .default(false)
      .describe('Answers GET /health with 200, without credentials.'),
    buffer_max_size: size()
      .default('4M')
      .alias('http_server.buffer_max_size')
      .describe('Largest body, before and after decompression; a larger one is answered with 413.'),
    max_connections: integer({ min: 0 })
      .default(1024)
      .alias('http_server.max_connections')
      .describe('Connections at a time, further ones are closed at once; 0: no limit, as in Fluent Bit.'),
    'http_server.idle_timeout': time()
      .default('10s')
      .describe('Time without a request after which a connection is closed, and without data within one.'),
    request_timeout: time().default('60s').describe('Time for a whole request to arrive.'),
    buffer_chunk_size: ignored('memory is taken as the body arrives').alias('http_server.buffer_chunk_size'),
    http2: ignored('HTTP/1.1 is spoken').alias('http_server.http2'),
    workers: ignored('one listener serves all connections').alias('http_server.workers'),
    'http_server.ingress_queue_event_limit': ignored(
      'memory is bounded by mem_buf_limit and service.memory_limit',
    ),
    'http_server.ingress_queue_byte_limit': ignored(
      'memory is bounded by mem_buf_limit and service.memory_limit',
    ),
    'oauth2.*': prefix().describe('Not there yet: only `oauth2.validate: off`.'),
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
    const { token, http_user: user, http_passwd: password } = options;
    const problems: OptionProblem[] = checkListener(options, token !== undefined || user !== undefined);
    if (token?.reveal().trim() === '')
      problems.push({ key: 'token', message: 'is empty: write one, or remove the line' });
    if ((user === undefined) !== (password === undefined)) {
      const key = user === undefined ? 'http_passwd' : 'http_user';
      problems.push({ key, message: 'stands alone: http_user and http_passwd go together' });
    }
    if (user?.includes(':'))
      problems.push({ key: 'http_user', message: 'holds a ":", which basic authentication cannot carry' });
    if (options['oauth2.*'].some(([key, value]) => key === 'validate' && /^(?:on|true|yes)$/i.test(value))) {
      problems.push({ key: 'oauth2.*', message: 'is not there yet: use token, or a proxy that validates' });
    }
    if (!SUCCESS_CODES.includes(options.successful_response_code)) {
      problems.push({ key: 'successful_response_code', message: `is none of ${SUCCESS_CODES.join(', ')}` });
    }
    for (const [index, [name, value]] of options.success_header.entries()) {
      const message = headerProblem(name, value);
      if (message !== undefined) problems.push({ key: 'success_header', index, message });
    }
    for (const key of [
      'ack_timeout',
      'request_timeout',
      'http_server.idle_timeout',
      'net.accept_timeout',
    ] as const) {
      if (options[key] < 0.001)
        problems.push({ key, message: 'must be at least 1ms: nothing could be done in no time' });
    }
    const { buffer_max_size: largest } = options;
    if (largest < 1 || largest > LARGEST_BODY) {
      problems.push({ key: 'buffer_max_size', message: `must be from 1 byte to ${LARGEST_BODY / 1e6}M` });
    }
    return [...problems, ...tagKeyProblems(options.tag_key)];
  },
  async create(options, context) {
    const { http_user: name, http_passwd: password, tag_key: tagKey } = options;
    const idleTimeoutMs = options['http_server.idle_timeout'] * 1000;
    return new HttpInput(
      {
        host: options.listen,
        port: options.port,
        backlog: options['net.backlog'],
        sharePort: options['net.share_port'],
        keepAlive: options['net.keepalive'],
        acceptTimeoutMs: options['net.accept_timeout'] * 1000,
        requestTimeoutMs: options.request_timeout * 1000,
        idleTimeoutMs,
        bodyIdleMs: options['net.io_timeout'] * 1000 || idleTimeoutMs,
        ackTimeoutMs: options.ack_timeout * 1000,
        maxConnections: options.max_connections,
        maxBodyBytes: options.buffer_max_size,
        token: options.token,
        user: name === undefined || password === undefined ? undefined : { name, password },
        tag: options.tag,
        tagKey: tagKey === undefined ? undefined : { text: tagKey, read: compileAccessor(tagKey) },
        remoteAddressKey: options.add_remote_addr ? options.remote_addr_key : undefined,
        successCode: options.successful_response_code,
        successHeaders: options.success_header,
        healthEndpoint: options.enable_health_endpoint,
      },
      context,
      await openListenerTls(options),
    );
  },
});

function headerProblem(name: string, value: string): string | undefined {
  if (OWN_HEADERS.has(name.toLowerCase())) return `sets ${name}, which the server sets itself`;
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return undefined;
  } catch {
    return `is no header: name or value of ${name} hold characters that HTTP does not allow`;
  }
}

function tagKeyProblems(text: string | undefined): OptionProblem[] {
  if (text === undefined) return [];
  try {
    compileAccessor(text);
    return [];
  } catch (error) {
    if (error instanceof AccessorSyntaxError)
      return [{ key: 'tag_key', message: `cannot be read: ${error.message}` }];
    throw error;
  }
}
