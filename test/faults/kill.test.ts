/** SIGKILL under load: nothing is lost, and at most one request per worker and kill comes twice (DELIVERY.md, rules 6 and 8). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { seededRandom, test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { killRun } from '../support/kill-run.ts';
import { numberedLines } from '../support/numbered.ts';
import { http, pipeline } from '../support/yaml.ts';

test('fault 1: 50,000 lines, the destination cuts every connection, SIGKILL, restart: 0 lost, none twice', async ({
  rig,
}) => {
  const lines = 50_000;
  const sink = await rig.sink();
  sink.behave = () => 'reset within';
  rig.configure(pipeline({ outputs: [http(sink)] }));
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, lines));
  const first = await rig.start();
  const scrape = await first.until(
    (each) => each.sum('tailrace_output_attempts_total', { result: 'failed' }) > 3,
  );
  expect(scrape.sum('tailrace_output_delivered_records_total')).toBe(0);
  await first.kill();
  sink.behave = () => ({ status: 200 });
  const second = await rig.start();
  await sink.reached(lines);
  await second.stop();
  expectComplete(sink, { app: lines });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 2: 4 kills, 20,000 lines, two rotating files', async ({ rig }) => {
  await killRun(rig, { kills: 4, lines: 20_000, random: seededRandom() });
});
