/** A simple model of the disk buffer, and random histories that both go through. */
import { rmSync, statSync, truncateSync, writeFileSync, readFileSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { StoredChunk } from '../../../src/buffer/disk/store.ts';
import { placeBytes } from '../../../src/buffer/disk/stored-chunk.ts';
import type { Range } from '../../../src/event/ranges.ts';
import { contents, makeChunk, openStore, put, target } from './chunks.ts';
import type { Opened } from './chunks.ts';
import type { Rig } from './support.ts';

export type Step =
  | {
      do: 'put';
      records: number;
      size: number;
      outputs: number;
      open: boolean;
      now: boolean;
      overflow: boolean;
    }
  | { do: 'settle'; which: number; output: number; from: number; to: number }
  | { do: 'finish'; which: number }
  | { do: 'read'; which: number }
  | { do: 'flush' | 'tick' | 'progress' | 'wait' | 'close' | 'kill' | 'rename' }
  | { do: 'power cut'; keep: number; zeros: boolean };

const small = fc.nat(40);
const share = fc.double({ min: 0, max: 1, noNaN: true });

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('put' as const),
        records: fc.integer({ min: 1, max: 5 }),
        size: fc.nat(150),
        outputs: fc.integer({ min: 1, max: 7 }),
        open: fc.boolean(),
        now: fc.boolean(),
        overflow: fc.boolean(),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        which: small,
        output: fc.nat(2),
        from: fc.nat(5),
        to: fc.nat(5),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('finish' as const), which: small }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), which: small }) },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constantFrom('flush' as const, 'tick' as const, 'progress' as const, 'wait' as const),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom('close' as const, 'kill' as const, 'rename' as const) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('power cut' as const), keep: share, zeros: fc.boolean() }),
    },
  ),
  { minLength: 5, maxLength: 60 },
);

interface Known {
  stored: StoredChunk;
  contents: unknown;
  bytes: number;
  overflow: boolean;
  durable: boolean;
  /** By output, which records are open. */
  open: Map<string, boolean[]>;
  /** What was open, at most, when a start could last have learned it: after a kill, and after a power cut. */
  written: Map<string, boolean[]> | undefined;
  synced: Map<string, boolean[]> | undefined;
}

function copyOf(open: ReadonlyMap<string, boolean[]>): Map<string, boolean[]> {
  return new Map([...open].map(([output, records]) => [output, [...records]]));
}

function flags(ranges: readonly Range[], records: number): boolean[] {
  return Array.from({ length: records }, (_, index) =>
    ranges.some(([from, to]) => from <= index && index < to),
  );
}

export class Trial {
  private readonly rig: Rig;
  private readonly checksum: boolean;
  private opened: Opened;
  private directory: string;
  private outputs = ['a', 'b', 'c'];
  private known = new Map<number, Known>();
  private renamed = 0;
  private firmProgress = 0;
  private readonly abandoned: Opened[] = [];

  constructor(rig: Rig, checksum: boolean) {
    this.rig = rig;
    this.checksum = checksum;
    this.directory = rig.fresh();
    this.opened = this.open();
  }

  private open(): Opened {
    const opened = openStore({ directory: this.directory, segmentBytes: 1500, checksum: this.checksum });
    this.firmProgress = this.progressSize();
    return opened;
  }

  private progressSize(): number {
    return statSync(join(this.directory, 'progress.log')).size;
  }

  private pick(which: number): Known | undefined {
    return [...this.known.values()][which % Math.max(1, this.known.size)];
  }

  async take(step: Step): Promise<void> {
    const { store } = this.opened;
    switch (step.do) {
      case 'put':
        this.put(step);
        break;
      case 'settle': {
        const output = this.outputs[step.output] as string;
        this.settle(
          this.pick(step.which),
          output,
          Math.min(step.from, step.to),
          Math.max(step.from, step.to),
        );
        break;
      }
      case 'finish': {
        const known = this.pick(step.which);
        for (const output of known?.open.keys() ?? []) this.settle(known, output, 0, 9);
        break;
      }
      case 'read':
        await this.read(this.pick(step.which));
        break;
      case 'flush':
        expect(await store.flush()).toBe(true);
        for (const { durable, stored } of this.known.values()) expect(durable || stored.settled).toBe(true);
        break;
      case 'tick':
        await store.tick();
        this.noteProgress(true);
        break;
      case 'progress':
        store.writeProgress();
        this.noteProgress(false);
        break;
      case 'wait':
        // A write that is due begins, and is under way at the next step.
        await new Promise((resolve) => {
          setTimeout(resolve, 1);
        });
        break;
      case 'rename':
        await this.rename();
        break;
      case 'close':
        await store.close();
        this.reopen('close');
        break;
      case 'kill':
        this.leave();
        this.reopen('kill');
        break;
      case 'power cut':
        this.leave();
        this.cut(step.keep, step.zeros);
        this.reopen('power cut');
        break;
    }
    this.compare();
  }

  private put({ records, size, outputs, open, now, overflow }: Extract<Step, { do: 'put' }>): void {
    const chunk = makeChunk({ tag: `t${records}`, records, size, text: size % 3 === 0 ? 'ü' : 'x' });
    const ranges: [number, number][] | undefined = open && records > 1 ? [[1, records]] : undefined;
    const names = this.outputs.filter((_, index) => (outputs & (1 << index)) !== 0);
    const known: Known = {
      stored: undefined as never,
      contents: contents(chunk),
      bytes: chunk.bytes.length,
      overflow,
      durable: false,
      open: new Map(names.map((name) => [name, flags(ranges ?? [[0, records]], records)])),
      written: undefined,
      synced: undefined,
    };
    known.stored = put(
      this.opened.store,
      chunk,
      names.map((name) => target(name, ranges)),
      { urgency: now ? 'now' : 'lazy', overflow, onDurable: () => this.durable(known, chunk.bytes) },
    );
    this.known.set(known.stored.id, known);
  }

  private durable(known: Known, memory: Buffer): void {
    expect(known.durable).toBe(false);
    known.durable = true;
    // It may be used for something else from here on.
    memory.fill(0);
  }

  private settle(known: Known | undefined, output: string, from: number, to: number): void {
    if (known === undefined) return;
    this.opened.store.settle(known.stored, output, from, to);
    known.open.get(output)?.fill(false, from, to);
    if (![...known.open.values()].flat().some(Boolean)) known.stored.chunk?.bytes.fill(0);
  }

  private async read(known: Known | undefined): Promise<void> {
    if (known === undefined || known.stored.state !== 'durable') return;
    const chunk = await this.opened.store.read(known.stored);
    expect(chunk === undefined ? undefined : contents(chunk)).toEqual(known.contents);
  }

  private async rename(): Promise<void> {
    const [from = '', ...rest] = this.outputs;
    const to = `n${this.renamed++}`;
    this.opened.store.rename(new Map([[from, to]]));
    this.outputs = [...rest, to];
    for (const known of this.known.values()) {
      for (const open of [known.open, known.written, known.synced]) {
        const records = open?.get(from);
        if (open === undefined || records === undefined) continue;
        open.delete(from);
        open.set(to, records);
      }
    }
    // A start whose log has lost the new name gives it again; here it is there.
    await this.opened.store.tick();
    this.noteProgress(true);
  }

  private noteProgress(synced: boolean): void {
    if (synced) this.firmProgress = this.progressSize();
    for (const known of this.known.values()) {
      if (known.stored.state === 'waiting') continue;
      known.written = copyOf(known.open);
      if (synced) known.synced = copyOf(known.open);
    }
  }

  /** The process is gone; its files are as they are. */
  private leave(): void {
    this.abandoned.push(this.opened);
    this.directory = this.rig.crashed(this.directory);
  }

  /** Of what was not synced only a share is there, or zeros in its place. */
  private cut(keep: number, zeros: boolean): void {
    for (const segment of new Set([...this.known.values()].map(({ stored }) => stored.place?.segment))) {
      if (segment === undefined || segment.sealed) continue;
      const file = join(this.directory, basename(segment.file));
      if (!existsSync(file)) continue;
      const { size } = statSync(file);
      const ends = [...this.known.values()].map(({ durable, stored: { place } }) =>
        durable && place?.segment === segment ? place.offset + placeBytes(place) : 0,
      );
      const firm = Math.max(16, ...ends);
      const at = firm + Math.floor(Math.max(0, size - firm) * keep);
      if (zeros) writeFileSync(file, readFileSync(file).fill(0, at));
      else truncateSync(file, at);
    }
    const size = this.progressSize();
    if (size > this.firmProgress)
      truncateSync(
        join(this.directory, 'progress.log'),
        this.firmProgress + Math.floor((size - this.firmProgress) * keep),
      );
  }

  private reopen(after: 'close' | 'kill' | 'power cut'): void {
    const before = this.known;
    this.opened = this.open();
    const found = new Map(this.opened.store.all().map((stored) => [stored.id, stored]));
    this.known = new Map();
    for (const [id, known] of before) {
      const stored = found.get(id);
      const isOpen = [...known.open.values()].flat().some(Boolean);
      if (isOpen && (known.durable || after === 'close'))
        expect(stored, `chunk ${id} after ${after}`).toBeDefined();
      if (stored === undefined) continue;
      if (after === 'close') expect(isOpen).toBe(true);
      const most = after === 'close' ? known.open : after === 'kill' ? known.written : known.synced;
      const open = new Map<string, boolean[]>();
      for (const [output, least] of known.open) {
        const now = flags(stored.openFor(output), least.length);
        least.forEach((needed, index) => {
          if (needed) expect(now[index], `${id} ${output} ${index} after ${after}`).toBe(true);
          if (most?.get(output)?.[index] === false)
            expect(now[index], `${id} ${output} ${index} after ${after}`).toBe(false);
        });
        open.set(output, now);
      }
      this.known.set(id, {
        ...known,
        stored,
        durable: true,
        open,
        written: copyOf(open),
        synced: copyOf(open),
      });
    }
    for (const id of found.keys()) expect(before.has(id), `chunk ${id} was never put`).toBe(true);
  }

  private compare(): void {
    const { store } = this.opened;
    const all = store.all();
    expect(all.map(({ id }) => id)).toEqual([...new Set(all.map(({ id }) => id))].toSorted((a, b) => a - b));
    expect(store.chunks).toBe(all.length);
    expect(store.livingBytes).toBe(
      all.reduce((sum, { place }) => sum + (place === undefined ? 0 : placeBytes(place)), 0),
    );
    let overflow = 0;
    const bytes = new Map<string, number>();
    for (const known of this.known.values()) {
      let isOpen = false;
      for (const [output, records] of known.open) {
        if (!isDeepStrictEqual(flags(known.stored.openFor(output), records.length), records))
          expect(known.stored.openFor(output)).toEqual(records);
        if (!records.includes(true)) continue;
        isOpen = true;
        bytes.set(output, (bytes.get(output) ?? 0) + known.bytes);
      }
      if (isOpen && known.overflow) overflow += known.bytes;
    }
    for (const output of this.outputs) expect(store.bytesFor(output), output).toBe(bytes.get(output) ?? 0);
    expect(store.overflowBytes).toBe(overflow);
    expect(this.opened.counted('damaged_records')).toBe(0);
  }

  /** Reads all that is left. */
  async finish(): Promise<void> {
    expect(await this.opened.store.flush()).toBe(true);
    for (const known of this.known.values()) if (!known.stored.settled) await this.read(known);
  }

  async close(): Promise<void> {
    for (const { store } of [...this.abandoned, this.opened]) {
      await store.close();
      rmSync(store.directory, { recursive: true });
    }
  }
}

/** Holds the store against the model in that many histories. */
export async function tryHistories(rig: Rig, runs: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, fc.boolean(), async (history, checksum) => {
      const trial = new Trial(rig, checksum);
      try {
        for (const step of history) await trial.take(step);
        await trial.finish();
      } finally {
        await trial.close();
      }
    }),
    { numRuns: runs },
  );
}
