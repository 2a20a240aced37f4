/** Files that are deleted or truncated before they were delivered, with the destination down (DELIVERY.md, rule 3; FAULTS 21, 22, 24). */
import { copyFileSync, readFileSync, renameSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import type { HttpSink } from '../support/sink.ts';

const LINES = 30_000;
/** With 100 bytes of padding the lines take some 4 MB: four times the memory. */
const PADDING = 100;

interface Setting {
  path?: string;
  /** Of the input. */
  keys?: string;
}

/** One output with a sink that is down. */
async function follow(rig: Rig, setting: Setting = {}): Promise<HttpSink> {
  const sink = await rig.sink();
  await sink.close();
  configure(rig, sink, setting);
  return sink;
}

function configure(rig: Rig, sink: HttpSink, { path = 'app.log', keys = '' }: Setting): void {
  rig.configure(`
service:
  flush: 0.05
  grace: 3
  memory_limit: 1M
  scheduler.base: 0.05
  scheduler.cap: 0.1
  storage.overflow.min_free: 0
pipeline:
  inputs:
    - name: tail
      path: ${path}
      tag: app
      read_from_head: true
      rotate_wait: 1
      ${keys}
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
}

/** An agent that waits for room, with most of the file unread. */
async function paused(rig: Rig): Promise<AgentProcess> {
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, PADDING));
  const agent = await rig.start();
  const scrape = await agent.until((each) => each.sum('tailrace_input_paused') === 1);
  expect(scrape.sum('tailrace_input_read_records_total'), 'a rest is unread').toBeLessThan(LINES / 2);
  return agent;
}

/** All of it was read, without taking more memory than there is, and the file is not held any more. */
async function saved(agent: AgentProcess): Promise<void> {
  let memory = 0;
  await agent.until((scrape) => {
    memory = Math.max(memory, scrape.sum('tailrace_buffer_bytes'));
    const read = scrape.sum('tailrace_input_read_records_total');
    return read === LINES && scrape.sum('tailrace_input_open_files') === 0;
  });
  // The limit, a block, and the body of a request.
  expect(memory).toBeLessThan(2 * 1024 * 1024);
}

async function end(agent: AgentProcess, how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (how === 'SIGKILL') await agent.kill();
  else expect((await agent.stop()).summary.dropped).toBe(0);
}

/** The destination is back: all of it arrives, once, and nothing is counted as lost. */
async function expectAll(rig: Rig, sink: HttpSink): Promise<void> {
  await sink.open();
  const agent = await rig.start();
  await sink.reached(LINES);
  const scrape = await agent.until((each) => each.sum('tailrace_output_buffered_records') === 0);
  expect(scrape.sum('tailrace_input_lost_bytes_total')).toBe(0);
  await agent.stop();
  expectComplete(sink, { app: LINES });
  expect(countDoubles(sink)).toBe(0);
}

describe('fault 22: a file that is deleted with an unread rest', () => {
  test('and SIGTERM at once: 0 lost', async ({ rig }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    unlinkSync(rig.path('app.log'));
    await end(agent, 'SIGTERM');
    await expectAll(rig, sink);
  });

  test('is put on disk and closed though memory is full; then SIGKILL: 0 lost', async ({ rig }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    unlinkSync(rig.path('app.log'));
    await saved(agent);
    await end(agent, 'SIGKILL');
    await expectAll(rig, sink);
  });

  test('and is still written to, without an end of its last line', async ({ rig }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    const last = numberedLines('app', LINES, LINES + 1, PADDING).trimEnd();
    writeFileSync(rig.path('app.log'), last, { flag: 'a' });
    unlinkSync(rig.path('app.log'));
    await end(agent, 'SIGTERM');
    await sink.open();
    await rig.start();
    await sink.reached(LINES + 1);
    expectComplete(sink, { app: LINES + 1 });
  });

  test('while a changed configuration is loaded', async ({ rig }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    unlinkSync(rig.path('app.log'));
    configure(rig, sink, { keys: 'skip_empty_lines: true' });
    await agent.reload();
    await agent.kill();
    await expectAll(rig, sink);
  });

  test('while its input is taken out of the configuration', async ({ rig }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    unlinkSync(rig.path('app.log'));
    configure(rig, sink, { path: 'other.log', keys: 'alias: other' });
    await agent.reload();
    await end(agent, 'SIGTERM');
    await expectAll(rig, sink);
  });

  test('is counted and told once where there is no disk', async ({ rig }) => {
    await follow(rig);
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, PADDING));
    const agent = await rig.start({ state: 'off' });
    await agent.until((each) => each.sum('tailrace_input_paused') === 1);
    unlinkSync(rig.path('app.log'));
    const { summary } = await agent.stop();
    expect(summary.read).toBeLessThan(LINES / 2);
    expect(summary.dropped).toBe(summary.read);
    const told = agent.log.filter(({ msg }) => msg.startsWith('A file was deleted'));
    const perLine = numberedLines('app', 10_000, 10_001, PADDING).length;
    expect(told).toHaveLength(1);
    // Lines with small numbers are a few bytes shorter.
    expect(Number(told[0]?.['bytes'])).toBeLessThanOrEqual((LINES - summary.read) * perLine);
    expect(Number(told[0]?.['bytes'])).toBeGreaterThan((LINES - summary.read) * (perLine - 5));
  });
});

describe('fault 21: a file that is rotated, compressed and deleted while nothing gets away', () => {
  function compress(rig: Rig): void {
    const path = rig.path('app.log');
    renameSync(path, `${path}.1`);
    writeFileSync(`${path}.1.gz`, gzipSync(readFileSync(`${path}.1`)));
    unlinkSync(`${path}.1`);
  }

  for (const path of ['app.log', 'app.log*']) {
    test(`${path}, SIGTERM at once: 0 lost`, async ({ rig }) => {
      const sink = await follow(rig, { path });
      const agent = await paused(rig);
      compress(rig);
      await end(agent, 'SIGTERM');
      await expectAll(rig, sink);
    });

    test(`${path}, SIGKILL at once: read on in the compressed file, 0 lost`, async ({ rig }) => {
      const sink = await follow(rig, { path });
      const agent = await paused(rig);
      // What is compressed is known by the marks of a moment ago.
      await agent.until((each) => each.sum('tailrace_state_rows_written_total') > 0);
      compress(rig);
      await end(agent, 'SIGKILL');
      await expectAll(rig, sink);
    });

    test(`${path}, SIGKILL once it is saved: 0 lost`, async ({ rig }) => {
      const sink = await follow(rig, { path });
      const agent = await paused(rig);
      compress(rig);
      await saved(agent);
      await end(agent, 'SIGKILL');
      await expectAll(rig, sink);
    });
  }
});

describe('fault 24: a file that is copied and truncated', () => {
  for (const how of ['SIGTERM', 'SIGKILL'] as const) {
    test(`what was read of it is put on disk at once; then ${how}`, async ({ rig }) => {
      const sink = await follow(rig);
      const path = rig.path('app.log');
      const small = 1000;
      writeFileSync(path, numberedLines('app', 0, small));
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === small);
      copyFileSync(path, rig.path('elsewhere'));
      truncateSync(path);
      await agent.until((scrape) => scrape.sum('tailrace_storage_overflow_bytes') > 0);
      writeFileSync(path, numberedLines('app', small, 2 * small));
      await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 2 * small);
      await end(agent, how);
      await sink.open();
      const second = await rig.start();
      await sink.reached(2 * small);
      const scrape = await second.until((each) => each.sum('tailrace_output_buffered_records') === 0);
      expect(scrape.sum('tailrace_input_lost_bytes_total')).toBe(0);
      expectComplete(sink, { app: 2 * small });
      expect(countDoubles(sink)).toBe(0);
    });
  }

  test('with an unread rest: that is counted once, and what was read is saved though memory is full', async ({
    rig,
  }) => {
    const sink = await follow(rig);
    const agent = await paused(rig);
    const { length } = readFileSync(rig.path('app.log'));
    truncateSync(rig.path('app.log'));
    await agent.until((scrape) => scrape.sum('tailrace_storage_overflow_bytes') > 0);
    const scrape = await agent.until((each) => each.sum('tailrace_input_lost_bytes_total') > 0);
    const read = scrape.sum('tailrace_input_read_records_total');
    const rest = numberedLines('app', read, LINES, PADDING).length;
    expect(scrape.sum('tailrace_input_lost_bytes_total', { reason: 'truncated' })).toBe(rest);
    expect(rest).toBeLessThan(length);
    expect(agent.log.filter(({ msg }) => msg.includes('truncated'))).toHaveLength(1);
    await agent.kill();
    await sink.open();
    await rig.start();
    await sink.reached(read);
    expectComplete(sink, { app: read });
    expect(countDoubles(sink)).toBe(0);
  });
});

test('where all is well, a deleted file is delivered and closed, and nothing goes to disk', async ({
  rig,
}) => {
  const sink = await follow(rig);
  await sink.open();
  // It fits into memory, and is delivered well within the time that it has for that.
  const lines = 3000;
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, lines, PADDING));
  const agent = await rig.start();
  await sink.until(() => sink.distinct > 0);
  unlinkSync(rig.path('app.log'));
  await sink.reached(lines);
  const scrape = await agent.until((each) => each.sum('tailrace_input_open_files') === 0);
  expect(scrape.sum('tailrace_storage_written_bytes_total')).toBe(0);
  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ read: lines, delivered: lines });
  expect(countDoubles(sink)).toBe(0);
});
