/** The `syslog` output: RFC 5424 or RFC 3164 messages by UDP, TCP, TLS or unix sockets. Nobody answers: what the system took is delivered. */
import { allDelivered, defineOutput, enumOf, path, SinkPool } from '../../src/plugin.ts';
import type { OptionProblem, Output } from '../../src/plugin.ts';
import { openDatagramClient } from '../shared/datagram-destination.ts';
import { checkDestination } from '../shared/destination.ts';
import { sendDatagrams } from '../shared/send-datagrams.ts';
import { openStreamClient, streamDestinationOptions } from '../shared/stream-destination.ts';
import { openUnixDatagramClient } from '../shared/unix-datagrams/client.ts';
import { tellingChanges } from './syslog/changes.ts';
import { writeDatagrams, writeFrames } from './syslog/frames.ts';
import { messageEncoder } from './syslog/message.ts';
import { checkMessage, messageOptions } from './syslog/options.ts';
import { onOneLine } from './syslog/text.ts';

const asItIs = (text: string): string => text;
const isByDatagrams = (mode: string): boolean => mode === 'udp' || mode === 'unix_udp';
const isUnix = (mode: string): boolean => mode === 'unix_tcp' || mode === 'unix_udp';

export default defineOutput({
  name: 'syslog',
  summary: 'Sends records to a syslog server',
  options: {
    ...streamDestinationOptions(514),
    mode: enumOf('udp', 'tcp', 'tls', 'unix_tcp', 'unix_udp', 'dtls')
      .default('udp')
      .describe(
        'Transport. `unix_tcp` is a stream socket at path, `unix_udp` one for datagrams, as /dev/log is; that needs the optional package koffi. `dtls` is not there. By UDP messages get lost without notice.',
      ),
    path: path().optional().describe('Path of the unix socket.'),
    syslog_framing: enumOf('newline', 'octet_counting')
      .default('newline')
      .describe(
        'What ends a message in a stream: `newline`, as in Fluent Bit, where line ends inside of a message are sent as `#012`; `octet_counting` sends its length before it and leaves it as it is (RFC 5425, RFC 6587).',
      ),
    ...messageOptions,
  },
  traits: ({ mode }) => (isByDatagrams(mode) ? { limits: { records: 1000 } } : {}),
  target: ['host', 'port', 'path'],
  example: `pipeline:
  outputs:
    - name: syslog
      match: '*'
      host: syslog.example.com
      port: 6514
      mode: tls
      tls.ca_file: /etc/ssl/syslog-ca.pem
      syslog_framing: octet_counting
      syslog_severity_key: level
      syslog_hostname_key: host
      syslog_appname_preset: web
      syslog_message_key: message
      syslog_sd_key: request
`,
  check(options) {
    const { mode, tls } = options;
    const problems: OptionProblem[] = [
      ...checkDestination({ ...options, tls: tls || mode === 'tls' }),
      ...checkMessage(options),
    ];
    const unix = isUnix(mode);
    if (mode === 'dtls')
      problems.push({ key: 'mode', message: 'is not there: Node.js has no DTLS; use tls' });
    if (tls && isByDatagrams(mode)) {
      problems.push({
        key: 'tls',
        message: `does not go with mode ${mode}, which is not encrypted: use mode tls`,
      });
    }
    if (unix && options.path === undefined)
      problems.push({ key: 'path', message: `is missing: mode ${mode} needs the path of the socket` });
    if (!unix && options.path !== undefined)
      problems.push({
        key: 'path',
        message: 'has no effect: it is for the modes unix_tcp and unix_udp',
        level: 'warning',
      });
    if (isByDatagrams(mode) && options.syslog_framing === 'octet_counting') {
      problems.push({
        key: 'syslog_framing',
        message: `has no effect with mode ${mode}, where each message is a datagram`,
        level: 'warning',
      });
    }
    return problems;
  },
  async create(options, context): Promise<Output> {
    const { mode, syslog_framing: framing } = options;
    const { changes, taken } = tellingChanges(context);
    const pool = new SinkPool();
    if (isByDatagrams(mode)) {
      const client =
        mode === 'udp'
          ? await openDatagramClient(options)
          : // The check made sure that it is there.
            await openUnixDatagramClient(options.path ?? '', options['net.io_timeout'] * 1000);
      const encode = messageEncoder(options, changes, asItIs);
      return {
        async deliver(slices, signal) {
          let tell = (): void => {};
          const outcome = await sendDatagrams(client, pool, signal, (sink, ends, records) => {
            const rejected = writeDatagrams(slices, sink, encode, ends, records);
            tell = taken();
            return rejected;
          });
          tell();
          return outcome;
        },
        close: () => client.close(),
      };
    }
    const client = await openStreamClient({ ...options, tls: options.tls || mode === 'tls' }, context, {
      path: mode === 'unix_tcp' ? options.path : undefined,
      unanswered: true,
    });
    const encode = messageEncoder(options, changes, framing === 'newline' ? onOneLine : asItIs);
    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const sink = pool.take();
        const rejected = writeFrames(slices, sink, encode, framing);
        const tell = taken();
        if (sink.length > 0) await client.use(signal, (connection) => connection.writeUnanswered(sink.bytes));
        // Not after an error: the system may still be reading it.
        pool.give(sink);
        tell();
        return rejected.length === 0 ? allDelivered : { rejected };
      },
      close: () => client.close(),
    };
  },
});
