/** Ends of a run: a destination that is down or silent, a second signal, a second agent (DELIVERY.md, rule 28). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';

const LINES = 3000;

async function backlog(rig: Rig, grace: number): Promise<HttpSink> {
  const sink = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
  grace: ${grace}
  scheduler.base: 0.05
  scheduler.cap: 0.1
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES));
  return sink;
}

test('fault 6: SIGTERM with the destination down: ends by itself, says what is left, loses nothing', async ({
  rig,
}) => {
  const sink = await backlog(rig, 1);
  await sink.close();
  const first = await rig.start();
  await first.until((scrape) => scrape.sum('tailrace_output_attempts_total', { result: 'failed' }) > 0);
  const { code, summary } = await first.stop();
  expect(code).toBe(0);
  expect(summary.text).toContain('left for http.0: 3,000 in the source');
  expect(summary).toMatchObject({ read: LINES, delivered: 0, dropped: 0, in_doubt: 0 });

  await sink.open();
  const second = await rig.start();
  await sink.reached(LINES);
  await second.stop();
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 13: SIGTERM with a destination that never answers: what is in doubt is said, and no more comes twice', async ({
  rig,
}) => {
  const sink = await backlog(rig, 1);
  sink.behave = () => 'silent';
  const first = await rig.start();
  await sink.reached(LINES);
  const { code, summary } = await first.stop();
  expect(code).toBe(0);
  expect(summary.in_doubt).toBe(LINES);

  sink.behave = () => ({ status: 200 });
  const second = await rig.start();
  await sink.until(() => countDoubles(sink) === LINES);
  const last = await second.stop();
  expect(last.summary.in_doubt).toBe(0);
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(LINES);
});

test('fault 8: a second signal ends it at once with 4, and nothing is lost', async ({ rig }) => {
  const sink = await backlog(rig, 60);
  sink.behave = () => 'silent';
  const first = await rig.start();
  await sink.reached(LINES);
  await first.scrape();
  first.signal('SIGTERM');
  await first.said(/^Stopping/);
  first.signal('SIGTERM');
  expect(await first.exited).toMatchObject({ code: 4 });
  expect(first.summary.text).toContain('left for http.0: 3,000 in the source');

  sink.behave = () => ({ status: 200 });
  const second = await rig.start();
  await sink.until(() => countDoubles(sink) === LINES);
  await second.stop();
  expectComplete(sink, { app: LINES });
});

test('a second agent on the same state is refused and told who holds it', async ({ rig }) => {
  await backlog(rig, 1);
  const first = await rig.start();
  const second = rig.launch();
  expect(await second.exited).toMatchObject({ code: 3 });
  expect(second.stderr).toContain(String(first.pid));
  expect(second.stderr).not.toContain('    at ');
  await first.scrape();

  await first.kill();
  const third = await rig.start();
  await third.stop();
});
