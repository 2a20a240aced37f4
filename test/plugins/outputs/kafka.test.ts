import { decode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import kafka from '../../../plugins/outputs/kafka.ts';
import type { Chunk, Outcome, Output, Slice } from '../../../src/plugin.ts';
import { Batch, RetryableError } from '../../../src/plugin.ts';
import { Arrivals } from '../../../src/event/arrivals.ts';
import { encodeBatch, Slice as ChunkSlice } from '../../../src/event/chunk.ts';
import { describeOutput } from '../../contract/output.ts';
import {
  contextIn,
  createOutput,
  noAbort,
  parseExact,
  partOf,
  problemsOf,
  sliceOf,
} from '../../contract/support.ts';
import { StandInBroker } from './kafka/broker.ts';

describeOutput('kafka', async () => {
  const broker = await new StandInBroker().open();
  return {
    output: await createOutput(
      kafka,
      { brokers: `127.0.0.1:${broker.port}`, timestamp_key: 'false' },
      contextIn('/'),
    ),
    arrived: () => broker.values.map((text) => parseExact(text)),
    cleanUp: () => broker.close(),
  };
});

/** Records with origins, as the pipeline makes them. */
function numbered(from: number, to: number, arrivals: Arrivals): Slice {
  const batch = new Batch();
  batch.input = 'in';
  for (let n = from; n < to; n++) batch.push(undefined, `{"n":${n}}`, 1_700_000_000, 123_456_789);
  const chunk: Chunk = encodeBatch('app', batch, true, 0, arrivals);
  return new ChunkSlice(chunk, 0, batch.length);
}

describe('kafka', () => {
  let broker: StandInBroker;
  const outputs: Output[] = [];

  beforeEach(async () => {
    broker = await new StandInBroker().open();
  });

  afterEach(async () => {
    for (const output of outputs.splice(0)) await output.close?.();
    await broker.close();
  });

  const open = async (options: Record<string, string | string[]> = {}) => {
    const context = contextIn('/');
    const output = await createOutput(
      kafka,
      { brokers: `127.0.0.1:${broker.port}`, timestamp_key: 'false', ...options },
      context,
    );
    outputs.push(output);
    return {
      context,
      deliver: (slices: readonly Slice[], signal = noAbort()): Promise<Outcome> =>
        output.deliver(slices, signal),
    };
  };
  const numbers = (): number[] => broker.values.map((text) => (JSON.parse(text) as { n: number }).n);

  describe('messages', () => {
    it('json with its time, key and headers', async () => {
      const { deliver } = await open({ timestamp_key: '@timestamp', message_key_field: 'k' });
      await deliver([
        sliceOf('app.a', [{ record: '{"k":"key"}', seconds: 1_700_000_000, nanos: 123_456_789 }, '{"k":1}']),
      ]);
      const [one, two] = broker.stored[0]?.batch.records ?? [];
      expect(String(one?.value)).toBe('{"@timestamp":1700000000.123457,"k":"key"}');
      expect([String(one?.key), String(two?.key)]).toEqual(['key', '1']);
      expect(one?.headers.map(([name, value]) => `${String(name)}=${String(value)}`)).toEqual([
        'tailrace-tag=app.a',
        'tailrace-time=1700000000.123456789',
      ]);
      expect(broker.stored[0]?.batch.firstTimestamp).toBe(1_700_000_000_123n);
      expect(two?.timestampDelta).toBe(377n);
    });

    it.each([
      ['iso8601', '{"t":"2023-11-14T22:13:20.500000Z","a":1}'],
      ['iso8601_ns', '{"t":"2023-11-14T22:13:20.500000000Z","a":1}'],
    ])('time as %s', async (format, text) => {
      const { deliver } = await open({ timestamp_key: 't', timestamp_format: format });
      await deliver([sliceOf('app', ['{"a":1}'])]);
      expect(broker.values).toEqual([text]);
    });

    it('msgpack: a map with the time in front', async () => {
      const { deliver } = await open({ format: 'msgpack', timestamp_key: '@timestamp' });
      await deliver([sliceOf('app', ['{"a":[1,null]}'])]);
      expect(decode(broker.stored[0]?.batch.records[0]?.value as Buffer)).toEqual({
        '@timestamp': 1_700_000_000.5,
        a: [1, null],
      });
    });

    it('gelf and raw: what they cannot take is rejected', async () => {
      const gelf = await open({ format: 'gelf', gelf_short_message_key: 'log' });
      expect(await gelf.deliver([sliceOf('app', ['{"log":"a"}', '{"x":1}'])])).toMatchObject({
        rejected: [{ index: 1, reason: expect.stringContaining('"log"') }],
      });
      const raw = await open({ format: 'raw', raw_log_key: 'log' });
      expect(
        await raw.deliver([sliceOf('app', ['{"x":1}', '{"log":"line"}', '{"log":{"n":1}}'])]),
      ).toMatchObject({
        rejected: [{ index: 0 }],
      });
      expect(broker.values.slice(1)).toEqual(['line', '{"n":1}']);
    });

    it('topics by a field of the record', async () => {
      broker.topics.set('b', 1).set('new', 1);
      const records = ['{"t":"b"}', '{"t":"new"}', '{"t":"../x"}', '{}'];
      const listed = await open({ topics: 'fluent-bit,b', topic_key: 't' });
      expect(await listed.deliver([sliceOf('app', records)])).toEqual({});
      const byTopic = (): string[] =>
        broker.stored.map(({ topic, batch }) => `${topic} ${batch.records.length}`);
      expect(byTopic()).toEqual(['b 1', 'fluent-bit 3']);
      broker.stored.length = 0;
      const dynamic = await open({ topics: 'fluent-bit', topic_key: 't', dynamic_topic: 'on' });
      expect(await dynamic.deliver([sliceOf('app', records)])).toMatchObject({
        rejected: [{ index: 2, reason: expect.stringContaining('"../x"') }],
      });
      expect(byTopic().toSorted()).toEqual(['b 1', 'fluent-bit 1', 'new 1']);
    });

    it('the same key goes to the same partition, none in turn', async () => {
      broker.topics.set('fluent-bit', 4);
      const keyed = await open({ message_key_field: 'k' });
      await keyed.deliver([sliceOf('app', ['{"k":"a"}', '{"k":"b"}', '{"k":"a"}'])]);
      const places = broker.stored.flatMap(({ partition, batch }) =>
        batch.records.map(({ key }) => `${String(key)} ${partition}`),
      );
      expect(places).toHaveLength(3);
      expect(new Set(places).size).toBe(2);
      broker.stored.length = 0;
      const { deliver } = await open();
      for (let n = 0; n < 4; n++) await deliver([sliceOf('app', ['{}', '{}'])]);
      expect(broker.stored.map(({ partition }) => partition)).toEqual([0, 1, 2, 3]);
    });
  });

  describe('outcomes', () => {
    it('a batch that is too large is halved down to the record', async () => {
      const big = 'x'.repeat(2000);
      broker.behave = ({ bytes }) => (bytes > 1000 ? { code: 10 } : 'store');
      const { deliver } = await open({ record_headers: 'off' });
      const records = Array.from({ length: 64 }, (_, n) =>
        n === 40 ? `{"n":40,"big":"${big}"}` : `{"n":${n}}`,
      );
      expect(await deliver([sliceOf('app', records)])).toMatchObject({
        rejected: [{ index: 40, status: 10, reason: expect.stringContaining('MESSAGE_TOO_LARGE') }],
      });
      expect(numbers()).toEqual(Array.from({ length: 64 }, (_, n) => n).filter((n) => n !== 40));
    });

    it('records that the broker names are rejected alone', async () => {
      broker.behave = ({ batch }) => (batch.records.length === 3 ? { code: 87, bad: [1] } : 'store');
      const { deliver } = await open();
      expect(await deliver([sliceOf('app', ['{"n":0}', '{"n":1}', '{"n":2}'])])).toEqual({
        rejected: [{ index: 1, status: 87, reason: 'it is bad' }],
      });
      expect(numbers()).toEqual([0, 2]);
    });

    it('what other partitions have stored is not sent again', async () => {
      broker.topics.set('fluent-bit', 2).set('b', 1);
      broker.behave = ({ topic }) => (topic === 'b' ? { code: 19 } : 'store');
      const { deliver } = await open({ topics: 'fluent-bit,b', topic_key: 't' });
      expect(await deliver([sliceOf('app', ['{"t":"b"}', '{}', '{"t":"b"}'])])).toMatchObject({
        retry: [0, 2],
        reason: expect.stringMatching(/topic "b": too few replicas are in sync.*NOT_ENOUGH_REPLICAS/),
      });
      expect(broker.values).toEqual(['{}']);
    });

    it('an unknown topic: the destination’s fault, with what to do', async () => {
      const { deliver } = await open({ topics: 'nowhere', 'rdkafka.*': 'allow.auto.create.topics false' });
      const error = await deliver([sliceOf('app', ['{}'])]).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RetryableError);
      expect((error as Error).message).toMatch(
        /^kafka:\/\/127\.0\.0\.1:\d+: topic "nowhere": the topic is unknown: create it/,
      );
    });

    it('a topic that a record names and nobody knows does not hold up the others for ever', async () => {
      const { deliver } = await open({
        topic_key: 't',
        dynamic_topic: 'on',
        'rdkafka.*': 'allow.auto.create.topics false',
      });
      const slices = [sliceOf('app', ['{"t":"nowhere"}', '{}'])];
      for (let attempt = 1; attempt < 5; attempt++)
        expect(await deliver(slices)).toMatchObject({ retry: [0] });
      expect(await deliver(slices)).toMatchObject({
        rejected: [{ index: 0, reason: expect.stringContaining('"nowhere"') }],
      });
    });

    it('a broker that is not there', async () => {
      const { deliver } = await open({ brokers: '127.0.0.1:1' });
      await expect(deliver([sliceOf('app', ['{}'])])).rejects.toThrow(
        /^kafka:\/\/127\.0\.0\.1:1: the connection was refused/,
      );
    });
  });

  describe('a connection that breaks in the middle', () => {
    const attempt = async (
      deliver: (slices: readonly Slice[]) => Promise<Outcome>,
      slices: readonly Slice[],
    ) => deliver(slices).catch((error: unknown) => error);

    it.each(['cut after', 'cut before'] as const)('%s storing: the records are there once', async (how) => {
      const arrivals = new Arrivals();
      const slices = [numbered(0, 10, arrivals)];
      const { deliver } = await open();
      broker.behave = () => how;
      expect(await attempt(deliver, slices)).toBeInstanceOf(RetryableError);
      broker.behave = () => 'store';
      // They come again in other company, and not all at once.
      const [slice] = slices as [Slice];
      expect(await deliver([partOf(slice, 0, 4), numbered(10, 12, arrivals)])).toEqual({});
      expect(await deliver([partOf(slice, 4, 10), numbered(12, 14, arrivals)])).toEqual({});
      expect(numbers()).toEqual(Array.from({ length: 14 }, (_, n) => n));
    });

    it('again and again', async () => {
      const arrivals = new Arrivals();
      const slices = [numbered(0, 5, arrivals)];
      const { deliver } = await open();
      broker.behave = () => 'cut after';
      for (let times = 0; times < 3; times++)
        expect(await attempt(deliver, slices)).toBeInstanceOf(RetryableError);
      broker.behave = () => 'store';
      expect(await deliver(slices)).toEqual({});
      expect(numbers()).toEqual([0, 1, 2, 3, 4]);
    });

    it('only its partition waits', async () => {
      broker.topics.set('b', 1);
      const arrivals = new Arrivals();
      const { deliver } = await open({ topics: 'fluent-bit,b', topic_key: 't' });
      broker.behave = () => ({ code: 7 });
      const batch = new Batch();
      for (const topic of ['fluent-bit', 'b']) batch.push(undefined, `{"t":"${topic}"}`, 1, 0);
      const slice = new ChunkSlice(encodeBatch('app', batch, true, 0, arrivals), 0, 2);
      expect(await attempt(deliver, [slice])).toBeInstanceOf(RetryableError);
      broker.behave = ({ topic }) => (topic === 'b' ? { code: 7 } : 'store');
      expect(await deliver([slice])).toMatchObject({ retry: [1] });
      broker.behave = () => 'store';
      expect(await deliver([partOf(slice, 1, 2)])).toEqual({});
      expect(broker.values).toEqual(['{"t":"fluent-bit"}', '{"t":"b"}']);
    });

    it('a broker that has forgotten the producer: a new session, and a word about it', async () => {
      const arrivals = new Arrivals();
      const slices = [numbered(0, 3, arrivals)];
      const { deliver, context } = await open();
      broker.behave = () => 'cut before';
      await attempt(deliver, slices);
      broker.behave = ({ batch }) => (batch.producerId === 1001n ? { code: 59 } : 'store');
      expect(await deliver(slices)).toEqual({});
      expect(numbers()).toEqual([0, 1, 2]);
      expect(JSON.stringify(context.log)).toContain('may be stored twice');
    });

    it('the agent stops', async () => {
      const stop = new AbortController();
      const reason = new Error('The agent stops.');
      broker.behave = () => {
        stop.abort(reason);
        return 'store';
      };
      const { deliver } = await open();
      await expect(deliver([numbered(0, 3, new Arrivals())], stop.signal)).rejects.toBe(reason);
    });
  });

  describe('options', () => {
    const LOCAL = { brokers: 'a:9092' };
    it.each<[Record<string, string | string[]>, string]>([
      [{}, 'brokers is missing'],
      [{ brokers: 'http://a' }, 'brokers holds "http://a"'],
      [{ ...LOCAL, topics: 'a b' }, 'topics holds "a b"'],
      [{ ...LOCAL, format: 'avro' }, 'format avro is not there yet'],
      [{ ...LOCAL, dynamic_topic: 'on' }, 'dynamic_topic needs topic_key'],
      [{ ...LOCAL, topic_key: '$a[' }, 'topic_key cannot be read'],
      [{ ...LOCAL, 'sasl.username': 'u' }, 'sasl.mechanism PLAIN needs a user and a password'],
      [{ ...LOCAL, 'sasl.username': 'u', 'sasl.password': 'p' }, 'PLAIN sends the password as it is'],
      [{ ...LOCAL, tls: 'on', 'tls.crt_file': '/x' }, 'tls.crt_file stands alone'],
      [{ ...LOCAL, tls: 'on', 'tls.verify': 'off' }, 'tls.verify is off'],
      [{ ...LOCAL, aws_msk_iam: 'on' }, 'aws_msk_iam is not there yet'],
      [{ ...LOCAL, 'rdkafka.*': 'request.required.acks 0' }, 'nothing says whether a record arrived'],
      [{ ...LOCAL, 'rdkafka.*': 'transactional.id x' }, 'there are no transactions here'],
      [
        { ...LOCAL, 'rdkafka.*': 'linger.ms 5' },
        'sets linger.ms, which has no effect: the pipeline makes the batches',
      ],
      [{ ...LOCAL, 'rdkafka.*': 'no.such 5' }, 'sets no.such, which has no equivalent here'],
      [{ ...LOCAL, 'rdkafka.*': 'compression.codec brotli' }, 'is none of none, gzip'],
      [{ ...LOCAL, 'rdkafka.*': 'session.timeout.ms 6000' }, 'it is for a consumer'],
    ])('%j', (written, expected) => {
      expect(problemsOf(kafka, written).join('\n')).toContain(expected);
    });

    it('takes the properties of librdkafka', () => {
      const written = [
        'bootstrap.servers a:9092,[::1]:9093',
        'security.protocol SASL_SSL',
        'sasl.mechanisms SCRAM-SHA-512',
        'sasl.username u',
        'sasl.password p',
        'compression.codec zstd',
        'request.required.acks -1',
        'message.max.bytes 500000',
      ];
      expect(problemsOf(kafka, { 'rdkafka.*': written })).toEqual([]);
    });
  });
});
