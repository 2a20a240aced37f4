/** Fault 38: a burst of ten times what memory may take, and nobody takes it. The figure is the process's own peak (VmHWM); no group limit is set. */
import { writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { inputPort, Sender } from '../support/sender.ts';
import { http, listener, pipeline, QUICK, tail } from '../support/yaml.ts';

/** What the fault allows a whole agent. Bytes. */
const ALLOWED = 256_000_000;

test('fault 38: 160 MB in files with memory_limit 16M and the destination down: below 256 MB, then all is delivered', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  const lines = 160_000;
  const files = 4;
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '16M', 'storage.overflow.min_free': 0 },
      inputs: [tail('path: app*.log')],
      outputs: [http(sink)],
    }),
  );
  for (let file = 0; file < files; file++)
    writeFileSync(rig.path(`app${file}.log`), numberedLines(`app${file}`, 0, lines / files, 1000));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  const { peakMemory: down } = agent;
  await sink.open();
  await sink.reached(lines);
  await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
  const { peakMemory } = agent;
  process.stderr.write(
    `fault 38: at most ${Math.round(down / 1e6)} MB while it was down, ${Math.round(peakMemory / 1e6)} MB in all\n`,
  );
  expect(peakMemory).toBeLessThan(ALLOWED);
  const { summary } = await agent.stop();
  expect(summary.dropped).toBe(0);
  expectComplete(
    sink,
    Object.fromEntries(Array.from({ length: files }, (_, file) => [`app${file}`, lines / files])),
  );
  expect(countDoubles(sink)).toBe(0);
});

test('fault 38: 60 MB by HTTP with memory_limit 16M and the destination down: to disk, below 256 MB, then all is delivered', async ({
  rig,
}) => {
  const sink = await rig.sink();
  await sink.close();
  const lines = 60_000;
  rig.configure(
    pipeline({
      service: { ...QUICK, memory_limit: '16M', 'storage.overflow.min_free': 0 },
      inputs: [listener('storage.type: filesystem')],
      outputs: [http(sink)],
    }),
  );
  const agent = await rig.start();
  const sender = new Sender({ port: await inputPort(agent), stream: 'app', padding: 1000 });
  await sender.sendUpTo(lines, 1000);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_storage_bytes')).toBeGreaterThan(40_000_000);
  await sink.open();
  await sink.reached(lines);
  await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  process.stderr.write(`fault 38: at most ${Math.round(agent.peakMemory / 1e6)} MB, disk\n`);
  expect(agent.peakMemory).toBeLessThan(ALLOWED);
  await agent.stop();
  expectComplete(sink, { app: lines });
  expect(countDoubles(sink)).toBe(0);
});
