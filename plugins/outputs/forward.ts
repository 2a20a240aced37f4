/**
 * forward: sends records to another Tailrace, Fluent Bit, Fluentd, or whatever else speaks their protocol.
 *
 * Unlike Fluent Bit it asks for acknowledgements by default: without one nobody knows what became of what a socket took.
 */
import { hostname } from 'node:os';
import {
  AccessorSyntaxError,
  allDelivered,
  boolean,
  compileTemplate,
  defineOutput,
  enumOf,
  ignored,
  kv,
  loadForward,
  loadMsgpack,
  path,
  secret,
  string,
  time,
} from '../../src/plugin.ts';
import type { OptionProblem, Outcome, Output, Slice } from '../../src/plugin.ts';
import { checkDestination } from '../shared/destination.ts';
import { openStreamClient, streamDestinationOptions } from '../shared/stream-destination.ts';
import { readAcknowledgements } from './forward/acknowledgements.ts';
import { Encoder } from './forward/encoder.ts';
import { makeGreeting } from './forward/greeting.ts';
import { cutByRecord, cutByTag } from './forward/messages.ts';
import type { Message } from './forward/messages.ts';
import { UnaskedWords } from './forward/unasked.ts';

export default defineOutput({
  name: 'forward',
  summary: 'Sends records by the forward protocol, to Tailrace, Fluent Bit or Fluentd',
  options: {
    ...streamDestinationOptions(24_224),
    unix_path: path().optional().describe('Path of a unix socket, in place of host and port.'),
    require_ack_response: boolean()
      .default(true)
      .describe(
        'A record is delivered when the receiver acknowledges it. Off, as it is in Fluent Bit: when the operating system has taken it, and what is on its way is lost with the connection or the receiver. Off is for receivers that give none (the fluent codec of Logstash).',
      ),
    ack_response_timeout: time()
      .default('60s')
      .describe('Time for the acknowledgements of an attempt to come; then the rest is sent again.'),
    compress: enumOf('text', 'gzip')
      .default('text')
      .describe('gzip: the events of a message are compressed.'),
    tag: string()
      .optional()
      .describe(
        'Tag to send in place of the own one; may hold `$TAG`, `$TAG[n]` and record accessors. One that renders to nothing leaves the own tag.',
      ),
    time_as_integer: boolean()
      .default(false)
      .describe('Times in whole seconds, for Fluentd before 0.14; the rest is lost.'),
    retain_metadata_in_forward_mode: boolean()
      .default(true)
      .describe(
        "Sends the metadata of records that have some, in Fluent Bit's form `[[time, metadata], record]`; all others as `[time, record]`.",
      ),
    shared_key: secret()
      .optional()
      .describe('The key that both sides must have; each proves it to the other.'),
    empty_shared_key: boolean().default(false).describe('The handshake is done with an empty key.'),
    self_hostname: string()
      .optional()
      .describe(
        "Name to call oneself by in the handshake; by default this machine's, where Fluent Bit says `localhost`: a receiver of the same name could prove nothing.",
      ),
    username: string().default('').describe('User for the handshake, where the receiver asks for one.'),
    password: secret().optional().describe('Password of the user.'),
    send_options: boolean()
      .default(false)
      .describe(
        'Sends options with a message (how many events it has) also where no acknowledgement, compression or `add_option` needs them.',
      ),
    add_option: kv()
      .default([])
      .describe('`KEY VALUE`, a further option of the messages; may be given several times.'),
    upstream: string()
      .optional()
      .describe('Not there yet: the name of a host with several addresses may do.'),
    fluentd_compat: ignored('it is for metrics and traces, and logs are sent'),
  },
  traits: () => ({ workers: 2 }),
  target: ['host', 'port', 'unix_path', 'tag'],
  example: `pipeline:
  outputs:
    - name: forward
      match: '*'
      host: collector.example.com
      tls: on
      shared_key: \${FORWARD_KEY}
      compress: gzip
`,
  check(options) {
    const problems: OptionProblem[] = checkDestination(options);
    const { shared_key: key, empty_shared_key: isEmpty, username, password } = options;
    if (options.upstream !== undefined) {
      problems.push({
        key: 'upstream',
        message:
          'is not there yet: write one receiver as host and port, or its name with all their addresses',
      });
    }
    if (key !== undefined && isEmpty)
      problems.push({ key: 'empty_shared_key', message: 'and shared_key exclude each other: remove one' });
    if (key === undefined && !isEmpty) {
      for (const [name, isGiven] of [
        ['username', username !== ''],
        ['password', password !== undefined && password.reveal() !== ''],
        ['self_hostname', options.self_hostname !== undefined],
      ] as const) {
        if (isGiven)
          problems.push({
            key: name,
            message: 'has no effect without a handshake: set shared_key, or empty_shared_key to on',
            level: name === 'self_hostname' ? 'warning' : 'error',
          });
      }
    }
    if (key?.reveal() === '')
      problems.push({ key: 'shared_key', message: 'is empty: write one, or set empty_shared_key to on' });
    if (options.ack_response_timeout < 0.001)
      problems.push({ key: 'ack_response_timeout', message: 'must be at least 1ms' });
    return [...problems, ...tagProblems(options.tag)];
  },
  async create(options, context): Promise<Output> {
    const { require_ack_response: acknowledged } = options;
    const codec = await loadForward();
    const { encodeMsgpack } = await loadMsgpack();
    const sharedKey = options.empty_shared_key ? '' : options.shared_key?.reveal();
    const unasked = new UnaskedWords();
    const credentials = {
      sharedKey: sharedKey ?? '',
      hostname: options.self_hostname ?? hostname(),
      isNamed: options.self_hostname !== undefined,
      user: options.username,
      password: options.password,
    };
    const client = await openStreamClient(options, context, {
      path: options.unix_path,
      greet: sharedKey === undefined ? unasked.greet : makeGreeting(codec, credentials, context),
    });
    const encoder = new Encoder({
      codec,
      encodeMsgpack,
      shape: {
        time: options.time_as_integer ? 'integer' : 'event_time',
        metadata: options.retain_metadata_in_forward_mode ? 'present' : 'never',
      },
      gzip: options.compress === 'gzip',
      sendOptions: options.send_options,
      acknowledged,
      extra: options.add_option,
    });
    const template = options.tag === undefined ? undefined : compileTemplate(options.tag);
    const cut = (slices: readonly Slice[]): Message[] => {
      if (template === undefined) return cutByTag(slices, (tag) => tag);
      if (!template.fixed) return cutByRecord(slices, template);
      return cutByTag(slices, (tag) => template.render({}, tag) || tag);
    };
    const timeoutMs = options.ack_response_timeout * 1000;

    return {
      async deliver(slices, signal): Promise<Outcome> {
        signal.throwIfAborted();
        unasked.lookBack();
        const messages = cut(slices);
        const chunks = acknowledged ? messages.map(() => codec.newChunkId()) : [];
        const awaited = new Set(chunks);
        const sink = await encoder.encode(messages, chunks);
        try {
          await client.use(signal, async (connection) => {
            // Answers are read meanwhile: a receiver that cannot say them would not read on either.
            const answered = readAcknowledgements(connection, awaited, { codec, timeoutMs });
            answered.catch(() => {});
            await connection.write(sink.bytes);
            await answered;
            if (!acknowledged) unasked.after(connection);
          });
        } catch (error) {
          if (awaited.size === chunks.length) throw error;
          return unacknowledged(messages, chunks, awaited, error);
        }
        // Not after an error: the socket may still be reading it.
        encoder.give(sink);
        return allDelivered;
      },
      close: () => client.close(),
    };
  },
});

/** What to send again: the records of the messages that were not acknowledged. */
function unacknowledged(
  messages: readonly Message[],
  chunks: readonly string[],
  awaited: ReadonlySet<string>,
  error: unknown,
): Outcome {
  const retry = messages.flatMap(({ index, length }, at) =>
    awaited.has(chunks[at] ?? '') ? Array.from({ length }, (_, offset) => index + offset) : [],
  );
  return { retry, ...(error instanceof Error ? { reason: error.message } : {}) };
}

function tagProblems(tag: string | undefined): OptionProblem[] {
  if (tag === undefined) return [];
  try {
    compileTemplate(tag);
    return [];
  } catch (error) {
    if (error instanceof AccessorSyntaxError)
      return [{ key: 'tag', message: `cannot be read: ${error.message}` }];
    throw error;
  }
}
