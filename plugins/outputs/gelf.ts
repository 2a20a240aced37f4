/**
 * The `gelf` output: GELF 1.1 messages to Graylog and its kind, by UDP (compressed, in chunks), TCP or TLS (a NUL byte behind each).
 * Nobody answers: what the system took is delivered.
 */
import { hostname } from 'node:os';
import { gzipSync } from 'node:zlib';
import {
  allDelivered,
  boolean,
  defineOutput,
  enumOf,
  integer,
  loadGelf,
  SinkPool,
  string,
} from '../../src/plugin.ts';
import type { OptionProblem, Rejection, Slice } from '../../src/plugin.ts';
import { openDatagramClient } from '../shared/datagram-destination.ts';
import { checkDestination } from '../shared/destination.ts';
import { sendDatagrams } from '../shared/send-datagrams.ts';
import { openStreamClient, streamDestinationOptions } from '../shared/stream-destination.ts';
import { ChunkWriter, HEADER_LENGTH, MAX_CHUNKS } from './gelf/chunks.ts';

const NUL = 0;
/** Of a datagram by IPv4. */
const MOST_PAYLOAD = 65_507;
/** Records of one attempt by UDP: compressing them holds up the loop. */
const UDP_RECORDS = 200;

export default defineOutput({
  name: 'gelf',
  summary: 'Sends records to Graylog as GELF',
  options: {
    ...streamDestinationOptions(12_201),
    mode: enumOf('udp', 'tcp', 'tls')
      .default('udp')
      .describe('Transport. By UDP messages get lost without notice.'),
    gelf_tag_key: string()
      .optional()
      .describe('Name of the additional field that takes the tag, without its `_`.'),
    gelf_short_message_key: string()
      .default('short_message')
      .describe('Key of the short message; records without it are dead letters.'),
    gelf_timestamp_key: string()
      .default('timestamp')
      .describe("Key of the timestamp, a number; the event's time where there is none."),
    gelf_host_key: string()
      .default('host')
      .describe("Key of the host; this machine's name where there is none, since GELF requires it."),
    gelf_full_message_key: string().default('full_message').describe('Key of the full message.'),
    gelf_level_key: string()
      .default('level')
      .describe('Key of the level, 0 to 7 or a word (`err`, `error`); others are sent as `_level`.'),
    packet_size: integer({ min: 64, max: MOST_PAYLOAD - HEADER_LENGTH })
      .default(1420)
      .describe('Bytes of a message in one datagram; a longer one is sent in chunks, at most 128. UDP only.'),
    compress: boolean()
      .default(true)
      .describe(
        'Compresses with gzip; off: only what does not fit into one datagram. UDP only: by TCP GELF is not compressed.',
      ),
  },
  traits: ({ mode }) => (mode === 'udp' ? { limits: { records: UDP_RECORDS } } : {}),
  target: ['host', 'port'],
  example: `pipeline:
  outputs:
    - name: gelf
      match: '*'
      host: graylog.example.com
      port: 12201
      mode: tcp
      gelf_short_message_key: log
      gelf_tag_key: tag
`,
  check(options) {
    const { mode, tls } = options;
    const problems: OptionProblem[] = checkDestination({ ...options, tls: tls || mode === 'tls' });
    if (tls && mode === 'udp') {
      problems.push({
        key: 'tls',
        message: 'does not go with mode udp, which is not encrypted: use mode tls',
      });
    }
    return problems;
  },
  async create(options, context) {
    const { mode, compress, packet_size: payload } = options;
    const { gelfText } = await loadGelf();
    const keys = {
      timestamp: options.gelf_timestamp_key,
      host: options.gelf_host_key,
      shortMessage: options.gelf_short_message_key,
      fullMessage: options.gelf_full_message_key,
      level: options.gelf_level_key,
      fallbackHost: hostname() || 'unknown',
      tag: options.gelf_tag_key,
    };
    const pool = new SinkPool();

    /** Makes the text of each record; `take` answers with a reason when it cannot be sent. */
    const eachText = (
      slices: readonly Slice[],
      take: (text: string, index: number) => string | undefined,
    ): Rejection[] => {
      const rejected: Rejection[] = [];
      let index = 0;
      for (const slice of slices) {
        for (let at = 0; at < slice.length; at++, index++) {
          const text = gelfText(slice.record(at), slice.seconds(at), slice.nanos(at), keys, slice.tag);
          const reason =
            text === undefined
              ? `GELF needs a short message: the record has no text under "${keys.shortMessage}".`
              : take(text, index);
          if (reason !== undefined) rejected.push({ index, reason });
        }
      }
      return rejected;
    };

    if (mode === 'udp') {
      const client = await openDatagramClient(options);
      const chunks = new ChunkWriter(payload);
      return {
        deliver: (slices, signal) =>
          sendDatagrams(client, pool, signal, (sink, ends, records) =>
            eachText(slices, (text, index) => {
              const plain = Buffer.from(text);
              const message = compress || plain.length > payload ? gzipSync(plain) : plain;
              const count = chunks.write(message, sink, ends);
              if (count === 0)
                return `The message has ${message.length} bytes, more than ${MAX_CHUNKS} chunks of packet_size, ${payload}, hold.`;
              for (let sent = 0; sent < count; sent++) records.push(index);
              return undefined;
            }),
          ),
        close: () => client.close(),
      };
    }
    const client = await openStreamClient({ ...options, tls: options.tls || mode === 'tls' }, context, {
      unanswered: true,
    });
    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const sink = pool.take();
        const rejected = eachText(slices, (text) => {
          // A JSON text holds no NUL.
          sink.text(text);
          sink.byte(NUL);
          return undefined;
        });
        if (sink.length > 0) await client.use(signal, (connection) => connection.writeUnanswered(sink.bytes));
        // Not after an error: the system may still be reading it.
        pool.give(sink);
        return rejected.length === 0 ? allDelivered : { rejected };
      },
      close: () => client.close(),
    };
  },
});
