/** The kafka output against Apache Kafka. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { SCRAM_USER, startKafka } from './servers/kafka.ts';
import type { KafkaServer } from './servers/kafka.ts';
import { readTopic } from './support/kafka-reader.ts';
import { appendRecords, Found, nanosOf, recordOf, recordsPipeline } from './support/records.ts';

const TOTAL = 100_000;
let server: KafkaServer;

beforeAll(async () => {
  server = await startKafka({ 'auto.create.topics.enable': 'true' });
});

afterAll(async () => {
  await server.close();
});

const delivered = 'tailrace_output_delivered_records_total';

test('100,000 records arrive as they were, by compressed batches', async ({ rig }) => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    const total = compression === 'none' ? TOTAL : 2000;
    const topic = `all-${compression}`;
    appendRecords(rig.path(`${topic}.log`), 0, total);
    rig.configure(
      `${recordsPipeline(rig.path(`${topic}.log`))}  outputs:
    - {name: kafka, match: '*', brokers: '${server.broker}', topics: ${topic}, compression: ${compression}, message_key_field: n, timestamp_key: false}
`,
    );
    const agent = await rig.start({ state: `state-${topic}` });
    await agent.until((scrape) => scrape.sum(delivered) === total);
    expect(await agent.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0 } });
    const found = new Found();
    await readTopic(server.broker, topic, total, (message) => {
      found.add(message.record, message.nanos);
      expect(message.timestamp).toBe(nanosOf(Number(message.key)) / 1_000_000n);
    });
    found.expectComplete(total, { once: true });
  }
});
