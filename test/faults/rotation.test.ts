/** Rotation: nothing that was in a file is lost when the file gets another name (DELIVERY.md, rules 2, 4 and 5). */
import { mkdirSync, renameSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines, rotate } from '../support/numbered.ts';
import { rotationRun } from '../support/rotation-run.ts';
import type { HttpSink } from '../support/sink.ts';

async function follow(rig: Rig, path = 'app.log', keys = ''): Promise<HttpSink> {
  const sink = await rig.sink();
  rig.configure(`
service:
  flush: 0.02
pipeline:
  inputs:
    - name: tail
      path: ${path}
      tag: app
      read_from_head: true
      ${keys}
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  return sink;
}

test('fault 20: one rename while the sink is slow and the buffer full', async ({ rig }) => {
  await rotationRun(rig, { lines: 30_000, memory: '600k', slowness: 200 });
});

test('fault 22: a file that is deleted with an unread rest is read to its end', async ({ rig }) => {
  const sink = await follow(rig, 'app.log', 'mem_buf_limit: 500k');
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  sink.behave = () => ({ status: 200, after: opened });
  const lines = 40_000;
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, lines, 100));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_input_paused') === 1);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_input_read_records_total'), 'a rest is unread').toBeLessThan(lines);
  unlinkSync(rig.path('app.log'));
  open();
  await sink.reached(lines);
  expectComplete(sink, { app: lines });
  expect(countDoubles(sink)).toBe(0);
});

describe('a file that is created and rotated', () => {
  test('at once, 20 times, each when the one before has arrived', async ({ rig }) => {
    const sink = await follow(rig);
    await rig.start();
    for (let round = 0; round < 20; round++) {
      writeFileSync(rig.path('app.log'), numberedLines('app', round * 10, round * 10 + 10));
      renameSync(rig.path('app.log'), rig.path(`app.log.${round}`));
      await sink.reached(round * 10 + 10);
    }
    expectComplete(sink, { app: 200 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('at once, 20 times, whether or not anything has arrived', async ({ rig }) => {
    const sink = await follow(rig);
    await rig.start();
    for (let round = 0; round < 20; round++) {
      writeFileSync(rig.path('app.log'), numberedLines('app', round * 10, round * 10 + 10));
      renameSync(rig.path('app.log'), rig.path(`app.log.${round}`));
      await pause(round % 4);
    }
    await sink.reached(200);
    expect(countDoubles(sink)).toBe(0);
  });

  test('within a second, 20 times', async ({ rig }) => {
    const sink = await follow(rig);
    await rig.start();
    for (let round = 0; round < 20; round++) {
      writeFileSync(rig.path('app.log'), numberedLines('app', round * 10, round * 10 + 5));
      await pause(20 * (round % 5));
      writeFileSync(rig.path('app.log'), numberedLines('app', round * 10 + 5, round * 10 + 10), {
        flag: 'a',
      });
      renameSync(rig.path('app.log'), rig.path(`app.log.${round}`));
    }
    await sink.reached(200);
    expect(countDoubles(sink)).toBe(0);
  });
});

describe('while the agent is down', () => {
  test('fault 25: a file deleted and recreated with the same inode is read from its head', async ({
    rig,
    skip,
  }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('old', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();

    const { ino } = statSync(path);
    const longer = numberedLines('new', 0, 300);
    let same = false;
    for (let attempt = 0; attempt < 1000 && !same; attempt++) {
      unlinkSync(path);
      writeFileSync(path, longer);
      same = statSync(path).ino === ino;
    }
    if (!same) skip('This file system did not give the same inode again.');
    const second = await rig.start();
    await sink.reached(400);
    await second.stop();
    expectComplete(sink, { old: 100, new: 300 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('the rest of a rotated file is read, then the new one', async ({ rig }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('app', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();
    writeFileSync(path, numberedLines('app', 100, 200), { flag: 'a' });
    renameSync(path, `${path}.1`);
    writeFileSync(path, numberedLines('app', 200, 300));
    const second = await rig.start();
    await sink.reached(300);
    await second.stop();
    expectComplete(sink, { app: 300 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('fault 20: generations that came and were rotated meanwhile are read too', async ({ rig }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('app', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();
    writeFileSync(path, numberedLines('app', 100, 200), { flag: 'a' });
    const now = Date.now() / 1000;
    for (const [age, from] of [200, 300, 400].entries()) {
      // Written one after the other, not within one tick of the file system's clock.
      utimesSync(path, now, now + age);
      rotate(path);
      writeFileSync(path, numberedLines('app', from, from + 100));
    }
    utimesSync(path, now, now + 3);
    const second = await rig.start();
    await sink.reached(500);
    await second.stop();
    expectComplete(sink, { app: 500 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('fault 21: a file that was rotated and compressed with an unread rest is read on', async ({ rig }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('app', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();
    writeFileSync(`${path}.1.gz`, gzipSync(numberedLines('app', 0, 250)));
    unlinkSync(path);
    writeFileSync(path, numberedLines('app', 250, 300));
    const second = await rig.start();
    await sink.reached(300);
    await second.stop();
    expectComplete(sink, { app: 300 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('fault 25: a file that is another one with the inode of the old is read from its head', async ({
    rig,
  }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('old', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();
    // To who comes back, a file that was written anew in place and an inode that was given again look the same.
    writeFileSync(path, numberedLines('new', 0, 300));
    const second = await rig.start();
    await sink.reached(400);
    await second.stop();
    expectComplete(sink, { old: 100, new: 300 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('fault 23: a file truncated and written again to the same size is read from its head', async ({
    rig,
  }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('one', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();
    const { size, ino } = statSync(path);
    writeFileSync(path, numberedLines('two', 0, 100));
    expect(statSync(path)).toMatchObject({ size, ino });
    const second = await rig.start();
    await sink.reached(200);
    await second.stop();
    expectComplete(sink, { one: 100, two: 100 });
    expect(countDoubles(sink)).toBe(0);
  });

  test('fault 28: a line that was half written is taken whole, once', async ({ rig }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    const lines = numberedLines('app', 0, 20);
    writeFileSync(path, lines.slice(0, -8));
    const first = await rig.start();
    await sink.reached(19);
    const { summary } = await first.stop();
    expect(summary.read).toBe(19);
    writeFileSync(path, lines.slice(-8), { flag: 'a' });
    const second = await rig.start();
    await sink.reached(20);
    await second.stop();
    expectComplete(sink, { app: 20 });
    expect(countDoubles(sink)).toBe(0);
  });
});

test('fault 26: a hundred files with the same head are all read, none twice', async ({ rig }) => {
  const sink = await follow(rig, 'logs/*.log');
  mkdirSync(rig.path('logs'));
  const head = '# a banner that every file begins with\n'.repeat(130);
  for (let file = 0; file < 100; file++) {
    writeFileSync(join(rig.path('logs'), `${file}.log`), `${head}${numberedLines(`f${file}`, 0, 3)}`);
  }
  const first = await rig.start();
  await sink.reached(300);
  await first.stop();
  for (let file = 0; file < 100; file++) {
    writeFileSync(join(rig.path('logs'), `${file}.log`), numberedLines(`f${file}`, 3, 5), { flag: 'a' });
  }
  const second = await rig.start();
  await sink.reached(500);
  await second.stop();
  expect(countDoubles(sink)).toBe(0);
  expect(sink.requests.flatMap(({ others }) => others)).toHaveLength(130 * 100);
});
