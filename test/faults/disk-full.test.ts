/** A full disk, under the file output and under the state: the agent goes on, counts, and catches up by itself once there is space. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines, readNumbered } from '../support/numbered.ts';
import { fill, withSmallDisk } from '../support/small-disk.ts';

const DISK = 1_000_000;
const LINES = 10_000;

test('file output on a full disk', async ({ rig, skip }) => {
  await withSmallDisk({ rig, bytes: DISK, skip }, async (disk) => {
    const sink = await rig.sink();
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
    - name: file
      match: app
      path: disk
      file: out.log
      format: plain
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
    writeFileSync(`${disk}/filler`, Buffer.alloc(DISK * 0.7));
    writeFileSync(rig.path('app.log'), numberedLines('app', 0, LINES, 20));
    const agent = await rig.start();
    const failed = { name: 'file.0', result: 'failed' };
    await agent.until((scrape) => scrape.sum('tailrace_output_attempts_total', failed) > 2);
    await sink.reached(LINES);
    const full = await agent.scrape();
    expect(full.sum('tailrace_output_delivered_records_total', { name: 'file.0' })).toBeLessThan(LINES);
    expect(full.sum('tailrace_output_buffered_records', { name: 'file.0' })).toBeGreaterThan(0);
    const { error } = await agent.said(/^The destination failed/);
    expect(String(error)).toContain('the disk is full');

    rmSync(`${disk}/filler`);
    await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
    const { code, summary } = await agent.stop();
    expect(code).toBe(0);
    expect(summary.in_doubt).toBe(0);
    const lines = readFileSync(`${disk}/out.log`, 'utf8').split('\n');
    expect(lines.pop(), 'what follows the last line end').toBe('');
    const numbers = lines.map((line) => readNumbered((JSON.parse(line) as { log: string }).log)?.n);
    expect(numbers).toEqual(Array.from({ length: LINES }, (_, n) => n));
  });
});

test('fault 10: positions on a full disk: delivery goes on, and a kill costs duplicates only', async ({
  rig,
  skip,
}) => {
  await withSmallDisk({ rig, bytes: DISK, skip }, async (disk) => {
    const sink = await rig.sink();
    rig.configure(`
service:
  flush: 0.02
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
    const append = (from: number, to: number): void =>
      writeFileSync(rig.path('app.log'), numberedLines('app', from, to), { flag: 'a' });
    append(0, 100);
    const first = await rig.start({ state: 'disk/state' });
    await sink.reached(100);
    fill(`${disk}/filler`);
    // Each request is a write of positions; some fit into what the database has already.
    let written = 100;
    const failing = 'tailrace_state_write_failures_total';
    for (; (await first.scrape()).sum(failing) === 0; written += 10) {
      append(written, written + 10);
      await sink.reached(written + 10);
    }
    append(written, written + 100);
    written += 100;
    await sink.reached(written);
    await first.said(/^Positions cannot be written/);

    rmSync(`${disk}/filler`);
    await first.said(/^Positions can be written again/);
    await first.kill();
    const second = await rig.start({ state: 'disk/state' });
    append(written, written + 10);
    await sink.reached(written + 10);
    await second.stop();
    expectComplete(sink, { app: written + 10 });
    expect(countDoubles(sink)).toBe(0);
  });
});
