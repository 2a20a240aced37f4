/** The `udp` output: each record as a datagram. What is lost on the way nobody hears of. */
import { defineOutput, SinkPool } from '../../src/plugin.ts';
import { datagramDestinationOptions, openDatagramClient } from '../shared/datagram-destination.ts';
import { sendDatagrams } from '../shared/send-datagrams.ts';
import { checkHost } from '../shared/destination.ts';
import { checkSocketFormat, makeSocketFormat, socketFormatOptions } from '../shared/socket-format.ts';

export default defineOutput({
  name: 'udp',
  summary: 'Sends each record as a UDP datagram',
  options: { ...datagramDestinationOptions(5170), ...socketFormatOptions('json_lines') },
  traits: () => ({ workers: 2, limits: { records: 1000 } }),
  target: ['host', 'port'],
  example: `pipeline:
  outputs:
    - name: udp
      match: '*'
      host: 192.0.2.10
      port: 5170
      format: json_lines
`,
  check: (options) => [...checkHost(options.host), ...checkSocketFormat(options)],
  async create(options) {
    const format = await makeSocketFormat(options);
    const client = await openDatagramClient(options);
    const pool = new SinkPool();
    return {
      deliver: (slices, signal) =>
        sendDatagrams(client, pool, signal, (sink, ends, records) =>
          format.writeEach(slices, sink, ends, records),
        ),
      close: () => client.close(),
    };
  },
});
