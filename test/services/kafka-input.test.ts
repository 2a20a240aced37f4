/** The kafka input, fed by the kafka output, against Apache Kafka: from agent to agent. */
import { afterAll, beforeAll, expect } from 'vitest';
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { SCRAM_USER, startKafka } from './servers/kafka.ts';
import type { KafkaServer } from './servers/kafka.ts';
import { appendRecords, Found, recordsPipeline } from './support/records.ts';
import { writtenIn } from './support/written.ts';

const TOTAL = 100_000;
const PARTITIONS = 4;
let server: KafkaServer;

beforeAll(async () => {
  server = await startKafka();
});

afterAll(async () => {
  await server.close();
});

const deliveredRecords = 'tailrace_output_delivered_records_total';

/** Writes records to a topic, by an agent that is stopped when all are there. */
async function produce(rig: Rig, topic: string, total: number, from = 0): Promise<void> {
  appendRecords(rig.path(`${topic}.log`), from, total);
  rig.configure(
    `${recordsPipeline(rig.path(`${topic}.log`), { tag: 'app.one' })}  outputs:
    - {name: kafka, match: '*', brokers: '${server.broker}', topics: ${topic}, message_key_field: n, timestamp_key: false, compression: zstd}
`,
  );
  const agent = await rig.start({ state: `state-${topic}` });
  await agent.until((scrape) => scrape.sum(deliveredRecords) === total - from);
  expect(await agent.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0 } });
}

/** Starts an agent that reads the topic into a file of its own. */
function consume(rig: Rig, name: string, topic: string, more = ''): Promise<AgentProcess> {
  rig.configure(`service: {flush: 0.2, grace: 20}
pipeline:
  inputs:
    - {name: kafka, tag: kafka, brokers: '${server.broker}', topics: ${topic}, group_id: ${topic}, record: payload, tag_from_header: on, rdkafka.session.timeout.ms: 6000, rdkafka.heartbeat.interval.ms: 500${more}}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: ${name}.out}
`);
  return rig.start({ state: `state-${name}` });
}

/** Judges what several agents wrote together. */
function judge(rig: Rig, names: readonly string[]): Found {
  const found = new Found();
  for (const name of names) {
    for (const { tag, nanos, record } of writtenIn(rig.path(`${name}.out`))) {
      expect(tag).toBe('app.one');
      found.add(record, nanos);
    }
  }
  return found;
}

/** Waits until the agents have written `total` different records. */
async function allWritten(rig: Rig, names: readonly string[], total: number): Promise<void> {
  while (judge(rig, names).counts.size < total) await pause(500);
}

test('agent → Kafka → agent: 100,000 records with time and tag, none twice', async ({ rig }) => {
  await server.createTopic('through', PARTITIONS);
  await produce(rig, 'through', TOTAL);
  const agent = await consume(rig, 'one', 'through');
  await agent.until((scrape) => scrape.sum(deliveredRecords) >= TOTAL);
  expect(await agent.stop()).toMatchObject({ code: 0 });
  judge(rig, ['one']).expectComplete(TOTAL, { once: true });

  // What is settled was committed at the stop: the next one has nothing to read.
  const again = await consume(rig, 'two', 'through');
  await again.until((scrape) => scrape.sum('tailrace_input_partitions') === PARTITIONS);
  await produce(rig, 'through', TOTAL + 1, TOTAL);
  await again.until((scrape) => scrape.sum(deliveredRecords) > 0);
  expect(writtenIn(rig.path('two.out')).map(({ record }) => record)).toMatchObject([{ n: TOTAL }]);
  await again.stop();
});

test('an agent that is killed in the middle loses nothing', async ({ rig }) => {
  await server.createTopic('killed', PARTITIONS);
  await produce(rig, 'killed', 50_000);
  const first = await consume(rig, 'one', 'killed', ', buffer_max_size: 100k');
  await first.until((scrape) => scrape.sum(deliveredRecords) > 5000);
  await first.kill();
  const before = judge(rig, ['one']).counts.size;
  expect(before).toBeLessThan(50_000);
  const second = await consume(rig, 'two', 'killed');
  await allWritten(rig, ['one', 'two'], 50_000);
  await second.stop();
  judge(rig, ['one', 'two']).expectComplete(50_000, { once: false });
});

test('two agents share the partitions, one joins and one leaves in the middle', async ({ rig }) => {
  await server.createTopic('shared', PARTITIONS);
  await produce(rig, 'shared', 50_000);
  const first = await consume(rig, 'one', 'shared', ', buffer_max_size: 50k');
  await first.until((scrape) => scrape.sum(deliveredRecords) > 1000);
  const second = await consume(rig, 'two', 'shared', ', buffer_max_size: 50k');
  await second.until((scrape) => scrape.sum('tailrace_input_partitions') > 0);
  await first.stop();
  await allWritten(rig, ['one', 'two'], 50_000);
  await second.stop();
  judge(rig, ['one', 'two']).expectComplete(50_000, { once: false });
});

test('the broker is killed in the middle of reading', async ({ rig }) => {
  await server.createTopic('broken', PARTITIONS);
  await produce(rig, 'broken', 50_000);
  const agent = await consume(rig, 'one', 'broken', ', buffer_max_size: 50k');
  await agent.until((scrape) => scrape.sum(deliveredRecords) > 1000);
  await server.process.kill();
  await agent.said(/Kafka cannot be read now/);
  await server.process.start();
  await allWritten(rig, ['one'], 50_000);
  await agent.stop();
  judge(rig, ['one']).expectComplete(50_000, { once: true });
});

test('SASL and TLS: a wrong password and an expired certificate are told once, and the rest arrives when they are mended', async ({
  rig,
}) => {
  await server.createTopic('guarded', PARTITIONS);
  await produce(rig, 'guarded', 1000);
  const { ca } = server.certificates;
  const { username, password } = SCRAM_USER;
  const read = (more: string): void =>
    rig.configure(`service: {flush: 0.2}
pipeline:
  inputs:
    - {name: kafka, alias: in, tag: kafka, topics: guarded, group_id: guarded, record: payload, tag_from_header: on, ${more}}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: one.out}
`);
  const sasl = `brokers: '${server.saslBroker}', sasl.mechanism: SCRAM-SHA-256, sasl.username: ${username}`;
  for (const [wrong, right, advice] of [
    [`${sasl}, sasl.password: wrong`, `${sasl}, sasl.password: ${password}`, /check sasl\.username/],
    [
      `brokers: '${server.expiredBroker}', tls: on, tls.ca_file: ${ca}`,
      `brokers: '${server.tlsBroker}', tls: on, tls.ca_file: ${ca}`,
      /its certificate has expired/,
    ],
  ] as const) {
    read(wrong);
    const agent = await rig.start({ state: 'state-one' });
    const line = await agent.said(/Kafka cannot be read now/);
    expect(line).toMatchObject({ level: 'warn', input: 'in', error: expect.stringMatching(advice) });
    expect(String(line['brokers'])).toMatch(/^kafka:\/\/127\.0\.0\.1:\d+$/);
    read(right);
    expect(await agent.reload()).toMatchObject({ status: 200 });
    await agent.until((scrape) => scrape.sum('tailrace_input_partitions') === PARTITIONS);
    await allWritten(rig, ['one'], 1000);
    await agent.stop();
  }
  judge(rig, ['one']).expectComplete(1000, { once: true });
});
