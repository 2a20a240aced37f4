/** Outputs are isolated: a dead one holds nothing up at a healthy one, and each has marks of its own (DELIVERY.md, rule 6). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { expectComplete, repeatedRequests } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';

const LINES = 5000;

test('faults 18 and 19: one healthy and one dead output, SIGKILL, restart with both up', async ({ rig }) => {
  const healthy = await rig.sink();
  healthy.behave = () => ({ status: 200, afterMs: 5 });
  const dead = await rig.sink();
  await dead.close();
  rig.configure(`
service:
  flush: 0.02
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
      alias: healthy
      match: app
      port: ${healthy.port}
      format: json_lines
    - name: http
      alias: dead
      match: app
      port: ${dead.port}
      format: json_lines
`);
  const append = (from: number, to: number): void =>
    writeFileSync(rig.path('app.log'), numberedLines('app', from, to), { flag: 'a' });
  append(0, LINES);
  const first = await rig.start();
  await healthy.reached(LINES);
  await first.until(
    (scrape) => scrape.sum('tailrace_output_attempts_total', { name: 'dead', result: 'failed' }) > 1,
  );
  // More requests of the healthy one, so that its last one is not all that it ever sent.
  for (let round = 0; round < 5; round++) {
    const from = LINES + round * 100;
    append(from, from + 100);
    await healthy.reached(from + 100);
  }
  await first.kill();
  const before = healthy.requests.length;

  await dead.open();
  const second = await rig.start();
  await dead.reached(LINES + 500);
  append(LINES + 500, LINES + 600);
  await Promise.all([healthy.reached(LINES + 600), dead.reached(LINES + 600)]);
  await second.stop();
  expectComplete(healthy, { app: LINES + 600 });
  expectComplete(dead, { app: LINES + 600 });
  const repeated = repeatedRequests(healthy);
  expect(repeated.length, 'requests that the healthy output got twice').toBeLessThanOrEqual(1);
  for (const { index } of repeated) expect(index).toBe(before - 1);
  expect(repeatedRequests(dead)).toEqual([]);
});

test('an output that takes only errors holds no position back', async ({ rig }) => {
  const all = await rig.sink();
  const errors = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
pipeline:
  inputs:
    - name: tail
      path: '*.log'
      tag: '*'
      read_from_head: true
  filters:
    - name: grep
      match: 'error*'
      regex: log ;
  outputs:
    - name: http
      alias: all
      match: '*'
      port: ${all.port}
      format: json_lines
    - name: http
      alias: errors
      match: '*error*'
      port: ${errors.port}
      format: json_lines
`);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 500));
  writeFileSync(rig.path('error.log'), numberedLines('error', 0, 50));
  const first = await rig.start();
  await Promise.all([all.reached(550), errors.reached(50)]);
  const { summary } = await first.stop();
  expect(summary.in_doubt).toBe(0);
  const second = await rig.start();
  writeFileSync(rig.path('app.log'), numberedLines('app', 500, 510), { flag: 'a' });
  await all.reached(560);
  const scrape = await second.scrape();
  expect(scrape.sum('tailrace_input_read_records_total')).toBe(10);
  await second.stop();
});

test('buffer and ledger are empty when all is delivered', async ({ rig }) => {
  const flaky = await rig.sink();
  flaky.behave = (index) => (index % 3 === 0 ? { status: 503 } : { status: 200 });
  const steady = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
  scheduler.base: 0.05
  scheduler.cap: 0.1
pipeline:
  inputs:
    - name: tail
      path: app.log
      tag: app
      read_from_head: true
  filters:
    - name: grep
      match: app
      exclude: log S=app:\\d*7;
  outputs:
    - name: http
      match: app
      alias: flaky
      port: ${flaky.port}
      format: json_lines
    - name: http
      match: app
      alias: steady
      port: ${steady.port}
      format: json_lines
      compress: gzip
`);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 10_000));
  const agent = await rig.start();
  await Promise.all([flaky.reached(9000), steady.reached(9000)]);
  const scrape = await agent.until(
    (each) => each.sum('tailrace_buffer_bytes') === 0 && each.sum('tailrace_output_buffered_records') === 0,
  );
  expect(scrape.sum('tailrace_output_buffered_bytes')).toBe(0);
  expect(scrape.sum('tailrace_input_dropped_records_total', { reason: 'filter:grep.0' })).toBe(1000);
  expect(scrape.sum('tailrace_output_delivered_records_total', { name: 'steady' })).toBe(9000);
  expect(scrape.sum('tailrace_output_delivered_records_total', { name: 'flaky' })).toBe(9000);
});
