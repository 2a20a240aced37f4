/** The kafka output against Apache Kafka. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { PLAIN_USER, SCRAM_USER, startKafka } from './servers/kafka.ts';
import type { KafkaServer } from './servers/kafka.ts';
import { readTopic } from './support/kafka-reader.ts';
import { appendRecords, FIRST_SECOND, Found, nanosOf, recordsPipeline } from './support/records.ts';

const TOTAL = 100_000;
const SAMPLES = join(import.meta.dirname, '../../pipelines');
let server: KafkaServer;

beforeAll(async () => {
  server = await startKafka();
});

afterAll(async () => {
  await server.close();
});

const DELIVERED = 'tailrace_output_delivered_records_total';

/** Lines of a file to a topic; `output` are further keys of the output. */
function configure(rig: Rig, topic: string, output: string): void {
  rig.configure(
    `${recordsPipeline(rig.path(`${topic}.log`))}  outputs:
    - {name: kafka, match: '*', topics: ${topic}, timestamp_key: false, ${output}}
`,
  );
}

/** All records of a topic, judged. */
async function found(topic: string, total: number): Promise<Found> {
  const all = new Found();
  await readTopic(server.broker, topic, total, ({ record, nanos }) => all.add(record, nanos));
  return all;
}

/** The text of all dead letters. */
function deadLetters(rig: Rig): string {
  return readdirSync(rig.path('state'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ndjson'))
    .map((name) => readFileSync(rig.path('state', name), 'utf8'))
    .join('');
}

/** The warning about the destination. */
async function complaint(agent: AgentProcess): Promise<string> {
  const line = await agent.said(/The destination failed/);
  expect(line).toMatchObject({ level: 'warn', output: 'kafka.0' });
  return String(line['error']);
}

describe('100,000 records arrive as they were', () => {
  test.for([
    ['none', TOTAL],
    ['gzip', 2000],
    ['snappy', 2000],
    ['lz4', 2000],
    ['zstd', TOTAL],
  ] as const)('compression %s, %i records', async ([compression, total], { rig }) => {
    const topic = `all-${compression}`;
    await server.createTopic(topic, 3);
    appendRecords(rig.path(`${topic}.log`), 0, total);
    configure(rig, topic, `brokers: '${server.broker}', compression: ${compression}, message_key_field: n`);
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum(DELIVERED) === total);
    expect(await agent.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0, dead_lettered: 0 } });
    const all = new Found();
    await readTopic(server.broker, topic, total, (message) => {
      all.add(message.record, message.nanos);
      // The time of the message is the event's; the origin is there.
      if (message.timestamp !== nanosOf(Number(message.key)) / 1_000_000n)
        all.wrong.push({ found: message, expected: 'its time' });
      if (!/^[\da-f-]{36}:\d+-\d+$/.test(message.headers['tailrace-origin'] ?? ''))
        all.wrong.push({ found: message, expected: 'its origin' });
    });
    all.expectComplete(total, { once: true });
  });
});

test('the broker is killed and comes back in the middle: nothing missing, nothing twice', async ({ rig }) => {
  await server.createTopic('killed', 3);
  const path = rig.path('killed.log');
  appendRecords(path, 0, 20_000);
  configure(rig, 'killed', `brokers: '${server.broker}'`);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum(DELIVERED) > 0);
  for (let round = 1; round < 5; round++) {
    // In the middle of sending, most likely with requests under way.
    const before = (await agent.scrape()).sum(DELIVERED);
    appendRecords(path, 20_000 * round, 20_000 * (round + 1));
    await agent.until((scrape) => scrape.sum(DELIVERED) > before);
    if (round % 2 === 0) continue;
    await server.process.kill();
    await agent.said(/The destination failed/);
    await server.process.start();
  }
  await agent.until((scrape) => scrape.sum(DELIVERED) === TOTAL);
  expect(await agent.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0 } });
  (await found('killed', TOTAL)).expectComplete(TOTAL, { once: true });
});

test('one record over the limit of the topic is a dead letter, the others arrive', async ({ rig }) => {
  await server.createTopic('small', 1, { 'max.message.bytes': '20000' });
  const path = rig.path('small.log');
  appendRecords(path, 0, 1000);
  rig.configure(
    `${recordsPipeline(path)}    - {name: dummy, samples: 1, tag: big, dummy: '{"big":"${'x'.repeat(30_000)}"}'}
  outputs:
    - {name: kafka, match: '*', topics: small, timestamp_key: false, brokers: '${server.broker}'}
`,
  );
  const agent = await rig.start();
  await agent.until(
    (scrape) =>
      scrape.sum(DELIVERED) === 1000 && scrape.sum('tailrace_output_dead_lettered_records_total') === 1,
  );
  await agent.stop();
  expect(deadLetters(rig)).toMatch(/MESSAGE_TOO_LARGE.*see max\.message\.bytes of the topic/);
  (await found('small', 1000)).expectComplete(1000, { once: true });
});

test('a record from the future, which the broker refuses, is a dead letter, the others arrive', async ({
  rig,
}) => {
  await server.createTopic('future', 1);
  const path = rig.path('future.log');
  appendRecords(path, 0, 100);
  rig.configure(
    `${recordsPipeline(path)}    - {name: dummy, samples: 1, tag: app, dummy: '{"late":true}', start_time_sec: ${FIRST_SECOND + 864_000}}
  outputs:
    - {name: kafka, match: '*', topics: future, timestamp_key: false, brokers: '${server.broker}'}
`,
  );
  const agent = await rig.start();
  await agent.until(
    (scrape) =>
      scrape.sum(DELIVERED) === 100 && scrape.sum('tailrace_output_dead_lettered_records_total') === 1,
  );
  await agent.stop();
  expect(deadLetters(rig)).toMatch(/[Tt]imestamp/);
  (await found('future', 100)).expectComplete(100, { once: true });
});

describe('a fault of the destination is told once, with what to do; what it held up arrives when it is mended', () => {
  /** Starts with a fault, mends it, and expects everything to arrive. */
  const faulty = async (
    rig: Rig,
    topic: string,
    output: string,
    advice: RegExp,
    mend: (rig: Rig) => Promise<unknown>,
  ): Promise<void> => {
    appendRecords(rig.path(`${topic}.log`), 0, 500);
    configure(rig, topic, output);
    const agent = await rig.start();
    expect(await complaint(agent)).toMatch(advice);
    await mend(rig);
    await agent.reload();
    await agent.until((scrape) => scrape.sum(DELIVERED) === 500);
    expect(await agent.stop()).toMatchObject({ summary: { dead_lettered: 0, dropped: 0 } });
    (await found(topic, 500)).expectComplete(500, { once: true });
  };

  const user = ({ username, password }: { username: string; password: string }): string =>
    `sasl.username: ${username}, sasl.password: ${password}`;

  test.for([
    ['PLAIN', PLAIN_USER],
    ['SCRAM-SHA-256', SCRAM_USER],
    ['SCRAM-SHA-512', SCRAM_USER],
  ] as const)('a wrong password: %s', async ([mechanism, right], { rig }) => {
    const topic = `auth-${mechanism}`;
    await server.createTopic(topic);
    const output = `alias: kafka.0, brokers: '${server.saslBroker}', sasl.mechanism: ${mechanism}`;
    await faulty(
      rig,
      topic,
      `${output}, ${user({ ...right, password: 'wrong' })}`,
      /^kafka:\/\/127\.0\.0\.1:\d+: the brokers do not accept user and password: check sasl\.username/,
      async () => configure(rig, topic, `${output}, ${user(right)}`),
    );
  });

  test('no SASL where it is wanted', async ({ rig }) => {
    await server.createTopic('no-sasl');
    const output = `alias: kafka.0, brokers: '${server.saslBroker}'`;
    await faulty(rig, 'no-sasl', output, /does it want SASL or TLS at that port/, async () =>
      configure(rig, 'no-sasl', `${output}, ${user(PLAIN_USER)}`),
    );
  });

  test('a topic that is not there', async ({ rig }) => {
    await faulty(
      rig,
      'absent',
      `brokers: '${server.broker}'`,
      /^kafka:\/\/127\.0\.0\.1:\d+: topic "absent": the topic is unknown: create it/,
      () => server.createTopic('absent'),
    );
  });

  test('a host that is not there', async ({ rig }) => {
    await server.createTopic('no-host');
    await faulty(
      rig,
      'no-host',
      'alias: kafka.0, brokers: broker.invalid:9092',
      /^kafka:\/\/broker\.invalid:9092: the host name (?:is unknown|cannot be looked up)/,
      async () => configure(rig, 'no-host', `alias: kafka.0, brokers: '${server.broker}'`),
    );
  });

  test('TLS: an authority that is not trusted, then the right one', async ({ rig }) => {
    await server.createTopic('tls');
    const { ca, otherCa } = server.certificates;
    const output = `alias: kafka.0, brokers: '${server.tlsBroker}', tls: on`;
    await faulty(
      rig,
      'tls',
      `${output}, tls.ca_file: ${otherCa}`,
      /its certificate comes from an unknown authority: set tls\.ca_file/,
      async () => configure(rig, 'tls', `${output}, tls.ca_file: ${ca}`),
    );
  });

  test('TLS: a certificate that has expired', async ({ rig }) => {
    await server.createTopic('expired');
    const { ca } = server.certificates;
    await faulty(
      rig,
      'expired',
      `alias: kafka.0, brokers: '${server.expiredBroker}', tls: on, tls.ca_file: ${ca}`,
      /its certificate has expired/,
      async () =>
        configure(
          rig,
          'expired',
          `alias: kafka.0, brokers: '${server.tlsBroker}', tls: on, tls.ca_file: ${ca}`,
        ),
    );
  });

  test('TLS at a port without', async ({ rig }) => {
    await server.createTopic('plain-port');
    await faulty(
      rig,
      'plain-port',
      `alias: kafka.0, brokers: '${server.broker}', tls: on`,
      /does not speak TLS|connection was (?:cut|closed)|TLS/,
      async () => configure(rig, 'plain-port', `alias: kafka.0, brokers: '${server.broker}'`),
    );
  });
});

test('the samples pipelines/kafka.yaml and pipelines/kafka-aggregator.yaml', async ({ rig }) => {
  await server.createTopic('logs', 2);
  const env = { KAFKA: server.broker, LOGS: join(SAMPLES, 'logs/app.log') };
  const lines = readFileSync(env.LOGS, 'utf8').split('\n').filter(Boolean);
  const agent = await rig.start({ config: join(SAMPLES, 'kafka.yaml'), env, state: 'state-agent' });
  const aggregator = await rig.start({
    config: join(SAMPLES, 'kafka-aggregator.yaml'),
    env,
    state: 'state-aggregator',
  });
  await aggregator.shown(lines.length);
  const shown = aggregator.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(shown.map(({ msg }) => msg).toSorted()).toEqual(
    lines.map((line) => (JSON.parse(line) as { msg: string }).msg).toSorted(),
  );
  for (const { _origin: origin } of shown) expect(origin).toMatch(/^[\da-f-]{36}:\d+-\d+$/);
  await agent.stop();
  await aggregator.stop();
});
