/** A whole agent that gathers objects, with a bucket in the test's process; the real stores are in test/services. */
import { execFile } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { Bucket, fail } from '../plugins/outputs/s3/bucket.ts';
import { KEYS } from '../plugins/shared/aws/support.ts';
import { test as base } from '../support/e2e.ts';
import { inputPort, Sender } from '../support/sender.ts';
import { item, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

const ENV = {
  ...KEYS,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
};
const DELIVERED = 'tailrace_output_delivered_records_total';
const BUFFERED = 'tailrace_output_buffered_records';
const ARCHIVE = { name: 'archive' };
const NOTHING_KEPT = { ...QUICK, 'storage.overflow.min_free': 0 };

const test = base.extend<{ bucket: Bucket }>({
  // oxlint-disable-next-line no-empty-pattern -- what vitest wants of a fixture without others
  bucket: async ({}, use) => {
    const bucket = await new Bucket().open();
    await use(bucket);
    await bucket.close();
  },
});

function s3({ port, name }: Bucket, ...keys: string[]): string {
  const match = keys.some((key) => key.startsWith('match:')) ? [] : ["match: '*'"];
  return item('name: s3', [
    ...match,
    'alias: archive',
    `bucket: ${name}`,
    `endpoint: http://127.0.0.1:${port}`,
    'region: eu-central-1',
    'json_date_key: false',
    'net.proxy_env_ignore: on',
    's3_key_format: /$TAG/$INDEX',
    ...keys,
  ]);
}

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => `line ${from + index}\n`).join('');

/** The lines that the bucket has, in the order of its objects' numbers. */
const stored = ({ objects }: Bucket): string =>
  [...objects]
    .toSorted(([a], [b]) => Number(a.split('/').at(-1)) - Number(b.split('/').at(-1)))
    .map(([, { body }]) => body.toString())
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => `${(JSON.parse(line) as { log: string }).log}\n`)
    .join('');

test('a pipeline that ends by itself sends what it has gathered', async ({ rig, bucket }) => {
  writeFileSync(rig.path('app.log'), lines(0, 500));
  rig.configure(
    pipeline({ service: NOTHING_KEPT, inputs: [tail('exit_on_eof: on')], outputs: [s3(bucket)] }),
  );
  const agent = rig.launch({ env: ENV });
  expect(await agent.exited).toMatchObject({ code: 0 });
  expect(agent.summary).toMatchObject({ delivered: 500, in_doubt: 0 });
  expect(stored(bucket)).toBe(lines(0, 500));
});

test('without a state path it gathers in memory, says so, and sends at a stop', async ({ rig, bucket }) => {
  writeFileSync(rig.path('app.log'), lines(0, 100));
  rig.configure(pipeline({ service: { ...QUICK, state_path: 'off' }, outputs: [s3(bucket)] }));
  const agent = await rig.start({ env: ENV, state: null });
  await agent.said(/^There is no disk buffer/);
  await agent.until((scrape) => scrape.sum(BUFFERED) === 100);
  expect(bucket.objects.size).toBe(0);
  const { summary } = await agent.stop();
  expect(summary.text).toContain('delivered 100 ');
  expect(stored(bucket)).toBe(lines(0, 100));
});

test('a sender gets its answer when its records are staged, however long the object stays open', async ({
  rig,
  bucket,
}) => {
  rig.configure(
    pipeline({
      service: { ...NOTHING_KEPT, 'storage.overflow': 'block' },
      inputs: [listener()],
      outputs: [s3(bucket)],
    }),
  );
  const agent = await rig.start({ env: ENV });
  const sender = new Sender({ port: await inputPort(agent), stream: 'one' });
  await sender.sendUpTo(200, 50);
  expect(bucket.objects.size).toBe(0);
  await agent.kill();
  rig.configure(
    pipeline({ service: NOTHING_KEPT, inputs: [listener()], outputs: [s3(bucket, 'upload_timeout: 100ms')] }),
  );
  const next = await rig.start({ env: ENV });
  await next.until((scrape) => scrape.sum(DELIVERED) === 200);
  expect(bucket.objects.size).toBe(1);
});

test('a store that is down holds up nobody, is said by status and readiness, and gets everything later', async ({
  rig,
  bucket,
}) => {
  let down = true;
  bucket.interfere = (_request, response) => {
    if (down) fail(response, 503, 'SlowDown');
    return down;
  };
  writeFileSync(rig.path('app.log'), lines(0, 1000));
  rig.configure(
    pipeline({
      service: NOTHING_KEPT,
      outputs: [
        s3(bucket, 'total_file_size: 10k', 'upload_timeout: 200ms'),
        item('name: file', ["match: '*'", 'alias: other', 'path: .', 'file: other.log', 'format: plain']),
      ],
    }),
  );
  const agent = await rig.start({ env: ENV });
  await agent.until((scrape) => scrape.sum(DELIVERED, { name: 'other' }) === 1000);
  await agent.until(
    (scrape) => scrape.sum('tailrace_output_attempts_total', { name: 'archive', result: 'failed' }) > 3,
  );
  expect((await agent.ready()).reasons.join()).toContain('Output archive has failed');
  const status = await new Promise<string>((resolve) => {
    execFile(
      process.execPath,
      [
        new URL('../support/launch.ts', import.meta.url).pathname,
        'status',
        '--state-path',
        'state',
        '-c',
        'pipeline.yaml',
      ],
      { cwd: rig.directory },
      (_error, stdout) => resolve(stdout),
    );
  });
  expect(status).toMatch(/objects\s+0 open with 0 records; \d+ to be sent/);
  appendFileSync(rig.path('app.log'), lines(1000, 1100));
  await agent.until((scrape) => scrape.sum(DELIVERED, { name: 'other' }) === 1100);
  down = false;
  await agent.until((scrape) => scrape.sum(DELIVERED, { name: 'archive' }) === 1100);
  expect(stored(bucket)).toBe(lines(0, 1100));
  expect(readFileSync(rig.path('other.log'), 'utf8').split('\n')).toHaveLength(1101);
});

test('a reload: other options go on with what is gathered, an output that goes sends it, one name does not change its kind', async ({
  rig,
  bucket,
}) => {
  const configure = (...outputs: string[]): void =>
    rig.configure(
      pipeline({ service: NOTHING_KEPT, outputs: [...outputs, item('name: null', ["match: '*'"])] }),
    );
  writeFileSync(rig.path('app.log'), lines(0, 100));
  configure(s3(bucket));
  const agent = await rig.start({ env: ENV });
  await agent.until((scrape) => scrape.sum(BUFFERED, ARCHIVE) === 100);

  configure(s3(bucket, 'upload_timeout: 1h'));
  expect((await agent.reload()).status).toBe(200);
  appendFileSync(rig.path('app.log'), lines(100, 200));
  await agent.until((scrape) => scrape.sum(BUFFERED, ARCHIVE) === 200);
  expect(bucket.objects.size).toBe(0);

  configure(item('name: file', ["match: '*'", 'alias: archive', 'path: .', 'file: x.log']));
  expect(await agent.reload()).toMatchObject({ status: 400 });
  await agent.said(/^The new configuration is not used/);
  expect(agent.log.some(({ error }) => String(error).includes('changes from s3 to file'))).toBe(true);

  configure();
  expect((await agent.reload()).status).toBe(200);
  await agent.until((scrape) => scrape.sum(DELIVERED, ARCHIVE) === 200);
  expect([...bucket.objects.keys()]).toEqual(['app/1']);
  expect(stored(bucket)).toBe(lines(0, 200));
});

test('records that have no log_key become dead letters, the rest of their object arrives', async ({
  rig,
  bucket,
}) => {
  writeFileSync(rig.path('app.log'), '{"m":"one"}\n{"other":1}\n{"m":"two"}\n');
  rig.configure(
    pipeline({
      service: NOTHING_KEPT,
      inputs: [tail('exit_on_eof: on', 'parser: json')],
      outputs: [s3(bucket, 'log_key: m')],
    }),
  );
  const agent = rig.launch({ env: ENV });
  await agent.exited;
  expect(agent.summary).toMatchObject({ delivered: 2, dead_lettered: 1 });
  expect(bucket.objects.get('app/1')?.body.toString()).toBe('one\ntwo\n');
});
