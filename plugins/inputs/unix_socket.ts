/** unix_socket: takes records over a unix socket, as JSON or as lines. */
import { defineInput, enumOf, integer, path, string, time } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { DatagramInput } from '../shared/socket-records/datagram-input.ts';
import { checkRecords, readerFactory, recordOptions } from '../shared/socket-records/options.ts';
import { RecordSettings } from '../shared/socket-records/record-sink.ts';
import { StreamInput } from '../shared/socket-records/stream-input.ts';
import { UnixDatagramListener } from '../shared/unix-datagrams/listener.ts';

const BACKLOG = 128;
const STALL_MS = 60_000;
const DEFAULT_MODE = 0o600;
/** No datagram is longer than the largest send buffer that a kernel gives unasked (net.core.wmem_max). Bytes. */
const LONGEST_DATAGRAM = 262_144;

export default defineInput({
  name: 'unix_socket',
  summary: 'Takes records over a unix socket, as JSON or as lines',
  options: {
    socket_path: path().describe('Path of the socket.'),
    socket_mode: enumOf('STREAM', 'DGRAM')
      .default('STREAM')
      .describe(
        'What kind of socket it is. With datagrams each is taken for itself; they need the optional package koffi.',
      ),
    socket_permissions: string()
      .optional()
      .describe(
        'Permissions of the socket, octal: `0660`. Without it they are those of the umask, with DGRAM 0600.',
      ),
    ...recordOptions,
    max_connections: integer({ min: 0 })
      .default(1024)
      .describe('Connections at a time, further ones are closed at once; 0: no limit, as in Fluent Bit.'),
    idle_timeout: time()
      .default(0)
      .describe(
        'Time without a record after which a connection is closed; 0: never. In the middle of a record it is a minute.',
      ),
  },
  target: ['socket_path'],
  example: `pipeline:
  inputs:
    - name: unix_socket
      tag: app
      socket_path: /run/tailrace/app.sock
      socket_permissions: '0660'
`,
  check(options, entries) {
    const problems: OptionProblem[] = checkRecords(options, entries);
    const { socket_permissions: mode } = options;
    if (mode !== undefined && !/^0?[0-7]{3}$/.test(mode))
      problems.push({ key: 'socket_permissions', message: 'is no octal mode: write 0660, for instance' });
    return problems;
  },
  create(options, context) {
    const { socket_path: socketPath, socket_permissions: written } = options;
    const mode = written === undefined ? undefined : Number.parseInt(written, 8);
    const records = new RecordSettings({ parser: undefined, sourceKey: undefined }, context);
    if (options.socket_mode === 'DGRAM') {
      const settings = {
        path: socketPath,
        mode: mode ?? DEFAULT_MODE,
        receiveBufferBytes: undefined,
        maxBytes: LONGEST_DATAGRAM,
      };
      return new DatagramInput(
        {
          records,
          reader: readerFactory(options, { staysInMemory: false }),
          listen: (sink) => new UnixDatagramListener(settings, context, sink),
        },
        context,
      );
    }
    return new StreamInput(
      {
        listener: {
          host: '',
          port: 0,
          unix: { path: socketPath, mode, key: 'socket_path' },
          backlog: BACKLOG,
          sharePort: false,
          acceptTimeoutMs: 0,
          stallMs: STALL_MS,
          idleMs: options.idle_timeout * 1000,
          maxConnections: options.max_connections,
          maxConnectionsPerAddress: 0,
        },
        records,
        reader: readerFactory(options, { staysInMemory: true }),
        tls: undefined,
      },
      context,
    );
  },
});
