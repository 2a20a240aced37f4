/** Damage of every kind: the buffer always opens, and nothing intact is lost (DELIVERY.md, rule 15). */
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { crc32 } from 'node:zlib';
import { describe, expect } from 'vitest';
import { BufferVersionError } from '../../../src/buffer/disk/store.ts';
import type { StoredChunk } from '../../../src/buffer/disk/store.ts';
import { contents, makeChunk, openStore, put, readAll, target } from './chunks.ts';
import type { Opened } from './chunks.ts';
import { test } from './support.ts';
import type { Rig } from './support.ts';

/** Every ninth bit in the normal suite, and so one of nearly each byte; every one in the long suite. */
const BIT_STEP = process.env['TAILRACE_RUNS'] === undefined ? 9 : 1;

interface Written {
  file: string;
  bytes: Buffer;
  log: Buffer;
  frames: { id: number; from: number; to: number; contents: unknown }[];
  outputs: Map<number, string[]>;
}

/** Six frames: several tags and outputs, metadata, multi-byte text, one partly settled. */
async function writeSix(rig: Rig, checksum = true): Promise<Written> {
  const { store } = rig.open({ checksum });
  const chunks = [
    makeChunk({ tag: 'a' }),
    makeChunk({ tag: 'b', records: 1, metadata: { level: 'warn' } }),
    makeChunk({ tag: 'a', text: '日本' }),
    makeChunk({ tag: 'c', records: 5, size: 3 }),
    makeChunk({ tag: 'd', records: 1, size: 0 }),
    makeChunk({ tag: 'a', records: 2, text: 'é' }),
  ];
  const targets = [['x'], ['x', 'y'], ['y'], [target('x', [[1, 3]]), 'z'], ['x', 'y'], ['z']];
  const stored = chunks.map((chunk, index) => put(store, chunk, targets[index] ?? []));
  expect(await store.flush()).toBe(true);
  store.settle(stored[4] as StoredChunk, 'y', 0, 1);
  const outputs = new Map(stored.map((each) => [each.id, each.outputs()]));
  await store.tick();
  const file = readdirSync(rig.directory).find((name) => name.endsWith('.segment')) ?? '';
  return {
    file,
    bytes: readFileSync(join(rig.directory, file)),
    log: readFileSync(join(rig.directory, 'progress.log')),
    frames: stored.map(({ id, place }, index) => {
      const { offset: from = 0, headBytes = 0, payloadBytes = 0 } = place ?? {};
      return { id, from, to: from + headBytes + payloadBytes, contents: contents(chunks[index] as never) };
    }),
    outputs,
  };
}

/** Opens a directory in which the segment and the log are these bytes, twice. */
async function opensAs(
  rig: Rig,
  written: Written,
  segment: Buffer,
  lost: (frame: { from: number; to: number }) => boolean,
  checksum = true,
): Promise<Opened & { found: Map<number, unknown> }> {
  const directory = rig.fresh();
  writeFileSync(join(directory, written.file), segment);
  writeFileSync(join(directory, 'progress.log'), written.log);
  const opened = openStore({ directory, checksum });
  const found = await readAll(opened.store);
  for (const frame of written.frames) {
    const { id } = frame;
    const expected = lost(frame) ? undefined : frame.contents;
    expect(isDeepStrictEqual(found.get(id), expected), `frame at ${frame.from}`).toBe(true);
  }
  for (const stored of opened.store.all())
    if (found.has(stored.id)) expect(stored.outputs()).toEqual(written.outputs.get(stored.id));
  await opened.store.close();

  const again = openStore({ directory, checksum });
  expect(await readAll(again.store)).toEqual(found);
  expect(again.counted('torn_bytes')).toBe(0);
  expect(again.said.filter(({ level }) => level !== 'info')).toEqual([]);
  await again.store.close();
  rmSync(directory, { recursive: true });
  return { ...opened, found };
}

describe('a segment', () => {
  test('cut at every byte', async ({ rig }) => {
    const written = await writeSix(rig);
    const { bytes } = written;
    const borders = new Set([0, 16, ...written.frames.map(({ to }) => to)]);
    for (let size = 0; size < bytes.length; size++) {
      const { counted, said } = await opensAs(rig, written, bytes.subarray(0, size), ({ to }) => to > size);
      const whole = Math.max(16, ...written.frames.filter(({ to }) => to <= size).map(({ to }) => to));
      expect(counted('torn_bytes'), `cut at ${size}`).toBe(size < 16 ? size : size - whole);
      expect(counted('damaged_frames')).toBe(0);
      expect(counted('damaged_records')).toBe(0);
      expect(said.length).toBe(borders.has(size) ? 0 : 1);
    }
  });

  test('every bit flipped', { timeout: 240_000 }, async ({ rig }) => {
    const written = await writeSix(rig);
    for (let bit = 0; bit < written.bytes.length * 8; bit += BIT_STEP) {
      const at = bit >> 3;
      const segment = flipped(written.bytes, bit);
      const { counted, said } = await opensAs(rig, written, segment, ({ from, to }) => at >= from && at < to);
      expect(counted('torn_bytes') + counted('damaged_frames'), `byte ${at}`).toBeGreaterThan(0);
      const [first] = said;
      expect(first?.fields['copy']).toEqual(expect.stringContaining('quarantine'));
      expect(first?.fields['reason']).toBeTypeOf('string');
    }
  });

  test('ranges of zeros, also without checksums', async ({ rig }) => {
    for (const checksum of [true, false]) {
      const written = await writeSix({ ...rig, directory: rig.directory }, checksum);
      for (const [index, { from, to }] of written.frames.entries()) {
        const segment = Buffer.from(written.bytes).fill(0, from, to);
        await opensAs(rig, written, segment, (frame) => frame.from === from, checksum);
        // The head was written, the rest was not: what a power cut leaves.
        const tail = Buffer.from(written.bytes).fill(0, to - 30, written.bytes.length);
        const { counted } = await opensAs(rig, written, tail, (frame) => frame.to >= to, checksum);
        expect(counted('torn_bytes')).toBe(tail.length - from);
        expect(counted('damaged_records')).toBe(0);
        if (index === written.frames.length - 1) continue;
        // Something was written behind it: it was synced once.
        const hole = Buffer.from(written.bytes).fill(0, to - 30, to);
        const damaged = await opensAs(rig, written, hole, (frame) => frame.to === to, checksum);
        expect(damaged.counted('damaged_frames')).toBe(1);
      }
      for (const name of readdirSync(rig.directory)) truncateSync(join(rig.directory, name), 0);
    }
  });

  test('all of it garbage, or a directory of that name', async ({ rig }) => {
    const written = await writeSix(rig);
    const garbage = Buffer.from(written.bytes).fill('garbage \xf5TRLFRM\xf5', 'latin1');
    const { counted } = await opensAs(rig, written, garbage, () => true);
    expect(counted('torn_bytes')).toBe(garbage.length);
  });

  test('damage in one that was sealed is found at reading, and counted once', async ({ rig }) => {
    const written = await writeSix(rig);
    const directory = rig.crashed();
    const { to } = written.frames[2] as { to: number };
    const segment = Buffer.from(written.bytes);
    segment[to - 1] = 0;
    writeFileSync(join(directory, written.file), segment);
    writeFileSync(join(directory, '0000000009.segment'), written.bytes.subarray(0, 16));
    const { store, counted } = rig.open({ directory });
    const found = await readAll(store);
    expect(found.size).toBe(5);
    await readAll(store);
    await store.tick();
    expect(counted('damaged_frames')).toBe(1);
    expect(counted('damaged_records')).toBe(3);
  });

  test('contents of two exchanged', async ({ rig }) => {
    const { store } = rig.open({ segmentBytes: 1 });
    const chunks = [makeChunk({ tag: 'a' }), makeChunk({ tag: 'b' })];
    for (const chunk of chunks) {
      put(store, chunk, ['x']);
      await store.flush();
    }
    const expected = await readAll(store);
    const directory = rig.crashed();
    const [a = '', b = ''] = readdirSync(directory).filter((name) => name.endsWith('.segment'));
    const first = readFileSync(join(directory, a));
    writeFileSync(join(directory, a), readFileSync(join(directory, b)));
    writeFileSync(join(directory, b), first);
    const other = rig.open({ directory });
    expect([...(await readAll(other.store)).keys()]).toEqual([...expected.keys()]);
    expect(await readAll(other.store)).toEqual(expected);
    expect(other.counted('damaged_frames')).toBe(0);
  });

  test('a later copy of a frame that is damaged does not take the place of the earlier', async ({ rig }) => {
    const written = await writeSix(rig);
    const directory = rig.crashed();
    const copy = Buffer.from(written.bytes);
    for (const { to } of written.frames) copy[to - 2] = 7;
    writeFileSync(join(directory, '0000000005.segment'), copy);
    // Makes the copy one that is not looked through.
    writeFileSync(join(directory, '0000000006.segment'), written.bytes.subarray(0, 16));
    const { store, counted } = rig.open({ directory });
    const found = await readAll(store);
    for (const frame of written.frames) expect(found.get(frame.id)).toEqual(frame.contents);
    expect(counted('damaged_records')).toBe(0);
  });
});

describe('the progress log', () => {
  test('cut at every byte, and every bit flipped: records are sent again, none is lost', async ({ rig }) => {
    const written = await writeSix(rig);
    const [, , , , fifth] = written.frames;
    for (let at = 0; at < written.log.length; at++) {
      for (const log of [written.log.subarray(0, at), flipped(written.log, at * 9)]) {
        const directory = rig.fresh();
        writeFileSync(join(directory, written.file), written.bytes);
        writeFileSync(join(directory, 'progress.log'), log);
        const { store, said } = openStore({ directory });
        expect(store.chunks).toBe(6);
        for (const stored of store.all()) {
          const least = written.outputs.get(stored.id) ?? [];
          expect(stored.outputs()).toEqual(expect.arrayContaining(least));
          if (stored.id !== fifth?.id) expect(stored.outputs()).toEqual(least);
        }
        const isWhole = log[log.length - 1] === 10 || log.length === 0;
        if (!isWhole) expect(said.length, `at ${at}`).toBe(1);
        await store.close();
        const again = openStore({ directory });
        expect(again.said).toEqual([]);
        await again.store.close();
        rmSync(directory, { recursive: true });
      }
    }
  });
});

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = (bit >> 3) % copy.length;
  copy[at] = (copy[at] as number) ^ (1 << (bit % 8));
  return copy;
}

describe('another version', () => {
  function snapshot(directory: string): Record<string, string> {
    return Object.fromEntries(
      readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'hex')]),
    );
  }

  test('of a segment is refused, and nothing is touched', async ({ rig }) => {
    const written = await writeSix(rig);
    const directory = rig.crashed();
    const header = Buffer.from(written.bytes.subarray(0, 16));
    header.writeUInt32LE(2, 8);
    header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
    // Behind one of ours that is torn.
    writeFileSync(join(directory, written.file), written.bytes.subarray(0, 500));
    writeFileSync(join(directory, '0000000007.segment'), Buffer.concat([header, Buffer.from('whatever')]));
    const before = snapshot(directory);
    expect(() => rig.open({ directory })).toThrow(BufferVersionError);
    expect(snapshot(directory)).toEqual(before);
  });

  test('of the progress log is refused, and nothing is touched', async ({ rig }) => {
    const written = await writeSix(rig);
    const directory = rig.crashed();
    const title = 'tailrace-progress 2';
    writeFileSync(join(directory, written.file), written.bytes.subarray(0, 500));
    writeFileSync(
      join(directory, 'progress.log'),
      `${title} ${crc32(title).toString(16).padStart(8, '0')}\nx`,
    );
    const before = snapshot(directory);
    expect(() => rig.open({ directory })).toThrow(/progress\.log has format 2/);
    expect(snapshot(directory)).toEqual(before);
  });
});
