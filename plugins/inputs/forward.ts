/**
 * forward: takes records from Fluent Bit, Fluentd, their loggers, Docker's fluentd driver, and Tailrace.
 *
 * Unlike Fluent Bit it acknowledges what is safe, on disk or delivered, and not what it has read; and it stops reading when there is no
 * room: a sender that asks for acknowledgements loses nothing.
 */
import {
  boolean,
  defineInput,
  ignored,
  integer,
  loadForward,
  path,
  secret,
  secretKv,
  size,
  string,
  time,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { checkListener, listenerOptions, openListenerTls } from '../shared/listener.ts';
import { ForwardInput } from './forward/server.ts';

/** A message is one buffer while it is decoded. Bytes. */
const LARGEST_MESSAGE = 256_000_000;
const DEFAULT_STALL = 60;

export default defineInput({
  name: 'forward',
  summary: 'Takes records by the forward protocol, from Fluent Bit, Fluentd, Docker or Tailrace',
  options: {
    ...listenerOptions(24_224),
    unix_path: path().optional().describe('Path of a unix socket to listen on, in place of listen and port.'),
    unix_perm: string().optional().describe('Permissions of that socket, octal: `0660`.'),
    tag: string()
      .optional()
      .describe(
        'Tag of the records. Without it that of their message is taken, every character but letters, digits, `.`, `_`, `/` and `-` replaced by `_`, and 256 of them at most.',
      ),
    tag_prefix: string().optional().describe('Put before the tag of a message; wins over tag.'),
    shared_key: secret()
      .optional()
      .describe('Senders must have this key, and are shown that it is known here.'),
    empty_shared_key: boolean().default(false).describe('The handshake is done with an empty key.'),
    self_hostname: string().default('localhost').describe('Name to call oneself by in the handshake.'),
    'security.users': secretKv()
      .default([])
      .describe(
        '`NAME PASSWORD`, a user whom the handshake lets in; may be given several times. Needs shared_key or empty_shared_key: without a handshake nobody would be asked.',
      ),
    buffer_max_size: size()
      .default('6144000')
      .describe(
        'Largest message, before and after decompression; the connection of a larger one is closed. Fluentd sends up to its chunk_limit_size.',
      ),
    ack_timeout: time()
      .default('180s')
      .describe(
        'Time for the records of a message to become safe, on disk or delivered; then its connection is closed without an acknowledgement. They stay where they are, so a sender that sends them again sends them twice.',
      ),
    max_connections: integer({ min: 0 })
      .default(1024)
      .describe('Connections at a time, further ones are closed at once; 0: no limit, as in Fluent Bit.'),
    idle_timeout: time()
      .default(0)
      .describe(
        'Time without a message after which a connection is closed; 0: never, since a sender that asks for no acknowledgements can lose by it what it sends next. In the middle of a message it is net.io_timeout, or a minute.',
      ),
    buffer_chunk_size: ignored('memory is taken as a message arrives'),
    workers: ignored('one listener serves all connections'),
  },
  target: ['listen', 'port', 'unix_path'],
  tags: ({ tag, tag_prefix: prefix }, configured) => {
    if (prefix !== undefined) return [`${prefix}*`];
    return tag === undefined ? 'any' : [configured];
  },
  example: `pipeline:
  inputs:
    - name: forward
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      shared_key: \${FORWARD_KEY}
`,
  check(options) {
    const { shared_key: key, empty_shared_key: isEmpty, unix_perm: mode } = options;
    const hasHandshake = key !== undefined || isEmpty;
    const problems: OptionProblem[] = checkListener(
      options.unix_path === undefined ? options : { ...options, listen: '127.0.0.1' },
      hasHandshake,
    );
    if (key !== undefined && isEmpty)
      problems.push({ key: 'empty_shared_key', message: 'and shared_key exclude each other: remove one' });
    if (key?.reveal() === '')
      problems.push({ key: 'shared_key', message: 'is empty: write one, or set empty_shared_key to on' });
    if (options['security.users'].length > 0 && !hasHandshake) {
      problems.push({
        key: 'security.users',
        message:
          'would be asked nothing: only the handshake asks for a password. Set shared_key, or empty_shared_key to on',
      });
    }
    const names = options['security.users'].map(([name]) => name);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) !== index)
        problems.push({ key: 'security.users', index, message: 'has a user who is there already' });
    }
    if (mode !== undefined && !/^0?[0-7]{3}$/.test(mode))
      problems.push({ key: 'unix_perm', message: 'is no octal mode: write 0660, for instance' });
    if (mode !== undefined && options.unix_path === undefined)
      problems.push({ key: 'unix_perm', message: 'has no effect without unix_path', level: 'warning' });
    for (const name of ['ack_timeout', 'net.accept_timeout'] as const) {
      if (options[name] < 0.001)
        problems.push({ key: name, message: 'must be at least 1ms: nothing could be done in no time' });
    }
    if (options.buffer_max_size < 1 || options.buffer_max_size > LARGEST_MESSAGE) {
      problems.push({ key: 'buffer_max_size', message: `must be from 1 byte to ${LARGEST_MESSAGE / 1e6}M` });
    }
    return problems;
  },
  async create(options, context) {
    const { unix_path: socketPath, unix_perm: mode } = options;
    return new ForwardInput(
      {
        host: options.listen,
        port: options.port,
        unix:
          socketPath === undefined
            ? undefined
            : { path: socketPath, mode: mode === undefined ? undefined : Number.parseInt(mode, 8) },
        backlog: options['net.backlog'],
        sharePort: options['net.share_port'],
        acceptTimeoutMs: options['net.accept_timeout'] * 1000,
        stallMs: (options['net.io_timeout'] || DEFAULT_STALL) * 1000,
        idleMs: options.idle_timeout * 1000,
        ackTimeoutMs: options.ack_timeout * 1000,
        maxConnections: options.max_connections,
        maxMessageBytes: options.buffer_max_size,
        tagPrefix: options.tag_prefix,
        tag: options.tag,
        sharedKey: options.empty_shared_key ? '' : options.shared_key?.reveal(),
        selfHostname: options.self_hostname,
        users: new Map(options['security.users']),
      },
      await loadForward(),
      context,
      await openListenerTls(options),
    );
  },
});
