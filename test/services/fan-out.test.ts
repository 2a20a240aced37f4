/**
 * One input to Elasticsearch, S3 (versitygw), CloudWatch Logs (moto) and Loki at once, by the sample pipeline, one of them down for a minute:
 * the others go on, and all have everything at the end.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Scrape } from '../support/metrics.ts';
import { startElasticsearch } from './servers/elasticsearch.ts';
import { startLoki } from './servers/loki.ts';
import type { LokiServer } from './servers/loki.ts';
import { startMoto } from './servers/moto.ts';
import type { MotoServer } from './servers/moto.ts';
import type { SearchServer } from './servers/search-server.ts';
import { startVersitygw, VERSITY_ENVIRONMENT } from './servers/versitygw.ts';
import type { VersityServer } from './servers/versitygw.ts';
import { StoreBucket } from './support/bucket.ts';
import { addEvents, CloudWatchReader } from './support/cloudwatch-query.ts';
import { addEntries, queryAll } from './support/loki-query.ts';
import { appendRecords, Found, nanosOf } from './support/records.ts';
import { MAPPINGS, SearchStore } from './support/search-store.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/fan-out.yaml');
const TOTAL = 100_000;
const DOWN_MS = 60_000;
/** Events of one request to CloudWatch, which knows no ids: as many can be there twice when its answer was lost. */
const MOST_DOUBLES = 10_000;
const OUTPUTS = ['elasticsearch.0', 's3.1', 'cloudwatch_logs.2', 'loki.3'] as const;
const OTHERS = OUTPUTS.slice(0, 3);

let search: SearchServer;
let objects: VersityServer;
let aws: MotoServer;
let logs: LokiServer;

beforeAll(async () => {
  search = await startElasticsearch();
  objects = await startVersitygw();
  aws = await startMoto();
  logs = await startLoki([
    '-distributor.ingestion-rate-limit-mb=200',
    '-distributor.ingestion-burst-size-mb=200',
    '-ingester.per-stream-rate-limit=200MB',
    '-ingester.per-stream-rate-limit-burst=200MB',
  ]);
});

afterAll(async () => {
  for (const server of [search, objects, aws, logs]) await server.close();
});

const delivered = (scrape: Scrape, name: string): number =>
  scrape.sum('tailrace_output_delivered_records_total', { name });

test('a Loki that is down for a minute holds up none of the others', async ({ rig }) => {
  const store = new SearchStore(search);
  await store.ask('PUT', '/_index_template/records', {
    index_patterns: ['fan-out'],
    template: { settings: { number_of_replicas: 0 }, mappings: MAPPINGS },
  });
  const bucket = await new StoreBucket(objects.client, 'fan-out').create();
  const agent = await rig.start({
    config: SAMPLE,
    env: {
      ...VERSITY_ENVIRONMENT,
      FAN_OUT_DEMO_LOG: rig.path('app.log'),
      ELASTICSEARCH_PORT: String(search.port),
      S3_ENDPOINT: objects.url,
      S3_BUCKET: bucket.name,
      S3_UPLOAD_TIMEOUT: '5s',
      CLOUDWATCH_ENDPOINT: aws.url,
      LOKI_PORT: String(logs.port),
    },
  });
  appendRecords(rig.path('app.log'), 0, TOTAL / 5);
  await agent.until((scrape) => OUTPUTS.every((name) => delivered(scrape, name) === TOTAL / 5));

  await logs.process.kill();
  const downSince = performance.now();
  appendRecords(rig.path('app.log'), TOTAL / 5, TOTAL);
  const without = await agent.until((scrape) => OTHERS.every((name) => delivered(scrape, name) === TOTAL));
  expect(delivered(without, 'loki.3')).toBeLessThan(TOTAL);
  process.stderr.write(
    `the others had all of it ${Math.round((performance.now() - downSince) / 1000)} s after Loki went down\n`,
  );
  await agent.until(() => performance.now() - downSince > DOWN_MS);
  await logs.process.start();
  await agent.until((scrape) => delivered(scrape, 'loki.3') === TOTAL);

  const inSearch = new Found();
  await store.judge('fan-out', inSearch);
  inSearch.expectComplete(TOTAL, { once: true });
  const inBucket = new Found();
  await bucket.judge(inBucket);
  inBucket.expectComplete(TOTAL, { once: true });
  const reader = new CloudWatchReader(aws.url, 'us-east-1');
  const inCloudWatch = new Found();
  addEvents(inCloudWatch, await reader.events('/tailrace/fan-out'));
  reader.close();
  inCloudWatch.expectComplete(TOTAL, { once: false });
  expect(inCloudWatch.total - TOTAL).toBeLessThanOrEqual(MOST_DOUBLES);
  const inLoki = new Found();
  const window = { from: nanosOf(0), to: nanosOf(TOTAL) };
  addEntries(inLoki, await queryAll(logs.url, '{job="fan-out"}', window), ['level']);
  inLoki.expectComplete(TOTAL, { once: false });
  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ delivered: 4 * TOTAL, dead_lettered: 0, in_doubt: 0 });
});
