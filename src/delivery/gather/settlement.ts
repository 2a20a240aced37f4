/** What becomes of the records of an object: delivered, refused, given up, dropped; with all that is counted of it. */
import type { Rejection } from '../../event/outcome.ts';
import { Ranges } from '../../event/ranges.ts';
import type { Range } from '../../event/ranges.ts';
import type { ManifestChunk } from '../../event/manifest.ts';
import type { Parcel } from '../parcel.ts';
import type { GatheringOptions } from './options.ts';
import { load } from './reader.ts';
import type { Given, ObjectReader } from './reader.ts';
import type { Entry, StagedObject } from './staged-object.ts';
import type { Tally } from './tally.ts';

export class Settlement {
  /** Of the queue; an exchange changes them. */
  options: GatheringOptions;
  private readonly tally: Tally;

  constructor(options: GatheringOptions, tally: Tally) {
    this.options = options;
    this.tally = tally;
  }

  /** The destination has the object, but for some records that it can never have. Rejects when those cannot be read now. */
  async delivered(object: StagedObject, reader: ObjectReader, rejected: readonly Rejection[]): Promise<void> {
    const kept = rejected.length === 0 ? undefined : await this.bury(object, reader, rejected);
    await this.acknowledge(object, kept === undefined ? undefined : openChunks(reader.given, kept));
    const { ledger, series, writeMarks } = this.options;
    const now = performance.now();
    for (const { entry, from, to, bytes } of reader.given) {
      const { facts } = entry.flight.held;
      let share = 0;
      for (const [start, stop] of without([from, to], kept?.get(entry))) {
        share += (stop - start) / (to - from);
        ledger.delivered.value += stop - start;
        ledger.observe(facts.input, (now - facts.arrivedAt) / 1000, stop - start);
        this.tally.take(object, entry, stop - start);
        entry.flight.settle(start, stop);
      }
      ledger.deliveredBytes.value += Math.round(bytes * share);
    }
    series.uploaded.value++;
    writeMarks();
    await this.options.shelf?.settled(object.sequence);
  }

  /** Refused records go where such records go, a chunk at a time. Returns which they are. */
  private async bury(
    object: StagedObject,
    reader: ObjectReader,
    rejected: readonly Rejection[],
  ): Promise<Map<Entry, Ranges>> {
    const buried = new Map<Entry, Ranges>();
    const sorted = rejected.toSorted((a, b) => a.index - b.index);
    let next = 0;
    let offset = 0;
    for (const { entry, from, to } of reader.given) {
      const end = offset + to - from;
      const own: Rejection[] = [];
      for (let one = sorted[next]; one !== undefined && one.index < end; one = sorted[++next])
        own.push({ ...one, index: one.index - offset });
      offset = end;
      if (own.length === 0 || !(await load(entry))) continue;
      try {
        const ranges = buried.get(entry) ?? new Ranges();
        for (const { index } of own) ranges.add(from + index, from + index + 1);
        buried.set(entry, ranges);
        const indexes = new Set(own.map(({ index }) => index));
        const safe = this.options.undeliverable.rejected([reader.parcel(entry, from, to)], own);
        this.tally.take(object, entry, indexes.size);
        entry.flight.deferred++;
        safe(() => {
          entry.flight.deferred--;
          for (const index of indexes) entry.flight.settle(from + index, from + index + 1);
        });
      } finally {
        entry.flight.held.unpin();
      }
    }
    return buried;
  }

  /** Gives an object up, a chunk at a time. Rejects when one cannot be read now; the rest of the object stays. */
  async giveUp(object: StagedObject, why: 'retry_limit' | 'retry_max_age', reason: string): Promise<void> {
    const { undeliverable } = this.options;
    const { attempts, firstTriedAt } = object;
    for (const entry of object.entries) {
      if (entry.records === 0) continue;
      if (!(await load(entry))) {
        this.lose(object, entry, 'damaged');
        continue;
      }
      const { flight } = entry;
      try {
        const parcels = flight.openRanges.map(([from, to]): Parcel => ({
          flight,
          from,
          to,
          attempts,
          firstTriedAt,
        }));
        const safe = undeliverable.givenUp(parcels, why, reason);
        this.tally.take(object, entry);
        flight.deferred++;
        safe(() => {
          flight.deferred--;
          for (const { from, to } of parcels) flight.settle(from, to);
        });
      } finally {
        flight.held.unpin();
      }
    }
    await this.acknowledge(object, []);
    this.options.writeMarks();
    await this.options.shelf?.settled(object.sequence);
  }

  /** Records of an entry are gone. */
  lose(object: StagedObject, entry: Entry, reason: string): void {
    if (entry.records === 0) return;
    this.options.ledger.dropped(reason).value += entry.records;
    this.tally.take(object, entry);
    entry.flight.settle(0, entry.flight.held.facts.records);
  }

  /** The one write that says that an object needs no further attempt. Never rejects. */
  async acknowledge(object: StagedObject, delivered?: readonly ManifestChunk[]): Promise<void> {
    if (!object.bound) return;
    try {
      await this.options.shelf?.acknowledge(object.manifest, delivered);
    } catch (error) {
      this.options.log.warn(
        { error, object: object.plan?.key },
        'That an object was delivered cannot be written; a crash now would send it once more, under the same name',
      );
    }
  }
}

/** What of the records given out is not among those ranges. */
function openChunks(given: readonly Given[], kept: ReadonlyMap<Entry, Ranges>): ManifestChunk[] {
  return given.map(({ entry, from, to }) => [
    entry.flight.held.id,
    [...without([from, to], kept.get(entry))],
  ]);
}

function* without([from, to]: Range, ranges: Ranges | undefined): Iterable<Range> {
  let at = from;
  for (const [start, stop] of ranges?.list ?? []) {
    if (stop <= from || start >= to) continue;
    if (start > at) yield [at, start];
    at = stop;
  }
  if (at < to) yield [at, to];
}
