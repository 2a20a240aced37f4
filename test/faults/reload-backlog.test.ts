/** Fault 39 with a disk buffer: outputs that are removed with a backlog, and come back by a reload or a restart (DELIVERY.md, rules 7 and 29). */
import { expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { inputPort, Sender } from '../support/sender.ts';
import type { HttpSink } from '../support/sink.ts';
import { http, listener, pipeline, QUICK } from '../support/yaml.ts';

const LINES = 2000;

function configure(rig: Rig, outputs: readonly string[]): void {
  rig.configure(
    pipeline({
      service: { ...QUICK, grace: 0.2, 'storage.overflow.min_free': 0 },
      inputs: [listener('storage.type: filesystem')],
      outputs,
    }),
  );
}

/** Two outputs, of which `dead` is owed 2,000 records that are on disk, and is removed then by a reload. */
async function removedWithBacklog(
  rig: Rig,
): Promise<{ agent: AgentProcess; kept: HttpSink; dead: HttpSink; both: readonly string[]; sender: Sender }> {
  const kept = await rig.sink();
  const dead = await rig.sink();
  await dead.close();
  const both = [http(kept, 'alias: kept'), http(dead, 'alias: dead')];
  configure(rig, both);
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'in' });
  await sender.sendUpTo(LINES, 100);
  await kept.reached(LINES);
  configure(rig, both.slice(0, 1));
  expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
  await sender.sendUpTo(LINES + 100, 100);
  await kept.reached(LINES + 100);
  return { agent, kept, dead, both, sender };
}

test('fault 39: an output removed with records on disk gets them when a reload brings it back', async ({
  rig,
}) => {
  const { agent, kept, dead, both, sender } = await removedWithBacklog(rig);
  await dead.open();
  configure(rig, both);
  expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
  await dead.reached(LINES);
  await sender.sendUpTo(LINES + 200, 100);
  await Promise.all([kept.reached(LINES + 200), dead.reached(LINES + 100)]);
  const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_output_dropped_records_total')).toBe(0);
  await agent.stop();
  expectComplete(kept, { in: LINES + 200 });
  // What came while it was not there was not for it.
  expect(dead.has('in', LINES)).toBe(false);
  expect(dead.has('in', LINES - 1)).toBe(true);
  expect(countDoubles(kept) + countDoubles(dead)).toBe(0);
});

test('fault 39: and when a restart brings it back, after a run without it', async ({ rig }) => {
  const { agent, kept, dead, both } = await removedWithBacklog(rig);
  await agent.stop();
  const without = await rig.start();
  const sender = new Sender({ port: await inputPort(without), stream: 'more' });
  await sender.sendUpTo(100, 100);
  await kept.reached(LINES + 200);
  await without.stop();

  await dead.open();
  configure(rig, both);
  const last = await rig.start();
  await dead.reached(LINES);
  await last.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  const { summary } = await last.stop();
  expect(summary).toMatchObject({ delivered: LINES, dropped: 0 });
  expectComplete(dead, { in: LINES });
  expectComplete(kept, { in: LINES + 100, more: 100 });
  expect(countDoubles(kept) + countDoubles(dead)).toBe(0);
});

test('rule 7: a new output of the same plugin takes over what is on disk for one that is gone', async ({
  rig,
}) => {
  const { agent, kept, dead } = await removedWithBacklog(rig);
  await agent.stop();
  await dead.open();
  configure(rig, [http(kept, 'alias: kept'), http(dead, 'alias: corrected')]);
  const next = await rig.start();
  await dead.reached(LINES);
  const scrape = await next.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_output_recovered_records_total', { name: 'corrected' })).toBe(LINES);
  await next.stop();
  expectComplete(dead, { in: LINES });
  expect(countDoubles(kept) + countDoubles(dead)).toBe(0);
});

test('fault 39: thirty reloads under load, an output with records on disk comes and goes: 0 lost, none twice', async ({
  rig,
}) => {
  const kept = await rig.sink();
  const flaky = await rig.sink();
  flaky.behave = (index) => ({ status: index % 3 === 0 ? 503 : 200 });
  const both = [http(kept, 'alias: kept'), http(flaky, 'alias: flaky')];
  configure(rig, both);
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'in' });
  for (let reload = 0; reload < 30; reload++) {
    const sending = sender.sendUpTo((reload + 1) * 50, 10);
    configure(rig, reload % 2 === 0 ? both.slice(0, 1) : both);
    expect(await agent.reload()).toEqual({ status: 200, reload: 'done' });
    await sending;
  }
  await kept.reached(1500);
  await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(0);
  expectComplete(kept, { in: 1500 });
  expect(countDoubles(kept) + countDoubles(flaky)).toBe(0);
});
