/** What the file system can do to the disk buffer: no room, failed syncs, missing files, no descriptors (DELIVERY.md, rule 14). */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { contents, makeChunk, openStore, put, readAll } from './chunks.ts';
import { test } from './support.ts';
import type { Rig } from './support.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const DISK = 400_000;

function segments(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.segment'));
}

async function withSmallDisk(
  rig: Rig,
  skip: (why: string) => never,
  use: (disk: string) => Promise<void>,
): Promise<void> {
  const disk = rig.fresh();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'tmpfs', disk], { stdio: 'ignore' });
  } catch {
    skip('Mounting a small file system takes root.');
  }
  try {
    await use(disk);
  } finally {
    execFileSync('umount', ['--lazy', disk]);
  }
}

test('a full disk: nothing is lost, and all of it becomes durable when there is room', async ({
  rig,
  skip,
}) => {
  await withSmallDisk(rig, skip, async (disk) => {
    const directory = join(disk, 'buffer');
    const { store, said, counted } = openStore({ directory, segmentBytes: 50_000 });
    const filler = join(disk, 'filler');
    writeFileSync(filler, Buffer.alloc(DISK / 2));
    const expected = new Map<number, unknown>();
    let durable = 0;
    for (let n = 0; n < 25; n++) {
      const chunk = makeChunk({ tag: `t${n}`, records: 10, size: 1000 });
      const { id } = put(store, chunk, ['x', 'y'], { onDurable: () => durable++ });
      expected.set(id, contents(chunk));
      await store.flush();
    }
    expect(store.isFailing).toBe(true);
    expect(await store.flush()).toBe(false);
    expect(durable).toBeGreaterThan(5);
    expect(durable).toBeLessThan(25);
    expect(store.pendingBytes).toBeGreaterThan(0);
    expect(counted('failures')).toBeGreaterThan(1);
    expect(said.filter(({ level }) => level === 'error').length).toBe(1);
    // One file for each that was begun, none for each try.
    const numbers = new Set(store.all().map(({ place }) => place?.segment.number));
    expect(segments(directory).length).toBeLessThanOrEqual(numbers.size + 1);

    // What is there can be read, settled and opened while the disk is full.
    const killed = rig.crashed(directory);
    const other = openStore({ directory: killed });
    expect((await readAll(other.store)).size).toBeGreaterThanOrEqual(durable);
    expect(other.said).toEqual([]);
    await other.store.close();

    rmSync(filler);
    expect(await store.flush()).toBe(true);
    expect(store.isFailing).toBe(false);
    expect(durable).toBe(25);
    expect(store.pendingBytes).toBe(0);
    expect(await readAll(store)).toEqual(expected);
    await store.close();
    const again = openStore({ directory });
    expect(await readAll(again.store)).toEqual(expected);
    await again.store.close();
  });
});

test('a full disk can be opened and drained', async ({ rig, skip }) => {
  await withSmallDisk(rig, skip, async (disk) => {
    const directory = join(disk, 'buffer');
    const before = openStore({ directory, segmentBytes: 1000 });
    for (let n = 0; n < 20; n++) put(before.store, makeChunk({ records: 10, size: 100 }), ['x']);
    await before.store.close();
    const filler = join(disk, 'filler');
    expect(() => {
      for (;;) writeFileSync(filler, Buffer.alloc(4096), { flag: 'a' });
    }).toThrow('ENOSPC');

    const { store, said } = openStore({ directory, segmentBytes: 1000 });
    expect(said.map(({ level }) => level)).toEqual(['error']);
    const all = store.all();
    expect(all.length).toBe(20);
    for (const stored of all.slice(0, 10)) store.settle(stored, 'x', 0, 10);
    store.writeProgress();
    const files = segments(directory);
    const next = put(store, makeChunk(), ['x']);
    expect(await store.flush()).toBe(false);
    expect(segments(directory)).toEqual(files);
    rmSync(filler);
    await store.tick();
    expect(await store.flush()).toBe(true);
    const left = openStore({ directory: rig.crashed(directory) });
    expect(left.store.all().map(({ id }) => id)).toEqual([...all.slice(10).map(({ id }) => id), next.id]);
    await left.store.close();
    await store.close();
  });
});

test('a failed sync: what was not durable is written to another segment', ({ rig, skip }) => {
  const library = join(rig.fresh(), 'failing-sync.so');
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-o', library, join(HERE, 'failing-sync.c'), '-ldl'], {
      stdio: 'ignore',
    });
  } catch {
    skip('Making syncs fail takes a C compiler.');
  }
  const flag = join(rig.fresh(), 'failing');
  const seen = JSON.parse(
    execFileSync(process.execPath, [join(HERE, 'faulty-process.ts'), 'sync', rig.directory, flag], {
      encoding: 'utf8',
      env: { ...process.env, LD_PRELOAD: library, FAIL_SYNC_WHILE: flag },
    }),
  ) as Record<string, unknown>;
  expect(seen).toMatchObject({
    before: true,
    during: false,
    seen: { isFailing: true, durable: 0, busy: true },
    after: true,
    places: [1, 2],
    durable: 1,
    failures: 1,
    left: ['0000000002.segment'],
    all: [{ tag: 'first' }, { tag: 'second' }],
    reopened: [seen['expected']],
  });
});

test('no descriptors: what cannot be opened is tried again, and no file is left behind', ({ rig }) => {
  const command = `ulimit -n 64; exec "$0" "$1" files "$2"`;
  const seen: unknown = JSON.parse(
    execFileSync('sh', ['-c', command, process.execPath, join(HERE, 'faulty-process.ts'), rig.directory], {
      encoding: 'utf8',
    }),
  );
  expect(seen).toEqual({ during: false, isFailing: true, error: 'EMFILE', after: true, read: 2, files: 2 });
});

test('a segment that somebody deletes is counted as damage, once, and the rest goes on', async ({ rig }) => {
  const before = rig.open({ segmentBytes: 1 });
  for (let n = 0; n < 3; n++) {
    put(before.store, makeChunk({ tag: `t${n}` }), ['x']);
    await before.store.flush();
  }
  const { store, counted } = rig.open({ directory: rig.crashed(), segmentBytes: 1 });
  const [, second] = store.all();
  unlinkSync(second?.place?.segment.file ?? '');
  expect((await readAll(store)).size).toBe(2);
  expect((await readAll(store)).size).toBe(2);
  expect(counted('damaged_frames')).toBe(1);
  expect(counted('damaged_records')).toBe(3);
  for (const stored of store.all()) store.settle(stored, 'x', 0, 3);
  await store.tick();
  expect(store.chunks).toBe(0);
  expect(segments(store.directory)).toEqual([]);
});
