/** tcp: takes records over TCP, as JSON or as lines. Nobody answers: see docs/sockets.md for what that promises. */
import { defineInput, integer, time } from '../../src/plugin.ts';
import { checkListener, listenerOptions, openListenerTls } from '../shared/listener.ts';
import {
  checkRecords,
  readerFactory,
  recordOptions,
  sourceOptions,
} from '../shared/socket-records/options.ts';
import { RecordSettings } from '../shared/socket-records/record-sink.ts';
import { StreamInput } from '../shared/socket-records/stream-input.ts';

const DEFAULT_STALL = 60;

export default defineInput({
  name: 'tcp',
  summary: 'Takes records over TCP, as JSON or as lines',
  options: {
    ...listenerOptions(5170),
    ...recordOptions,
    ...sourceOptions,
    max_connections: integer({ min: 0 })
      .default(1024)
      .describe('Connections at a time, further ones are closed at once; 0: no limit, as in Fluent Bit.'),
    max_connections_per_address: integer({ min: 0 })
      .default(0)
      .describe('The same for the connections of one address; 0: no limit.'),
    idle_timeout: time()
      .default(0)
      .describe(
        'Time without a record after which a connection is closed; 0: never, since its sender can lose by it what it sends next. In the middle of a record it is net.io_timeout, or a minute.',
      ),
  },
  target: ['listen', 'port'],
  parserOptions: ['parser'],
  example: `pipeline:
  inputs:
    - name: tcp
      tag: app
      listen: 0.0.0.0
      tls: on
      tls.crt_file: /etc/tailrace/server.pem
      tls.key_file: /etc/tailrace/server.key
      tls.verify_client_cert: on
      tls.ca_file: /etc/tailrace/clients.pem
      format: json
      source_address_key: from
`,
  check: (options, entries) => [...checkListener(options, false), ...checkRecords(options, entries)],
  async create(options, context) {
    const { parser, source_address_key: sourceKey } = options;
    return new StreamInput(
      {
        listener: {
          host: options.listen,
          port: options.port,
          unix: undefined,
          backlog: options['net.backlog'],
          sharePort: options['net.share_port'],
          acceptTimeoutMs: options['net.accept_timeout'] * 1000,
          stallMs: (options['net.io_timeout'] || DEFAULT_STALL) * 1000,
          idleMs: options.idle_timeout * 1000,
          maxConnections: options.max_connections,
          maxConnectionsPerAddress: options.max_connections_per_address,
        },
        records: new RecordSettings(
          { parser: parser === undefined ? undefined : context.parser(parser), sourceKey },
          context,
        ),
        reader: readerFactory(options, { staysInMemory: true }),
        tls: await openListenerTls(options),
      },
      context,
    );
  },
});
