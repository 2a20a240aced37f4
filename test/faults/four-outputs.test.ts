/** Faults 18 and 19: four destinations, one down, with memory for a part of what it is owed (DELIVERY.md, rules 6, 8 and 16). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete, repeatedRequests } from '../support/judge.ts';
import { numberedLines, NumberedWriter } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';
import { http, pipeline, QUICK } from '../support/yaml.ts';

const LINES = 20_000;
const PADDING = 200;

async function fourOutputs(rig: Rig): Promise<{ healthy: HttpSink[]; dead: HttpSink }> {
  const sinks = [await rig.sink(), await rig.sink(), await rig.sink(), await rig.sink()];
  const [dead, ...healthy] = sinks as [HttpSink, ...HttpSink[]];
  await dead.close();
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '2M', 'storage.overflow.min_free': 0 },
      outputs: sinks.map((sink, index) => http(sink, `alias: ${index === 0 ? 'dead' : `healthy${index}`}`)),
    }),
  );
  return { healthy, dead };
}

test('fault 18: one of four is down: the others get everything, its own backlog grows alone', async ({
  rig,
}) => {
  const { healthy, dead } = await fourOutputs(rig);
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, PADDING));
  const agent = await rig.start();
  await Promise.all(healthy.map((sink) => sink.reached(LINES)));
  const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === LINES);
  expect(scrape.sum('tailrace_output_buffered_records', { name: 'dead' })).toBe(LINES);
  expect(scrape.sum('tailrace_storage_overflow_bytes')).toBeGreaterThan(1_000_000);
  expect(scrape.sum('tailrace_buffer_bytes')).toBeLessThanOrEqual(2_500_000);
  await dead.open();
  await dead.reached(LINES);
  await agent.until((each) => each.sum('tailrace_storage_overflow_bytes') === 0);
  const { summary } = await agent.stop();
  expect(summary.text).toContain('nothing left');
  for (const sink of [dead, ...healthy]) {
    expectComplete(sink, { app: LINES });
    expect(countDoubles(sink)).toBe(0);
  }
});

test('fault 19: then SIGKILL, three times, under a writer: 0 lost, a healthy one gets at most one batch per kill twice', async ({
  rig,
}) => {
  const { healthy, dead } = await fourOutputs(rig);
  for (const sink of healthy) sink.behave = () => ({ status: 200, afterMs: 5 });
  const kills = 3;
  const writer = new NumberedWriter({ path: rig.path('app.log'), stream: 'app', padding: PADDING });
  const writing = writer.pace(LINES, 50, 10);
  for (let kill = 1; kill <= kills; kill++) {
    const agent = await rig.start();
    const [first] = healthy as [HttpSink];
    await first.reached(Math.round((LINES * kill) / (kills + 1)));
    await agent.scrape();
    await agent.kill();
  }
  await dead.open();
  const last = await rig.start();
  await writing;
  await Promise.all([dead, ...healthy].map((sink) => sink.reached(LINES)));
  await last.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  await last.stop();
  for (const sink of [dead, ...healthy]) expectComplete(sink, { app: LINES });
  for (const sink of healthy) {
    expect(repeatedRequests(sink).length, 'requests that a healthy one got twice').toBeLessThanOrEqual(kills);
  }
  process.stderr.write(
    `fault 19: doubles of the healthy ones ${healthy.map((sink) => countDoubles(sink)).join(', ')}, of the dead one ${countDoubles(dead)}\n`,
  );
});
