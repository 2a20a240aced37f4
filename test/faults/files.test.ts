/** Faults 20 to 22, 24, 27 and 31: files that go, shrink, are empty, or have no end of line, while the agent has a backlog (DELIVERY.md, rules 3, 5 and 9). */
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines, rotate } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';
import { http, pipeline, QUICK, tail } from '../support/yaml.ts';

const PADDING = 100;
const BACKLOG = 20_000;

interface Paused {
  sink: HttpSink;
  agent: AgentProcess;
  /** The sink answers from now on. */
  open: () => void;
}

/** An agent whose input waits, with most of its file unread. */
async function paused(rig: Rig): Promise<Paused> {
  const sink = await rig.sink();
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  sink.behave = () => ({ status: 200, after: opened });
  rig.configure(
    pipeline({ inputs: [tail('mem_buf_limit: 300k', 'rotate_wait: 1s')], outputs: [http(sink)] }),
  );
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, BACKLOG, PADDING));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  const { length } = numberedLines('app', 0, BACKLOG, PADDING);
  expect((await agent.scrape()).sum('tailrace_input_read_bytes_total'), 'a rest is unread').toBeLessThan(
    length / 2,
  );
  return { sink, agent, open };
}

test('fault 20: ten renames while it waits: all generations are read, in order, 0 lost', async ({ rig }) => {
  const { sink, agent, open } = await paused(rig);
  const each = 500;
  for (let generation = 0; generation < 10; generation++) {
    const from = BACKLOG + generation * each;
    rotate(rig.path('app.log'));
    writeFileSync(rig.path('app.log'), numberedLines('app', from, from + each, PADDING));
    // One after the other, not within one tick of the file system's clock.
    await pause(20);
  }
  open();
  await sink.reached(BACKLOG + 10 * each);
  await agent.stop();
  expectComplete(sink, { app: BACKLOG + 10 * each });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 21: rotated, compressed and the original deleted while it waits: 0 lost, none twice', async ({
  rig,
}) => {
  const { sink, agent, open } = await paused(rig);
  const path = rig.path('app.log');
  renameSync(path, `${path}.1`);
  writeFileSync(path, numberedLines('app', BACKLOG, BACKLOG + 500, PADDING));
  writeFileSync(`${path}.1.gz`, gzipSync(readFileSync(`${path}.1`)));
  unlinkSync(`${path}.1`);
  open();
  await sink.reached(BACKLOG + 500);
  await agent.stop();
  expectComplete(sink, { app: BACKLOG + 500 });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 22: deleted with an unread rest: 0 lost', async ({ rig }) => {
  const { sink, agent, open } = await paused(rig);
  unlinkSync(rig.path('app.log'));
  open();
  await sink.reached(BACKLOG);
  await agent.stop();
  expectComplete(sink, { app: BACKLOG });
  expect(countDoubles(sink)).toBe(0);
});

test('fault 24: truncated with 2 MB unread: what went is counted to the byte and said once, what follows is read', async ({
  rig,
}) => {
  const { sink, agent, open } = await paused(rig);
  const { size } = statSync(rig.path('app.log'));
  truncateSync(rig.path('app.log'));
  appendFileSync(rig.path('app.log'), numberedLines('new', 0, 300));
  open();
  await sink.until(() => sink.has('new', 299));
  const scrape = await agent.until((each) => each.sum('tailrace_input_lost_bytes_total') > 0);
  const lost = scrape.sum('tailrace_input_lost_bytes_total', { reason: 'truncated' });
  const fresh = numberedLines('new', 0, 300).length;
  expect(lost + scrape.sum('tailrace_input_read_bytes_total')).toBe(size + fresh);
  expect(agent.log.filter(({ msg }) => msg.startsWith('A file was truncated'))).toHaveLength(1);
  await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  await agent.stop();
  expectComplete(sink, { new: 300 });
  const there = sink.distinct - 300;
  // Lines are whole: what is not there is what was counted.
  expect(numberedLines('app', 0, there, PADDING).length).toBe(size - lost);
  expect(countDoubles(sink)).toBe(0);
});

test('fault 27: a thousand files, empty or one line without its end: read after a second (a sixtieth), empties cost nothing', async ({
  rig,
}) => {
  const sink = await rig.sink();
  mkdirSync(rig.path('logs'));
  for (let file = 0; file < 1000; file++) {
    const content = file % 2 === 0 ? '' : numberedLines(`f${file}`, 0, 1).trimEnd();
    writeFileSync(rig.path('logs', `${file}.log`), content);
  }
  rig.configure(
    pipeline({ inputs: [tail('path: logs/*.log', 'unterminated_timeout: 1s')], outputs: [http(sink)] }),
  );
  const agent = await rig.start();
  await sink.reached(500);
  expect(agent.descriptors, 'descriptors').toBeLessThan(1000 + 100);
  appendFileSync(rig.path('logs', '0.log'), numberedLines('late', 0, 2));
  await sink.reached(502);
  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ read: 502, delivered: 502 });
  const second = await rig.start();
  appendFileSync(rig.path('logs', '0.log'), numberedLines('late', 2, 3));
  await sink.reached(503);
  expect((await second.stop()).summary).toMatchObject({ read: 1 });
  expect(countDoubles(sink)).toBe(0);
});

/** Of a whole agent that runs from its sources, that much is there before it reads anything. Bytes. */
const IDLE_MEMORY = 130_000_000;

test('fault 31: lines of 10 KB, 1 MB and 100 MB, and 100 MB without an end: cut and counted, the others whole, memory bounded', async ({
  rig,
}) => {
  const sink = await rig.sink();
  const path = rig.path('app.log');
  const descriptor = openSync(path, 'a');
  const megabyte = Buffer.alloc(1_000_000, 'y');
  const long = (bytes: number): void => {
    for (let written = 0; written < bytes; written += megabyte.length)
      writeSync(descriptor, megabyte, 0, Math.min(megabyte.length, bytes - written));
  };
  let n = 0;
  for (const size of [10_000, 1_000_000, 100_000_000]) {
    writeSync(descriptor, numberedLines('app', n, n + 10));
    long(size);
    writeSync(descriptor, '\n');
    n += 10;
  }
  writeSync(descriptor, numberedLines('app', n, n + 10));
  long(100_000_000);
  rig.configure(pipeline({ service: { ...QUICK, memory_limit: '16M' }, outputs: [http(sink)] }));
  const agent = await rig.start();
  await sink.reached(n + 10);
  await agent.until((scrape) => scrape.sum('tailrace_input_file_lag_bytes') <= 1_000_000);
  writeSync(descriptor, '\n');
  writeSync(descriptor, numberedLines('app', n + 10, n + 20));
  await sink.reached(n + 20);
  const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_input_long_lines_total')).toBe(3);
  const { peakMemory } = agent;
  process.stderr.write(`fault 31: at most ${Math.round(peakMemory / 1e6)} MB of memory\n`);
  // Beside what is idle: memory_limit twice, for the text of a request, and some lines of 1 MB under way.
  expect(peakMemory).toBeLessThan(IDLE_MEMORY + 2 * 16_000_000 + 40_000_000);
  await agent.stop();
  closeSync(descriptor);
  // The long ones are no numbered lines.
  const lengths = sink.requests.flatMap(({ others }) =>
    others.map((text) => (JSON.parse(text) as { log: string }).log.length),
  );
  expect(lengths).toEqual([10_000, 999_999, 999_999, 999_999]);
  expect(sink.distinct).toBe(n + 20);
  expect(countDoubles(sink)).toBe(0);
});
