/** Rotation: nothing that was in a file is lost when the file gets another name (DELIVERY.md, rules 2, 4 and 5). */
import { mkdirSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { countDoubles, expectComplete } from '../support/judge.ts';
import { numberedLines } from '../support/numbered.ts';
import { rotationRun } from '../support/rotation-run.ts';
import type { HttpSink } from '../support/sink.ts';

async function follow(rig: Rig, path = 'app.log'): Promise<HttpSink> {
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
  outputs:
    - name: http
      match: app
      port: ${sink.port}
      format: json_lines
`);
  return sink;
}

test('one rename while the sink is slow and the buffer full', async ({ rig }) => {
  await rotationRun(rig, { lines: 30_000, memory: '600k', slowness: 200 });
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
      writeFileSync(rig.path('app.log'), numberedLines('app', round * 10 + 5, round * 10 + 10), { flag: 'a' });
      renameSync(rig.path('app.log'), rig.path(`app.log.${round}`));
    }
    await sink.reached(200);
    expectComplete(sink, { app: 200 });
    expect(countDoubles(sink)).toBe(0);
  });
});

describe('while the agent is down', () => {
  test('a file deleted and recreated with the same inode is read from its head', async ({ rig, skip }) => {
    const sink = await follow(rig);
    const path = rig.path('app.log');
    writeFileSync(path, numberedLines('old', 0, 100));
    const first = await rig.start();
    await sink.reached(100);
    await first.stop();

    const { ino } = statSync(path);
    const longer = numberedLines('new', 0, 300);
    let same = false;
    for (let attempt = 0; attempt < 200 && !same; attempt++) {
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

  test('a line that was half written is taken whole, once', async ({ rig }) => {
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

test('a hundred files with the same head are all read, none twice', async ({ rig }) => {
  const sink = await follow(rig, 'logs/*.log');
  mkdirSync(rig.path('logs'));
  const head = `${'# a banner that every file begins with\n'.repeat(130)}`;
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

test('a directory that goes and comes back is followed again', async ({ rig }) => {
  const sink = await follow(rig, 'logs/*.log');
  mkdirSync(rig.path('logs'));
  writeFileSync(rig.path('logs', 'a.log'), numberedLines('a', 0, 10));
  await rig.start();
  await sink.reached(10);
  rmSync(rig.path('logs'), { recursive: true });
  mkdirSync(rig.path('logs'));
  writeFileSync(rig.path('logs', 'b.log'), numberedLines('b', 0, 10));
  await sink.reached(20);
  expect(countDoubles(sink)).toBe(0);
});
