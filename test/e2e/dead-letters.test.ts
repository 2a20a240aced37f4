/** Dead letters through an agent: refused, kept, sent again beside new ones, killed in between (DELIVERY.md, rule 25). */
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { Cli, cli } from '../cli/harness.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';

const LINES = 40;
const CONFIG = ['-c', 'pipeline.yaml', '--state-path', 'state'];

interface Counts {
  replayed: number;
  delivered: number;
  refused: number;
  kept: number;
}

async function pipeline(rig: Rig, more = '', padding = 0): Promise<HttpSink> {
  const sink = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
  grace: 1
  scheduler.base: 0.01
  scheduler.cap: 0.05
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
  outputs:
    - name: http
      alias: es
      match: app
      port: ${sink.port}
      format: json_lines
${more}`);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, padding));
  return sink;
}

/** All lines of the files of dead letters. */
function letters(rig: Rig): string[] {
  const state = rig.path('state', readdirSync(rig.path('state'))[0] ?? '', 'dead-letters', 'es');
  if (!existsSync(state)) return [];
  return readdirSync(state).flatMap((name) =>
    readFileSync(`${state}/${name}`, 'utf8').split('\n').filter(Boolean),
  );
}

async function replay(
  rig: Rig,
  ...args: string[]
): Promise<{ code: number; counts: Counts; stderr: string }> {
  const { code, stdout, stderr } = await cli(['dlq', 'replay', '--json', ...CONFIG, ...args], rig.directory);
  return { code, stderr, counts: (stdout === '' ? {} : JSON.parse(stdout)) as Counts };
}

/** An agent whose every record was refused. */
async function allRefused(rig: Rig, sink: HttpSink): Promise<Awaited<ReturnType<Rig['start']>>> {
  sink.behave = () => ({ status: 400 });
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_output_dead_lettered_records_total') === LINES);
  sink.behave = () => ({ status: 200 });
  sink.requests.length = 0;
  return agent;
}

test('a running agent sends them again itself, and its ledger counts them', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  expect((await agent.scrape()).sum('tailrace_dead_letters', { name: 'es' })).toBe(LINES);
  const { code, counts } = await replay(rig);
  expect(code).toBe(0);
  expect(counts).toMatchObject({ replayed: LINES, delivered: LINES, refused: 0, kept: 0 });
  expect(sink.distinct).toBe(LINES);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_dead_letters', { name: 'es' })).toBe(0);
  expect(scrape.sum('tailrace_input_read_records_total', { name: 'dead_letters' })).toBe(LINES);
  expect(letters(rig)).toEqual([]);
  await agent.stop();
});

test('letters refused once more go on from the old ones, while new ones are being made', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  let next = LINES;
  sink.onRequest = () => {
    if (next >= 3 * LINES) return;
    appendFileSync(rig.path('app.log'), numberedLines('app', next, next + 2));
    next += 2;
  };
  let most = 0;
  for (let round = 0; round < 3; round++) {
    // New records come in all the time. First everything is refused again, then most requests.
    sink.behave = (index) => ({ status: round > 0 && index % 4 === 0 ? 200 : 400 });
    const { counts } = await replay(rig);
    expect(counts.delivered + counts.refused).toBe(counts.replayed);
    expect(counts.kept).toBe(0);
    for (const line of letters(rig))
      most = Math.max(most, (JSON.parse(line) as { attempts: number }).attempts);
  }
  expect(most).toBeGreaterThan(1);
  sink.onRequest = undefined;
  sink.behave = () => ({ status: 200 });
  await agent.until(
    (scrape) =>
      scrape.sum('tailrace_input_read_records_total', { name: 'tail.0' }) === next &&
      scrape.sum('tailrace_output_buffered_records') === 0,
  );
  expect((await replay(rig)).code).toBe(0);
  expect(letters(rig)).toEqual([]);
  // All of them, if not in their order: what was refused comes later than what was not.
  expect(sink.distinct).toBe(next);
  expect(countDoubles(sink)).toBe(0);
  await agent.stop();
});

test('what is refused while a replay runs is not sent again by it', async ({ rig }) => {
  // More than is read of a file at a time.
  const sink = await pipeline(rig, '', 30_000);
  const agent = await allRefused(rig, sink);
  sink.behave = () => ({ status: 400 });
  const { counts } = await replay(rig);
  expect(counts).toMatchObject({ replayed: LINES, delivered: 0, refused: LINES, kept: 0 });
  expect(letters(rig).length).toBe(LINES);
  await agent.stop();
});

test('SIGKILL between delivery and rewrite: sent twice, none lost', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  const before = letters(rig);
  let arrived: () => void = () => undefined;
  const stored = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  // The destination has the records; the agent does not hear of it.
  sink.behave = () => 'silent';
  sink.onRequest = () => arrived();
  const asked = new Cli(['dlq', 'replay', ...CONFIG], rig.directory);
  await stored;
  await agent.kill();
  expect(await asked.exit()).toBe(3);
  expect(letters(rig)).toEqual(before);

  sink.onRequest = undefined;
  sink.behave = () => ({ status: 200 });
  const second = await rig.start();
  const { code, counts } = await replay(rig);
  expect([code, counts.delivered]).toEqual([0, LINES]);
  expect(sink.distinct).toBe(LINES);
  expect(letters(rig)).toEqual([]);
  await second.stop();
});

test('a stop while letters are under way keeps them', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  sink.behave = () => ({ status: 503 });
  const asked = new Cli(['dlq', 'replay', '--json', ...CONFIG], rig.directory);
  await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) > 0);
  const { code } = await agent.stop();
  expect(code).toBe(0);
  expect(await asked.exit()).toBe(1);
  expect(JSON.parse(asked.stdout)).toMatchObject({ replayed: LINES, delivered: 0, kept: LINES });
  expect(letters(rig).length).toBe(LINES);
});

test('letters that are sent in vain up to the retry limit are dead letters after it', async ({ rig }) => {
  const sink = await pipeline(rig, '      retry_limit: 1\n');
  const agent = await allRefused(rig, sink);
  sink.behave = () => ({ status: 503 });
  const { code, counts } = await replay(rig);
  expect(code).toBe(1);
  expect(counts).toMatchObject({ replayed: LINES, delivered: 0 });
  expect(counts.refused + counts.kept).toBe(LINES);
  expect(letters(rig).length).toBe(LINES);
  await agent.stop();
});

test('one replay at a time, and one that nobody waits for begins nothing more', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  let arrived: () => void = () => undefined;
  const stored = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  let answer: () => void = () => undefined;
  const after = new Promise<void>((resolve) => {
    answer = resolve;
  });
  sink.behave = () => ({ status: 200, after });
  sink.onRequest = () => arrived();
  const first = new Cli(['dlq', 'replay', ...CONFIG], rig.directory);
  await stored;
  const second = await replay(rig);
  expect([second.code, second.stderr]).toEqual([
    1,
    expect.stringContaining('replaying dead letters already'),
  ]);
  first.signal('SIGINT');
  expect(await first.exit()).toBe(1);
  expect(first.stderr).toContain('the agent finishes what is under way');
  answer();
  await agent.until((scrape) => scrape.sum('tailrace_dead_letters', { name: 'es' }) === 0);
  expect(sink.distinct).toBe(LINES);
  await agent.stop();
});

test('without an agent it sends by itself under the lock, and can be interrupted', async ({ rig }) => {
  const sink = await pipeline(rig);
  const agent = await allRefused(rig, sink);
  await agent.stop();
  sink.behave = () => ({ status: 503 });
  let asked: () => void = () => undefined;
  const refused = new Promise<void>((resolve) => {
    asked = resolve;
  });
  sink.onRequest = () => asked();
  const alone = new Cli(['dlq', 'replay', '--json', ...CONFIG], rig.directory);
  await refused;
  // Meanwhile it holds the state: no agent can start.
  expect((await rig.launch().exited).code).toBe(3);
  alone.signal('SIGINT');
  expect(await alone.exit()).toBe(1);
  expect(JSON.parse(alone.stdout)).toMatchObject({ delivered: 0, kept: LINES });
  expect(letters(rig).length).toBe(LINES);

  sink.onRequest = undefined;
  sink.behave = () => ({ status: 200 });
  const { code, counts } = await replay(rig);
  expect([code, counts.delivered]).toEqual([0, LINES]);
  expect(sink.distinct).toBe(LINES);
  // Positions are those of the agent: nothing is read again.
  const last = await rig.start();
  await last.stop();
  expect(last.summary.read).toBe(0);
});

test('they stay within dead_letters.limit', async ({ rig }) => {
  const sink = await pipeline(rig);
  const config = readFileSync(rig.path('pipeline.yaml'), 'utf8');
  rig.configure(config.replace('grace: 1', 'grace: 1\n  dead_letters.limit: 100k'));
  const total = 600;
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, total));
  sink.behave = () => ({ status: 400 });
  const agent = await rig.start();
  const scrape = await agent.until(
    (each) => each.sum('tailrace_output_dead_lettered_records_total') === total,
  );
  const kept = scrape.sum('tailrace_dead_letters', { name: 'es' });
  expect(scrape.sum('tailrace_dead_letters_evicted_total', { name: 'es', reason: 'size' })).toBe(
    total - kept,
  );
  expect(kept).toBeGreaterThan(100);
  const folder = rig.path('state', readdirSync(rig.path('state'))[0] ?? '', 'dead-letters', 'es');
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(`${folder}/${name}`).size, 0);
  expect(bytes).toBeLessThanOrEqual(100_000);
  await agent.stop();
});
