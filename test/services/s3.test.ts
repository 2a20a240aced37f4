/** The s3 output against versitygw, which checks signatures and survives a kill, and moto. Where a stand-in is in its place, the test says so. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { parseExact } from '../../src/event/json.ts';
import type { LogRecord } from '../../src/event/record.ts';
import { startServer, tlsFile } from '../net/servers.ts';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { MOTO_ENVIRONMENT, startMoto } from './servers/moto.ts';
import type { MotoServer } from './servers/moto.ts';
import { startVersitygw, VERSITY_ENVIRONMENT } from './servers/versitygw.ts';
import type { VersityServer } from './servers/versitygw.ts';
import { AnswerProxy } from './support/answer-proxy.ts';
import { StoreBucket } from './support/bucket.ts';
import { CutProxy } from './support/cut-proxy.ts';
import { appendRecords, Found, recordsPipeline } from './support/records.ts';
import { settled } from './support/settled.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/s3.yaml');
const TOTAL = 100_000;
const DELIVERED = 'tailrace_output_delivered_records_total';
const UPLOADED = 'tailrace_output_objects_uploaded_total';
const ENQUEUED = 'tailrace_output_enqueued_records_total';

/** The pipeline of the records to a bucket, with these lines for the output. */
function pipeline(rig: Rig, bucket: string, endpoint: string, lines: readonly string[]): string {
  const own = [
    'name: s3',
    "match: '*'",
    `bucket: ${bucket}`,
    `endpoint: ${endpoint}`,
    'net.proxy_env_ignore: on',
    ...lines,
  ];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

async function expectOnce(bucket: StoreBucket, total: number): Promise<void> {
  const found = new Found();
  await bucket.judge(found);
  found.expectComplete(total, { once: true });
  expect(await bucket.unfinished()).toEqual([]);
}

/** Waits until the bucket has so many different records: an agent does not count what the one before it has delivered. */
async function complete(agent: AgentProcess, bucket: StoreBucket, total: number): Promise<void> {
  for (;;) {
    await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    const found = new Found();
    await bucket.judge(found);
    if (found.counts.size >= total) return;
    await pause(1000);
  }
}

describe('versitygw', () => {
  let server: VersityServer;

  beforeAll(async () => {
    server = await startVersitygw();
  });

  afterAll(() => server.close());

  const env = VERSITY_ENVIRONMENT;
  const bucketOf = (name: string): Promise<StoreBucket> => new StoreBucket(server.client, name).create();

  test('the sample pipeline carries 100,000, gzip’ed', async ({ rig }) => {
    const bucket = await bucketOf('sample');
    appendRecords(rig.path('app.log'), 0, TOTAL);
    const agent = await rig.start({
      config: SAMPLE,
      env: { ...env, S3_DEMO_LOG: rig.path('app.log'), S3_ENDPOINT: server.url, S3_BUCKET: bucket.name },
    });
    await settled(agent, TOTAL);
    await expectOnce(bucket, TOTAL);
    for (const [index, key] of (await bucket.keys()).entries())
      expect(key).toMatch(new RegExp(`^demo/app/\\d{4}/\\d\\d/\\d\\d/\\d{6}-${index + 1}\\.json\\.gz$`));
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });

  test('parquet carries 20,000, in columns', async ({ rig }) => {
    const bucket = await bucketOf('parquet');
    const total = TOTAL / 5;
    rig.configure(pipeline(rig, bucket.name, server.url, ['compression: parquet', 'upload_timeout: 1s']));
    appendRecords(rig.path('app.log'), 0, total);
    const agent = await rig.start({ env });
    await settled(agent, total);
    const found = new Found();
    for (const key of await bucket.keys()) {
      const { buffer, byteOffset, byteLength } = await bucket.bytes(key);
      const file = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
      for (const { date, n, nested, ...row } of await parquetReadObjects({ file })) {
        expect(date).toBeInstanceOf(Date);
        found.add({ n: Number(n), nested: parseExact(String(nested)), ...(row as LogRecord) });
      }
    }
    found.expectComplete(total, { once: true });
    await agent.stop();
  });

  test('a store that is killed in the middle has all of them once', async ({ rig }) => {
    const bucket = await bucketOf('killed');
    rig.configure(pipeline(rig, bucket.name, server.url, ['total_file_size: 7M', 'upload_timeout: 2s']));
    appendRecords(rig.path('app.log'), 0, TOTAL / 2);
    const agent = await rig.start({ env });
    await agent.until((scrape) => scrape.sum(UPLOADED) > 0);
    await server.process.kill();
    appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
    await agent.said(/^The destination failed/);
    await server.process.start();
    await agent.said(/^The destination works again/);
    await settled(agent, TOTAL);
    await expectOnce(bucket, TOTAL);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });

  test.for([
    [
      'a part is there, and its upload is not completed',
      'parted',
      /^PUT \S+partNumber=1&/,
      ['total_file_size: 8M'],
    ],
    [
      'an upload in parts is completed, and nobody knows',
      'completed',
      /^POST \S+uploadId=/,
      ['total_file_size: 8M'],
    ],
    [
      'an object is there, and nobody knows',
      'put',
      /^PUT [^?]+\?x-id=PutObject$/,
      ['total_file_size: 2M', 'compression: zstd'],
    ],
  ] as const)('the agent is killed when %s', async ([, name, moment, lines], { rig }) => {
    const bucket = await bucketOf(name);
    const proxy = await new AnswerProxy(server.port, (request) => moment.test(request)).open();
    try {
      const own = ['upload_timeout: 2s', 's3_key_format: /$TAG/$INDEX', ...lines];
      appendRecords(rig.path('app.log'), 0, TOTAL / 2);
      rig.configure(pipeline(rig, bucket.name, `http://127.0.0.1:${proxy.port}`, own));
      const first = await rig.start({ env });
      await proxy.held;
      await first.kill();
      appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
      rig.configure(pipeline(rig, bucket.name, server.url, own));
      const second = await rig.start({ env });
      await complete(second, bucket, TOTAL);
      await expectOnce(bucket, TOTAL);
      await second.stop();
    } finally {
      await proxy.close();
    }
  });

  test('an open object outlives a stop, and $INDEX goes on', async ({ rig }) => {
    const bucket = await bucketOf('index');
    const lines = ['total_file_size: 3M', 'upload_timeout: 10m', 's3_key_format: /objects/$INDEX.json'];
    rig.configure(pipeline(rig, bucket.name, server.url, lines));
    const third = 11_000;
    for (const run of [0, 1, 2]) {
      appendRecords(rig.path('app.log'), run * third, (run + 1) * third);
      const agent = await rig.start({ env });
      await agent.until(
        (scrape) =>
          scrape.sum(ENQUEUED) === third && scrape.sum('tailrace_output_objects', { state: 'closed' }) === 0,
      );
      const { summary } = await agent.stop();
      if (run === 0)
        expect(summary.text).toContain('s3.0: 11,000 on disk (11,000 in objects that are still open)');
      expect(summary.in_doubt).toBe(0);
    }
    rig.configure(
      pipeline(rig, bucket.name, server.url, [...lines.slice(0, 1), 'upload_timeout: 1s', ...lines.slice(2)]),
    );
    const last = await rig.start({ env });
    await last.until(
      (scrape) => scrape.sum(UPLOADED) > 0 && scrape.sum('tailrace_output_buffered_records') === 0,
    );
    await last.stop();
    await expectOnce(bucket, 3 * third);
    const numbers = (await bucket.keys()).map((key) => Number(/^objects\/(\d+)\.json$/.exec(key)?.[1]));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
    expect(numbers.length).toBeGreaterThan(2);
  });

  describe('what the store refuses is said, kept, and delivered when it is mended', () => {
    const RECORDS = 2000;

    /** The failures that an agent has logged since it started, which name the output. */
    const failures = (agent: AgentProcess): readonly string[] =>
      agent.log
        .filter(({ msg, output }) => msg.startsWith('The destination failed') && output === 's3.0')
        .map(({ error }) => String(error));

    /** Waits for some failures: they grow further apart, and say the same. */
    const expectFailures = async (agent: AgentProcess, sentence: RegExp): Promise<void> => {
      const scrape = await agent.until(
        (seen) => seen.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 3,
      );
      expect(scrape.sum('tailrace_output_buffered_records')).toBe(RECORDS);
      for (const failure of failures(agent)) expect(failure).toMatch(sentence);
      expect(agent.log.filter(({ level }) => level === 'error')).toEqual([]);
      const { reasons } = await agent.ready();
      expect(reasons.join(' ')).toContain('Output s3.0 has failed');
    };

    const configure = (rig: Rig, bucket: string, endpoint = server.url, more: readonly string[] = []): void =>
      rig.configure(pipeline(rig, bucket, endpoint, ['upload_timeout: 1s', ...more]));

    test('a bucket that is not there', async ({ rig }) => {
      appendRecords(rig.path('app.log'), 0, RECORDS);
      configure(rig, 'not-there');
      const agent = await rig.start({ env });
      await expectFailures(
        agent,
        /^http:\/\/127\.0\.0\.1:\d+: (?:PutObject|ListMultipartUploads) was answered with 404 NoSuchBucket: there is no such bucket/,
      );
      const bucket = await bucketOf('not-there');
      await settled(agent, RECORDS);
      await expectOnce(bucket, RECORDS);
      await agent.stop();
    });

    test('a wrong secret', async ({ rig }) => {
      const bucket = await bucketOf('secret');
      appendRecords(rig.path('app.log'), 0, RECORDS);
      configure(rig, bucket.name);
      const wrong = await rig.start({ env: { ...env, AWS_SECRET_ACCESS_KEY: 'not-the-secret' } });
      await expectFailures(
        wrong,
        /403 SignatureDoesNotMatch: the secret key does not belong to the access key/,
      );
      expect(wrong.stderr).not.toContain('not-the-secret');
      await wrong.stop();
      const right = await rig.start({ env });
      await right.until((scrape) => scrape.sum(DELIVERED) === RECORDS);
      await expectOnce(bucket, RECORDS);
      await right.stop();
    });

    test('an unknown host; the configuration is mended by a reload', async ({ rig }) => {
      const bucket = await bucketOf('host');
      appendRecords(rig.path('app.log'), 0, RECORDS);
      configure(rig, bucket.name, 'http://store.invalid:7070', ['alias: archive']);
      const agent = await rig.start({ env });
      await agent.until((seen) => seen.sum('tailrace_output_attempts_total', { result: 'failed' }) >= 2);
      const line = await agent.said(/^The destination failed/);
      expect(line).toMatchObject({
        output: 'archive',
        error: expect.stringMatching(/store\.invalid:7070: the host name/) as unknown,
      });
      configure(rig, bucket.name, server.url, ['alias: archive']);
      expect((await agent.reload()).status).toBe(200);
      await agent.until((scrape) => scrape.sum(DELIVERED) === RECORDS);
      await expectOnce(bucket, RECORDS);
      await agent.stop();
    });

    test('an expired certificate (a stand-in: the store has no TLS here)', async ({ rig }) => {
      const secure = await startServer(undefined, { tls: { certificate: 'expired' } });
      try {
        appendRecords(rig.path('app.log'), 0, RECORDS);
        configure(rig, 'any', `https://127.0.0.1:${secure.port}`, [`tls.ca_file: ${tlsFile('expired.pem')}`]);
        const agent = await rig.start({ env });
        await expectFailures(agent, /^https:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
        const { summary } = await agent.stop();
        expect(summary.text).toContain('2,000 on disk');
      } finally {
        await secure.close();
      }
    });
  });
});

describe('moto', () => {
  let server: MotoServer;
  let client: S3Client;

  beforeAll(async () => {
    server = await startMoto();
    client = new S3Client({
      endpoint: server.url,
      region: MOTO_ENVIRONMENT.AWS_REGION,
      forcePathStyle: true,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    });
  });

  afterAll(async () => {
    client.destroy();
    await server.close();
  });

  test('a store that is cut off in the middle has all of them once, zstd', async ({ rig }) => {
    const bucket = new StoreBucket(client, 'cut');
    await bucket.create();
    const proxy = await new CutProxy(server.port).open();
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    rig.configure(
      pipeline(rig, bucket.name, endpoint, [
        'region: eu-central-1',
        'total_file_size: 4M',
        'upload_timeout: 2s',
        'compression: zstd',
      ]),
    );
    appendRecords(rig.path('app.log'), 0, TOTAL / 2);
    const agent = await rig.start({ env: MOTO_ENVIRONMENT });
    await agent.until((scrape) => scrape.sum(UPLOADED) > 0);
    await proxy.cut();
    appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
    await agent.said(/^The destination failed/);
    await proxy.open();
    await agent.said(/^The destination works again/);
    await settled(agent, TOTAL);
    await expectOnce(bucket, TOTAL);
    await agent.stop();
    await proxy.cut();
  });
});
