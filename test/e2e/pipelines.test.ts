/** Every sample pipeline is run: what a newcomer is told to do must work as the sample says. */
import { appendFileSync, cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cli } from '../cli/harness.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';

const SAMPLES = join(import.meta.dirname, '../../pipelines');

const TESTS = join(import.meta.dirname, '..');
const samples = readdirSync(SAMPLES).filter((name) => name.endsWith('.yaml'));

test('each sample is run: by a test here, or by the service suite of its destination', () => {
  const tests = readdirSync(TESTS, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => readFileSync(join(TESTS, name), 'utf8'));
  const idle = samples.filter((sample) => !tests.some((text) => text.includes(`pipelines/${sample}`)));
  expect(samples).toContain('quickstart.yaml');
  expect(idle).toEqual([]);
});

// Each a test, and so a time limit, of its own: a process each takes a while on a busy machine.
test.for(samples)('%s is a configuration without a mistake', async (sample) => {
  expect(await cli(['check', join(SAMPLES, sample)])).toMatchObject({ code: 0 });
});

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').filter(Boolean);

/** Runs the sample in a copy of the checkout's directory until it has shown that many lines. */
async function showing(rig: Rig, count: number) {
  const agent = await rig.start({ config: 'pipelines/quickstart.yaml', state: null });
  await agent.shown(count);
  return agent;
}

test('quickstart', async ({ rig }) => {
  cpSync(SAMPLES, rig.path('pipelines'), {
    recursive: true,
    filter: (path) => !path.startsWith(join(SAMPLES, 'out')),
  });
  const nginx = linesOf(rig.path('pipelines/logs/nginx-access.log'));
  const app = linesOf(rig.path('pipelines/logs/app.log')).map(
    (line) => JSON.parse(line) as Record<string, unknown>,
  );
  const shownNginx = nginx.filter((line) => !line.includes('/healthz'));
  const shownApp = app.filter(({ path }) => path !== '/healthz');
  const errors =
    shownNginx.filter((line) => /" 5\d\d /.test(line)).length +
    shownApp.filter(({ level }) => level === 'error' || level === 'fatal').length;
  expect(errors).toBeGreaterThan(0);
  const total = shownNginx.length + shownApp.length;
  expect(total).toBeLessThan(nginx.length + app.length);

  const first = await showing(rig, total);
  // Parsed: fields are shown by name, and the text of the application's message is there.
  for (const { msg } of shownApp) expect(first.stdout).toContain(String(msg));
  expect(first.stdout).toContain('/checkout');
  expect(first.stdout).not.toContain('/healthz');
  expect(first.stdout.trimEnd().split('\n')).toHaveLength(total);
  await first.until(
    (scrape) => scrape.sum('tailrace_output_delivered_records_total', { name: 'file.1' }) === errors,
  );
  expect(linesOf(rig.path('pipelines/out/errors.log'))).toHaveLength(errors);
  expect((await fetch(`${await first.api()}/health`)).status).toBe(200);
  expect((await fetch(`${await first.api()}/ready`)).status).toBe(200);

  appendFileSync(
    rig.path('pipelines/logs/app.log'),
    '{"time":"2026-03-14T10:00:00.000Z","level":"error","msg":"hello from the other terminal"}\n',
  );
  await first.shown(total + 1);
  expect(first.stdout).toContain('hello from the other terminal');
  await first.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  first.signal('SIGINT');
  expect(await first.exited).toMatchObject({ code: 0 });
  expect(first.summary.text).toContain('nothing left · 0 in doubt');

  const second = await showing(rig, total + 1);
  expect(second.stdout.trimEnd().split('\n').toSorted()).toEqual(
    first.stdout.trimEnd().split('\n').toSorted(),
  );
  await second.stop();
});

test('kubernetes-filter', async ({ rig }) => {
  cpSync(SAMPLES, rig.path('pipelines'), {
    recursive: true,
    filter: (path) => !path.startsWith(join(SAMPLES, 'out')),
  });
  const agent = await rig.start({ config: 'pipelines/kubernetes-filter.yaml', state: null });
  await agent.shown(6);
  const shown = agent.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown> & { kubernetes: { pod_name: string } });
  const of = (pod: string) => shown.filter(({ kubernetes }) => kubernetes.pod_name.startsWith(pod));
  expect(of('web').map(({ code, log }) => code ?? log)).toEqual([
    '200',
    '502',
    expect.stringContaining('upstream prematurely closed'),
  ]);
  expect(of('checkout').map(({ msg, log }) => msg ?? log)).toEqual([
    'order accepted',
    'payment failed',
    'shutting down',
  ]);
  expect(of('checkout')[1]?.['stack']).toMatch(/pay\.js:88\)\n {2}at checkout/);
  expect(agent.stdout).toContain('"order":918273645546372819');
  expect((await agent.scrape()).sum('tailrace_kubernetes_records_without_metadata_total')).toBe(0);
});
