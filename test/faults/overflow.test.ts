/** Memory overflows to disk: a dead output holds up no other (DELIVERY.md, rules 14 to 16; FAULTS 18, 19). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';

const LINES = 40_000;
/** With 100 bytes of padding the lines take some 5 MB: more than twice the memory. */
const PADDING = 100;

async function twoOutputs(rig: Rig): Promise<{ healthy: HttpSink; dead: HttpSink }> {
  const healthy = await rig.sink();
  const dead = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
  grace: 1
  memory_limit: 2M
  scheduler.base: 0.05
  scheduler.cap: 0.1
  storage.overflow.min_free: 0
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
  await dead.close();
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, PADDING));
  return { healthy, dead };
}

test('a dead output delays no other, memory stays within its limit, and it gets everything later, in order', async ({
  rig,
}) => {
  const { healthy, dead } = await twoOutputs(rig);
  const agent = await rig.start();
  await healthy.reached(LINES);
  const full = await agent.scrape();
  expect(full.sum('tailrace_storage_overflow_bytes')).toBeGreaterThan(1_000_000);
  expect(full.sum('tailrace_output_buffered_records', { name: 'dead' })).toBe(LINES);
  await dead.open();
  await dead.reached(LINES);
  const drained = await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  expect(drained.sum('tailrace_storage_overflow_bytes')).toBe(0);
  const { summary } = await agent.stop();
  expect(summary.text).toContain('nothing left');
  for (const sink of [healthy, dead]) {
    expectComplete(sink, { app: LINES });
    expect(countDoubles(sink)).toBe(0);
  }
});

test('after SIGKILL what is on disk is delivered once, and the healthy output gets nothing twice', async ({
  rig,
}) => {
  const { healthy, dead } = await twoOutputs(rig);
  const first = await rig.start();
  await healthy.reached(LINES);
  await first.until(
    (scrape) =>
      scrape.sum('tailrace_output_buffered_records', { name: 'healthy' }) === 0 &&
      scrape.sum('tailrace_storage_overflow_bytes') > 1_000_000,
  );
  await first.kill();

  await dead.open();
  const second = await rig.start();
  await dead.reached(LINES);
  const scrape = await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_output_recovered_records_total', { name: 'dead' })).toBeGreaterThan(0);
  await second.stop();
  for (const sink of [healthy, dead]) {
    expectComplete(sink, { app: LINES });
    expect(countDoubles(sink)).toBe(0);
  }
});
