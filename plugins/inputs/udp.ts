/** udp: takes records in UDP datagrams, as JSON or as lines. What the network or the kernel drops is lost: see docs/sockets.md. */
import { defineInput } from '../../src/plugin.ts';
import { DatagramListener } from '../shared/datagram-listener.ts';
import { checkDatagrams, datagramOptions } from '../shared/datagram-options.ts';
import { DatagramInput } from '../shared/socket-records/datagram-input.ts';
import {
  checkRecords,
  readerFactory,
  recordOptions,
  sourceOptions,
} from '../shared/socket-records/options.ts';
import { RecordSettings } from '../shared/socket-records/record-sink.ts';

export default defineInput({
  name: 'udp',
  summary: 'Takes records in UDP datagrams, as JSON or as lines',
  options: { ...datagramOptions(5170), ...recordOptions, ...sourceOptions },
  target: ['listen', 'port'],
  datagrams: true,
  parserOptions: ['parser'],
  example: `pipeline:
  inputs:
    - name: udp
      tag: devices
      listen: 192.0.2.1
      format: none
      source_address_key: from
`,
  check: (options, entries) => [...checkDatagrams(options), ...checkRecords(options, entries)],
  create(options, context) {
    const { parser, source_address_key: sourceKey } = options;
    return new DatagramInput(
      {
        records: new RecordSettings(
          { parser: parser === undefined ? undefined : context.parser(parser), sourceKey },
          context,
        ),
        reader: readerFactory(options, { staysInMemory: false }),
        listen: (sink) =>
          new DatagramListener(
            {
              host: options.listen,
              port: options.port,
              sharePort: options['net.share_port'],
              receiveBufferBytes: options.receive_buffer_size,
            },
            context,
            sink,
          ),
      },
      context,
    );
  },
});
