/**
 * syslog: takes messages by UDP, TCP, TLS and unix sockets, RFC 3164 and RFC 5424 and what looks like them.
 *
 * Unlike Fluent Bit it recognises by itself how messages are framed, keeps those that its parser does not take, and stops reading when
 * there is no room; where nobody can be made to wait, by UDP, it counts what it drops, and what the kernel dropped before.
 */
import { defineInput, enumOf, ignored, integer, path, size, string, time } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { checkListener, listenerOptions, openListenerTls } from '../shared/listener.ts';
import { SyslogParser } from '../shared/syslog/parser.ts';
import { SyslogInput } from './syslog/input.ts';

const DEFAULT_STALL = 60;
const DEFAULT_UNIX_MODE = 0o644;
/** A message is one text while it is parsed. Bytes. */
const LARGEST_MESSAGE = 16_000_000;
const LEAST_BUFFER = 480;

export default defineInput({
  name: 'syslog',
  summary: 'Takes syslog messages by UDP, TCP, TLS and unix sockets',
  options: {
    ...listenerOptions(5140),
    mode: enumOf('unix_udp', 'unix_tcp', 'tcp', 'udp')
      .default('unix_udp')
      .describe(
        'What to listen on: UDP, TCP (with TLS if tls is on), or a unix socket at path, for datagrams (`unix_udp`, as /dev/log is one) or streams. Unix datagrams need the optional package koffi.',
      ),
    path: path().optional().describe('Path of the unix socket.'),
    unix_perm: string().optional().describe('Permissions of that socket, octal. Default: 0644.'),
    parser: string()
      .optional()
      .describe(
        'Name of the parser that each message goes through. `syslog` recognises all shapes and is the fastest. Without it those of Fluent Bit are tried, syslog-rfc5424 by TCP and UDP and syslog-rfc3164-local by unix sockets, then `syslog`. What no parser takes is kept under the key `log`, and counted; Fluent Bit drops it.',
      ),
    format: enumOf('auto', 'newline', 'octet_counting', 'octet')
      .default('auto')
      .describe(
        'How messages in a stream are framed. `auto`: each says it by itself, with its length before it (RFC 6587, octet counting) or a line feed or NUL behind it. `newline` and `octet_counting` (also `octet`) are as in Fluent Bit, where newline is the default.',
      ),
    buffer_max_size: size()
      .default('1M')
      .describe(
        'Longest message, bytes; a longer one is cut, counted, and flagged with `truncated` in its metadata. Fluent Bit takes 32 KB, and closes the connection of a longer one.',
      ),
    buffer_chunk_size: ignored('memory is taken as a message arrives'),
    receive_buffer_size: size()
      .optional()
      .describe(
        "Size of the kernel's receive buffer of a datagram socket, bytes. Without it 8 MB are asked for by UDP. The kernel gives no more than net.core.rmem_max.",
      ),
    raw_message_key: string().optional().describe('Key under which the whole message is kept as it came.'),
    source_address_key: string()
      .optional()
      .describe('Key under which the sender is kept: `udp://192.0.2.7:514`, `tcp://…`.'),
    max_connections: integer({ min: 0 })
      .default(1024)
      .describe('Connections at a time, further ones are closed at once; 0: no limit, as in Fluent Bit.'),
    max_connections_per_address: integer({ min: 0 })
      .default(0)
      .describe('Connections at a time from one address, further ones are closed at once; 0: no limit.'),
    idle_timeout: time()
      .default(0)
      .describe(
        'Time without a message after which a connection is closed; 0: never, since its sender may lose by it what it sends next. In the middle of a message it is net.io_timeout, or a minute.',
      ),
  },
  target: ['mode', 'listen', 'port', 'path'],
  parserOptions: ['parser'],
  defaultParsers: ({ mode, parser }) => (parser === undefined ? [defaultParser(mode)] : []),
  example: `pipeline:
  inputs:
    - name: syslog
      mode: tcp
      listen: 0.0.0.0
      port: 6514
      parser: syslog
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
`,
  check(options) {
    const { mode, unix_perm: unixMode, receive_buffer_size: buffer, buffer_max_size: longest } = options;
    const isUnix = mode.startsWith('unix');
    const isDatagram = mode.endsWith('udp');
    const problems: OptionProblem[] = checkListener(
      isUnix ? { ...options, listen: '127.0.0.1' } : options,
      false,
    );
    if (isUnix && options.path === undefined) {
      problems.push({
        key: 'path',
        message: `is missing: mode ${mode}${mode === 'unix_udp' ? ', the default,' : ''} needs the path of the socket. For the network set mode to tcp or udp`,
      });
    }
    if (!isUnix && options.path !== undefined)
      problems.push({ key: 'path', message: 'has no effect: it is for unix sockets', level: 'warning' });
    if (unixMode !== undefined && !/^0?[0-7]{3}$/.test(unixMode))
      problems.push({ key: 'unix_perm', message: 'is no octal mode: write 0660, for instance' });
    if (!isUnix && unixMode !== undefined)
      problems.push({ key: 'unix_perm', message: 'has no effect: it is for unix sockets', level: 'warning' });
    if (isDatagram && options.tls) {
      problems.push({
        key: 'tls',
        message: `does not go with mode ${mode}: datagrams are not encrypted; set mode to tcp`,
      });
    }
    if (!isDatagram && buffer !== undefined) {
      problems.push({
        key: 'receive_buffer_size',
        message: `has no effect with mode ${mode}: the kernel sizes the buffers of streams, and senders wait for them`,
        level: 'warning',
      });
    }
    if (options['net.accept_timeout'] < 0.001)
      problems.push({
        key: 'net.accept_timeout',
        message: 'must be at least 1ms: nothing could be done in no time',
      });
    // RFC 5424, section 6.1: what every receiver takes.
    if (longest < LEAST_BUFFER || longest > LARGEST_MESSAGE) {
      problems.push({
        key: 'buffer_max_size',
        message: `must be from ${LEAST_BUFFER} bytes to ${LARGEST_MESSAGE / 1e6}M`,
      });
    }
    return problems;
  },
  async create(options, context) {
    const { mode, path: socketPath, unix_perm: written, format } = options;
    const isUnix = mode.startsWith('unix');
    const unixMode = written === undefined ? DEFAULT_UNIX_MODE : Number.parseInt(written, 8);
    return new SyslogInput(
      {
        mode,
        host: options.listen,
        port: options.port,
        unix:
          isUnix && socketPath !== undefined ? { path: socketPath, mode: unixMode, key: 'path' } : undefined,
        unixMode,
        backlog: options['net.backlog'],
        sharePort: options['net.share_port'],
        acceptTimeoutMs: options['net.accept_timeout'] * 1000,
        stallMs: (options['net.io_timeout'] || DEFAULT_STALL) * 1000,
        idleMs: options.idle_timeout * 1000,
        maxConnections: options.max_connections,
        maxConnectionsPerAddress: options.max_connections_per_address,
        receiveBufferBytes: options.receive_buffer_size,
        framing: format === 'octet' ? 'octet_counting' : format,
        maxBytes: options.buffer_max_size,
        intake: {
          parser: context.parser(options.parser ?? defaultParser(mode)),
          fallback:
            options.parser === undefined
              ? new SyslogParser('syslog', { zone: () => 0, timeKey: 'time' })
              : undefined,
          rawKey: options.raw_message_key,
          sourceKey: options.source_address_key,
        },
      },
      context,
      await openListenerTls(options),
    );
  },
});

/** As in Fluent Bit. */
function defaultParser(mode: string): string {
  return mode.startsWith('unix') ? 'syslog-rfc3164-local' : 'syslog-rfc5424';
}
