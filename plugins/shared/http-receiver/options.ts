/** The options that inputs which take requests by HTTP have in common, their check, and the settings made of them. */
import { boolean, ignored, integer, prefix, secret, size, string, time } from '../../../src/plugin.ts';
import type { Option, OptionProblem, OptionValues } from '../../../src/plugin.ts';
import { checkListener, listenerOptions } from '../listener.ts';
import type { ReceiverSettings } from './settings.ts';

/** A body is one text while it is decoded. Bytes. */
const LARGEST_BODY = 256_000_000;

const MEMORY = 'memory is bounded by mem_buf_limit and service.memory_limit';

const receiverFields = {
  ack_timeout: time()
    .default('30s')
    .describe(
      'Time for the records to become safe, on disk or delivered; then the answer is 503 with Retry-After. They stay where they are, so a client that sends them again sends them twice.',
    ),
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
  workers: ignored('one listener serves all connections').alias('http_server.workers'),
  'http_server.ingress_queue_event_limit': ignored(MEMORY),
  'http_server.ingress_queue_byte_limit': ignored(MEMORY),
  'oauth2.*': prefix().describe('Not there yet: only `oauth2.validate: off`.'),
};

const credentialFields = {
  token: secret().optional().describe('Requests need the header `Authorization: Bearer <token>`.'),
  http_user: string().optional().describe('User of basic authentication; with a token either will do.'),
  http_passwd: secret().optional().describe('Password of basic authentication.'),
};

type BareFields = ReturnType<typeof listenerOptions> & typeof receiverFields;
type ReceiverValues = OptionValues<BareFields> & Partial<OptionValues<typeof credentialFields>>;

/** The options of a receiver with its default port. */
export function receiverOptions(port: number): BareFields & typeof credentialFields {
  return { ...bareReceiverOptions(port), ...credentialFields };
}

/** The same without credentials, for a protocol that has its own. */
export function bareReceiverOptions(port: number): BareFields {
  return { ...listenerOptions(port), ...receiverFields };
}

/** For protocols whose clients may speak HTTP/2. */
export function http2Option(): Option<boolean> {
  return boolean()
    .default(true)
    .alias('http_server.http2')
    .describe('Speaks HTTP/2 too, on the same port; unencrypted with clients that begin so.');
}

/** The problems of these options, for `check`. `authenticated`: the plugin asks for credentials of its own. */
export function checkReceiver(options: ReceiverValues, authenticated = false): OptionProblem[] {
  const { token, http_user: user, http_passwd: password } = options;
  const problems = checkListener(options, authenticated || token !== undefined || user !== undefined);
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
  return problems;
}

/** The settings that the options say. `http2`: it is spoken too. */
export function receiverSettings(
  options: ReceiverValues,
  { http2 = false }: { http2?: boolean } = {},
): ReceiverSettings {
  const { http_user: name, http_passwd: password } = options;
  const idleTimeoutMs = options['http_server.idle_timeout'] * 1000;
  return {
    host: options.listen,
    port: options.port,
    backlog: options['net.backlog'],
    sharePort: options['net.share_port'],
    keepAlive: options['net.keepalive'],
    http2,
    acceptTimeoutMs: options['net.accept_timeout'] * 1000,
    requestTimeoutMs: options.request_timeout * 1000,
    idleTimeoutMs,
    bodyIdleMs: options['net.io_timeout'] * 1000 || idleTimeoutMs,
    ackTimeoutMs: options.ack_timeout * 1000,
    maxConnections: options.max_connections,
    maxBodyBytes: options.buffer_max_size,
    token: options.token,
    user: name === undefined || password === undefined ? undefined : { name, password },
  };
}
