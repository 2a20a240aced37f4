/** The `tcp` output: writes records to a TCP or TLS connection, one write per attempt. Nobody answers: what the system took is delivered. */
import { allDelivered, defineOutput, SinkPool } from '../../src/plugin.ts';
import { checkDestination } from '../shared/destination.ts';
import { checkSocketFormat, makeSocketFormat, socketFormatOptions } from '../shared/socket-format.ts';
import { openStreamClient, streamDestinationOptions } from '../shared/stream-destination.ts';

export default defineOutput({
  name: 'tcp',
  summary: 'Writes records to a TCP or TLS connection',
  options: { ...streamDestinationOptions(5170), ...socketFormatOptions('msgpack') },
  traits: () => ({ workers: 2 }),
  target: ['host', 'port'],
  example: `pipeline:
  outputs:
    - name: tcp
      match: '*'
      host: collector.example.com
      port: 5170
      format: json_lines
      tls: on
      tls.ca_file: /etc/ssl/collector-ca.pem
`,
  check: (options) => [...checkDestination(options), ...checkSocketFormat(options)],
  async create(options, context) {
    const format = await makeSocketFormat(options);
    const client = await openStreamClient(options, context, { unanswered: true });
    const pool = new SinkPool();
    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const sink = pool.take();
        const rejected = format.write(slices, sink);
        if (sink.length > 0) await client.use(signal, (connection) => connection.writeUnanswered(sink.bytes));
        // Not after an error: the system may still be reading it.
        pool.give(sink);
        return rejected.length === 0 ? allDelivered : { rejected };
      },
      close: () => client.close(),
    };
  },
});
