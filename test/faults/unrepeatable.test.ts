/** Faults 6 to 8 where nothing can be read again: what the http input acknowledged is on disk, and arrives after a restart (DELIVERY.md, rules 11, 12 and 28). */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { inputPort, Sender } from '../support/sender.ts';
import type { HttpSink } from '../support/sink.ts';
import { http, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

const LINES = 20_000;
const PADDING = 100;

/** An agent that has acknowledged all lines, in requests of 500, and delivered none of them. */
async function acknowledged(
  rig: Rig,
  sink: HttpSink,
  service: Readonly<Record<string, string | number>> = {},
) {
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '2M', 'storage.overflow.min_free': 0, ...service },
      inputs: [listener('storage.type: filesystem')],
      outputs: [http(sink)],
    }),
  );
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'app', padding: PADDING });
  await sender.sendUpTo(LINES, 500);
  return { agent, sender };
}

test('fault 6: SIGTERM with the destination down and 20,000 acknowledged records', async ({ rig }) => {
  const sink = await rig.sink();
  await sink.close();
  const { agent } = await acknowledged(rig, sink);
  const { code, summary } = await agent.stop();
  expect(code).toBe(0);
  expect(summary.text).toContain('left for http.0: 20,000 on disk');
  expect(summary).toMatchObject({ read: LINES, delivered: 0, dropped: 0 });

  await sink.open();
  const second = await rig.start();
  await sink.reached(LINES);
  const scrape = await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_input_recovered_records_total')).toBe(LINES);
  const last = await second.stop();
  expect(last.summary.text).toContain('nothing left');
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 7: SIGTERM with a slow destination: it is sent to for half of grace, and the rest is kept', async ({
  rig,
}) => {
  const sink = await rig.sink();
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  sink.behave = () => ({ status: 200, after: opened });
  const { agent } = await acknowledged(rig, sink, { grace: 2 });
  await agent.scrape();
  agent.signal('SIGTERM');
  await agent.said(/^Stopping/);
  // From here on each request takes a fifth of a second: not all of them fit into what is left.
  open();
  sink.behave = () => ({ status: 200, afterMs: 200 });
  expect(await agent.exited).toMatchObject({ code: 0 });
  const { delivered, dropped, in_doubt: inDoubt, text } = agent.summary;
  expect(delivered, text).toBeGreaterThan(0);
  expect(delivered, text).toBeLessThan(LINES);
  expect({ dropped, inDoubt }).toEqual({ dropped: 0, inDoubt: 0 });
  const left = (LINES - delivered).toLocaleString('en');
  expect(text).toContain(`left for http.0: ${left} on disk`);

  sink.behave = () => ({ status: 200 });
  const second = await rig.start();
  await sink.reached(LINES);
  await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  await second.stop();
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 8: a second SIGTERM while draining: at once, and all that was acknowledged is on disk', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  const { agent } = await acknowledged(rig, sink, { grace: 60 });
  await agent.scrape();
  agent.signal('SIGTERM');
  await agent.said(/^Stopping/);
  agent.signal('SIGTERM');
  expect(await agent.exited).toMatchObject({ code: 4 });
  expect(agent.summary.text).toContain('left for http.0: 20,000 on disk');

  await sink.open();
  const second = await rig.start();
  await sink.reached(LINES);
  await second.stop();
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 38: a file fills memory and no output takes anything: what comes by HTTP still finds room, on disk', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '2M', 'storage.overflow.min_free': 0 },
      inputs: [tail(), listener('storage.type: filesystem')],
      outputs: [http(sink)],
    }),
  );
  writeFileSync(rig.path('app.log'), numberedLines('file', 0, 2 * LINES, PADDING));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  const sender = new Sender({ port: await inputPort(agent), stream: 'in', padding: PADDING });
  await sender.sendUpTo(LINES, 500);
  await sink.open();
  await sink.reached(3 * LINES);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(0);
  expectComplete(sink, { file: 2 * LINES, in: LINES });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 8: memory alone: what a second SIGTERM interrupts is spooled to the disk that there is', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  rig.configure(
    pipeline({
      service: { ...QUICK, grace: 60, 'storage.overflow.min_free': 0 },
      inputs: [listener()],
      outputs: [http(sink)],
    }),
  );
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'app' });
  await sender.sendUpTo(1000, 100);
  agent.signal('SIGTERM');
  await agent.said(/^Stopping/);
  agent.signal('SIGTERM');
  expect(await agent.exited).toMatchObject({ code: 4 });
  expect(agent.summary.text).toContain('left for http.0: 1,000 on disk');
  await sink.open();
  const second = await rig.start();
  await sink.reached(1000);
  await second.stop();
  expectComplete(sink, { app: 1000 });
  expect(countDoubles(sink)).toBe(0);
});
