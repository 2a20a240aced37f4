/** The disk buffer at work: what happens at the same time, what is written and what is not, what a start finds. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import type { DiskStore, StoredChunk } from '../../../src/buffer/disk/store.ts';
import { encodeBatch } from '../../../src/event/chunk.ts';
import { Batch } from '../../../src/event/batch.ts';
import { contents, makeChunk, put, readAll, target } from './chunks.ts';
import { test } from './support.ts';

function segments(directory: string): string[] {
  return readdirSync(directory).filter((name) => name.endsWith('.segment'));
}

async function turn(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A store with chunks that lie in a segment each. */
async function fill(store: DiskStore, chunks: number, outputs = ['x', 'y']): Promise<StoredChunk[]> {
  const stored: StoredChunk[] = [];
  for (let n = 0; n < chunks; n++) {
    stored.push(put(store, makeChunk({ tag: `t${n}` }), outputs));
    await store.flush();
  }
  return stored;
}

describe('writing', () => {
  test('what every output has before it is written is never written', async ({ rig }) => {
    const { store, counted } = rig.open();
    let durable = 0;
    const stored = put(store, makeChunk(), ['x', 'y'], { urgency: 'lazy', onDurable: () => durable++ });
    store.settle(stored, 'x', 0, 3);
    store.settle(stored, 'y', 0, 3);
    expect(stored.busy).toBe(false);
    expect(await store.flush()).toBe(true);
    await store.tick();
    expect(segments(store.directory)).toEqual([]);
    expect(counted('written_bytes')).toBe(0);
    expect(durable).toBe(0);
    expect(store.pendingBytes).toBe(0);
  });

  test('settled at every instant of a write, with its memory used again at once', async ({ rig }) => {
    for (let turns = 0; turns < 12; turns++) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory, checksum: false });
      const chunk = makeChunk();
      const other = makeChunk({ tag: 'other' });
      const expected = contents(other);
      const gone = put(store, chunk, ['x', 'y']);
      put(store, other, ['x']);
      const flushed = store.flush();
      for (let n = 0; n < turns; n++) await turn();
      store.settle(gone, 'x', 0, 3);
      store.settle(gone, 'y', 0, 3);
      chunk.bytes.fill('?');
      expect(await flushed).toBe(true);
      store.writeProgress();
      const left = rig.open({ directory: rig.crashed(directory) });
      expect([...(await readAll(left.store)).values()]).toEqual([expected]);
      expect(left.said).toEqual([]);
    }
  });

  test('partly settled while it is written: a start knows', async ({ rig }) => {
    for (let turns = 0; turns < 12; turns++) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory });
      const stored = put(store, makeChunk(), ['x', 'y']);
      const flushed = store.flush();
      for (let n = 0; n < turns; n++) await turn();
      store.settle(stored, 'x', 0, 2);
      expect(await flushed).toBe(true);
      store.writeProgress();
      const [found] = rig.open({ directory: rig.crashed(directory) }).store.all();
      expect([found?.openFor('x'), found?.openFor('y')]).toEqual([[[2, 3]], [[0, 3]]]);
    }
  });

  test('settled while it is written, and the log saved before that is over: a start knows', async ({
    rig,
  }) => {
    for (const isBegunAnew of [false, true]) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory });
      const big = put(store, makeChunk({ records: 40_000, size: 1 }), ['a rather long name of an output']);
      await store.flush();
      // The log is so large that it will be begun anew.
      for (let n = 0; n < (isBegunAnew ? 25_000 : 0); n++)
        store.settle(big, 'a rather long name of an output', n, n + 1);
      const part = put(store, makeChunk(), ['x']);
      const whole = put(store, makeChunk(), ['x', 'y']);
      const flushed = store.flush();
      // There is a segment already: the write begins without a turn of the event loop.
      for (let n = 0; n < 100; n++) if (whole.state === 'waiting') await Promise.resolve();
      expect(whole.state).toBe('writing');
      store.settle(part, 'x', 0, 1);
      store.settle(whole, 'x', 0, 3);
      store.settle(whole, 'y', 0, 3);
      store.writeProgress();
      if (isBegunAnew) store.writeProgress();
      await flushed;
      const lines = readFileSync(join(directory, 'progress.log'), 'utf8').split('\n').length;
      expect(lines < 10).toBe(true);
      const { store: found } = rig.open({ directory: rig.crashed(directory) });
      expect(found.all().map(({ id }) => id)).toEqual([big.id, part.id]);
      expect(found.all()[1]?.openFor('x')).toEqual([[1, 3]]);
    }
  });

  test('a flush covers what is being written when it begins', async ({ rig }) => {
    for (let turns = 0; turns < 12; turns++) {
      const { store } = rig.open({ directory: rig.fresh() });
      let durable = 0;
      put(store, makeChunk(), ['x'], { urgency: 'now', onDurable: () => durable++ });
      for (let n = 0; n < turns; n++) await turn();
      expect(await store.flush()).toBe(true);
      expect(durable).toBe(1);
    }
  });

  test('put while a flush is under way, and closed at every instant', async ({ rig }) => {
    for (let turns = 0; turns < 12; turns++) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory });
      put(store, makeChunk({ tag: 'a' }), ['x'], { urgency: 'now' });
      for (let n = 0; n < turns; n++) await turn();
      put(store, makeChunk({ tag: 'b' }), ['x'], { urgency: 'lazy' });
      const closed = store.close();
      await closed;
      const files = segments(directory).map((name) => statSync(join(directory, name)).size);
      const { store: again } = rig.open({ directory: rig.crashed(directory) });
      expect(again.all().map(({ description }) => description.tag)).toEqual(['a', 'b']);
      // Nothing goes on after it.
      await store.flush();
      await store.tick();
      expect(segments(directory).map((name) => statSync(join(directory, name)).size)).toEqual(files);
    }
  });

  test('more chunks at once than a call takes arguments', async ({ rig }) => {
    const { store } = rig.open();
    const batch = new Batch();
    batch.push({ a: 1 }, undefined, 1, 0);
    const all = Array.from({ length: 150_000 }, () => put(store, encodeBatch('t', batch, true, 0), ['x']));
    expect(await store.flush()).toBe(true);
    expect(store.chunks).toBe(all.length);
    for (const stored of all) store.settle(stored, 'x', 0, 1);
    await store.tick();
    expect(store.livingBytes).toBe(0);
  });

  test('a chunk of which no output reads the bytes', async ({ rig }) => {
    const { store } = rig.open();
    const batch = new Batch();
    for (let n = 0; n < 3; n++) batch.push({ n }, undefined, n, 0, n, n + 1);
    put(store, encodeBatch('t', batch, false, 0), ['x']);
    await store.flush();
    const again = rig.open({ directory: rig.crashed() });
    const [stored] = again.store.all();
    const chunk = await again.store.read(stored as StoredChunk);
    expect([chunk?.length, chunk?.bytes.length, [...(chunk?.columns.seconds ?? [])]]).toEqual([
      3,
      0,
      [0, 1, 2],
    ]);
    expect(again.said).toEqual([]);
  });

  test('what no output needs, or has no records, is gone at once', async ({ rig }) => {
    const { store } = rig.open();
    put(store, makeChunk(), [], { overflow: true });
    put(store, makeChunk(), [target('x', [])], { overflow: true });
    expect(await store.flush()).toBe(true);
    expect([store.chunks, store.overflowBytes, store.bytesFor('x')]).toEqual([0, 0, 0]);
    expect(segments(store.directory)).toEqual([]);
  });
});

describe('compaction', () => {
  test('moves what is needed, once, and the old segment goes', async ({ rig }) => {
    const { store } = rig.open({ segmentBytes: 4000 });
    const stored = Array.from({ length: 12 }, (_, n) => put(store, makeChunk({ tag: `t${n}` }), ['x', 'y']));
    await store.flush();
    put(store, makeChunk({ tag: 'next' }), ['x']);
    await store.flush();
    const before = await readAll(store);
    for (const each of stored.slice(1)) for (const output of ['x', 'y']) store.settle(each, output, 0, 3);
    const [first] = stored as [StoredChunk];
    store.settle(first, 'y', 0, 1);
    const from = first.place?.segment.number;
    await store.tick();
    expect(first.place?.segment.number).not.toBe(from);
    expect(store.chunks).toBe(2);
    expect(segments(store.directory).length).toBe(1);
    expect((await readAll(store)).get(first.id)).toEqual(before.get(first.id));
    const again = rig.open({ directory: rig.crashed() });
    expect(again.store.all().map((each) => [each.id, each.openFor('y')])).toEqual([
      [first.id, [[1, 3]]],
      [first.id + 12, []],
    ]);
  });

  test('settled at every instant of it, and read meanwhile', async ({ rig }) => {
    for (let turns = 0; turns < 16; turns++) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory, segmentBytes: 2000 });
      const stored = Array.from({ length: 6 }, () => put(store, makeChunk(), ['x']));
      await store.flush();
      put(store, makeChunk(), ['x']);
      await store.flush();
      for (const each of stored.slice(2)) store.settle(each, 'x', 0, 3);
      const [first, second] = stored as [StoredChunk, StoredChunk];
      const ticking = store.tick();
      for (let n = 0; n < turns; n++) await turn();
      const reading = store.read(second);
      store.settle(first, 'x', 0, 3);
      expect(store.chunks).toBe(store.all().length);
      expect((await reading)?.length).toBe(3);
      await ticking;
      await store.flush();
      expect(store.chunks).toBe(2);
      store.writeProgress();
      const again = rig.open({ directory: rig.crashed(directory) });
      expect(again.store.all().map(({ id }) => id)).toEqual([second.id, second.id + 5]);
      expect(again.said).toEqual([]);
    }
  });

  test('closed at every instant of it', async ({ rig }) => {
    for (let turns = 0; turns < 16; turns++) {
      const directory = rig.fresh();
      const { store } = rig.open({ directory, segmentBytes: 2000 });
      const stored = Array.from({ length: 6 }, () => put(store, makeChunk(), ['x']));
      await store.flush();
      put(store, makeChunk(), ['x']);
      await store.flush();
      for (const each of stored.slice(2)) store.settle(each, 'x', 0, 3);
      const expected = await readAll(store);
      const ticking = store.tick();
      for (let n = 0; n < turns; n++) await turn();
      await store.close();
      const left = segments(directory);
      await ticking;
      expect(segments(directory)).toEqual(left);
      const again = rig.open({ directory });
      expect(await readAll(again.store)).toEqual(expected);
      expect(again.said).toEqual([]);
    }
  });

  test('a progress log begun anew does not forget a chunk of which an older copy lies elsewhere', async ({
    rig,
  }) => {
    const { store } = rig.open();
    const [first, second] = (await fill(store, 2)) as [StoredChunk, StoredChunk];
    await store.close();
    // The copy that a crash in the middle of moving leaves.
    const bytes = readFileSync(first.place?.segment.file ?? '').subarray(0, second.place?.offset);
    writeFileSync(join(store.directory, '0000000009.segment'), bytes);
    const once = rig.open();
    await once.store.close();
    const twice = rig.open();
    expect(twice.store.all().map(({ id }) => id)).toEqual([first.id, first.id + 1]);
  });
});

describe('the progress log', () => {
  test('is begun anew when it has grown, with what is needed and no more', async ({ rig }) => {
    const { store } = rig.open();
    const chunk = makeChunk({ records: 40_000, size: 1 });
    const stored = put(store, chunk, ['a rather long name of an output', 'y']);
    await store.flush();
    store.rename(new Map([['y', 'renamed']]));
    const log = join(store.directory, 'progress.log');
    let largest = 0;
    for (let n = 1; n < 30_000; n++) {
      store.settle(stored, 'a rather long name of an output', n - 1, n);
      if (n % 100 !== 0) continue;
      store.writeProgress();
      largest = Math.max(largest, statSync(log).size);
    }
    store.writeProgress();
    expect(largest).toBeLessThan(1.2 * 1024 * 1024);
    const again = rig.open({ directory: rig.crashed() });
    const [found] = again.store.all();
    expect(found?.openFor('a rather long name of an output')).toEqual([[29_999, 40_000]]);
    expect(readFileSync(join(again.store.directory, 'progress.log'), 'utf8').split('\n').length).toBe(5);
    expect(found?.outputs()).toEqual(['a rather long name of an output', 'renamed']);
  });

  test('ids never come back, also when the clock was set back', async ({ rig }) => {
    const first = rig.open();
    const id = first.store.takeId() + 5_000_000_000_000;
    const stored = put(first.store, makeChunk(), ['x'], { id });
    await first.store.flush();
    first.store.settle(stored, 'x', 0, 3);
    await first.store.close();
    for (let start = 0; start < 3; start++) {
      const { store } = rig.open();
      expect(store.chunks).toBe(0);
      expect(store.takeId()).toBeGreaterThan(id);
      await store.close();
    }
  });

  test('names of outputs may hold anything', async ({ rig }) => {
    const names = ['a b', '*', '>', 'ö\n', '%2A', '\ud800', ''];
    const { store } = rig.open();
    const stored = put(store, makeChunk(), names);
    await store.flush();
    for (const name of names.slice(0, 5)) store.settle(stored, name, 0, 2);
    store.writeProgress();
    const [found] = rig.open({ directory: rig.crashed() }).store.all();
    for (const name of names.slice(0, 5)) expect(found?.openFor(name), name).toEqual([[2, 3]]);
  });
});

describe('renamed outputs', () => {
  test('stay renamed: what was settled by either name is not sent again', async ({ rig }) => {
    const { store } = rig.open({ segmentBytes: 1 });
    const stored = await fill(store, 3);
    const lazy = put(store, makeChunk(), ['x'], { urgency: 'lazy' });
    const [first, second] = stored as [StoredChunk, StoredChunk];
    store.settle(first, 'x', 0, 1);
    store.rename(new Map([['x', 'search']]));
    expect(store.bytesFor('x')).toBe(0);
    expect(store.bytesFor('search')).toBe(4 * first.description.bytes);
    store.settle(first, 'search', 1, 2);
    store.settle(second, 'search', 0, 3);
    await store.flush();
    // A new output takes the old name.
    const newer = put(store, makeChunk(), ['x']);
    await store.flush();
    let { directory } = store;
    await store.close();
    for (let start = 0; start < 3; start++) {
      directory = rig.crashed(directory);
      const again = rig.open({ directory });
      expect(again.store.all().map((each) => [each.id, each.outputs()])).toEqual([
        [first.id, ['search', 'y']],
        [second.id, ['y']],
        [second.id + 1, ['search', 'y']],
        [lazy.id, ['search']],
        [newer.id, ['x']],
      ]);
      expect(again.store.all()[0]?.openFor('search')).toEqual([[2, 3]]);
      await again.store.close();
    }
  });

  test('to a name that a chunk already has: both stay what they are', async ({ rig }) => {
    const { store } = rig.open();
    const stored = put(store, makeChunk(), ['x', 'y']);
    await store.flush();
    store.rename(new Map([['x', 'y']]));
    expect([store.bytesFor('x'), store.bytesFor('y')]).toEqual([
      stored.description.bytes,
      stored.description.bytes,
    ]);
    for (const output of ['x', 'y']) store.settle(stored, output, 0, 3);
    expect([store.bytesFor('x'), store.bytesFor('y'), store.chunks]).toEqual([0, 0, 0]);
  });
});

test('a new segment never gets the number of one that is in quarantine', async ({ rig }) => {
  const { store } = rig.open();
  await fill(store, 1);
  await store.close();
  const file = join(store.directory, '0000000001.segment');
  writeFileSync(file, readFileSync(file).fill(0, 20, 30));
  const next = rig.open();
  expect(next.counted('torn_bytes')).toBeGreaterThan(0);
  expect(segments(store.directory)).toEqual([]);
  await next.store.close();
  const { store: later } = rig.open();
  await fill(later, 1);
  expect(segments(store.directory)).toEqual(['0000000002.segment']);
});

test('a damaged tail that was whole once counts as lost records, once', async ({ rig }) => {
  const { store } = rig.open();
  const [first, second] = (await fill(store, 2)) as [StoredChunk, StoredChunk];
  await store.close();
  const { file } = first.place?.segment ?? { file: '' };
  const bytes = readFileSync(file);
  bytes[bytes.length - 3] = 0;
  writeFileSync(file, bytes);
  const next = rig.open();
  expect(next.counted('damaged_records')).toBe(second.description.records);
  expect(next.store.all().map(({ id }) => id)).toEqual([first.id]);
  await next.store.close();
  const again = rig.open();
  expect(again.said).toEqual([]);
});
