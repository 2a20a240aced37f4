/** A flight: a chunk on its way to one output, and which of its records are still open there. */
import type { Chunk } from '../event/chunk.ts';
import { Ranges } from '../event/ranges.ts';
import type { Range } from '../event/ranges.ts';
import type { Flight as SourceFlight } from '../event/source.ts';
import type { HeldChunk } from './held-chunk.ts';

export class Flight implements SourceFlight {
  readonly batchStart: number;
  /** Name of the output in the state. */
  readonly output: string;
  held: HeldChunk;
  /** The chunk's memory stays for this flight. */
  pinned = false;
  /** Its output gathers objects: the chunk goes to disk for it, however much room there is in memory. */
  staged = false;
  /** Parcels of it that are being sent. */
  sending = 0;
  /** Parcels of it that settle once another output has them safe. */
  deferred = 0;
  /** Attempts that failed, of the records that failed most often. */
  attempts = 0;
  /** Monotonic milliseconds of the first attempt; 0 before it. */
  firstTriedAt = 0;
  private readonly batchStop: number;
  /** Indexes of the chunk's records that are not settled. */
  private open: Ranges;
  /** Bytes that were settled before the open rest moved to a chunk of its own. */
  private readonly settledBefore: Range[] = [];
  /** The chunk that it was in before was durable. */
  private wasDurable = false;

  /** `records` are the index ranges that go to the output. */
  constructor(held: HeldChunk, output: string, records: readonly Range[]) {
    this.held = held;
    this.output = output;
    this.open = new Ranges(records);
    const { base = 0, columns } = held.inMemory ? held.chunk : {};
    this.batchStart = base + (columns?.starts[0] ?? 0);
    this.batchStop = base + (columns?.stops[held.facts.records - 1] ?? 0);
  }

  get chunk(): Chunk {
    return this.held.chunk;
  }

  /** The source need not keep it: every record is settled, or the disk has it. */
  get landed(): boolean {
    return this.open.empty || this.isDurable;
  }

  get isDurable(): boolean {
    return this.wasDurable || this.held.durable;
  }

  /** Neither on disk nor in a source: with the process it is gone. */
  get isLost(): boolean {
    return !this.isDurable && !this.held.canBeReadAgain;
  }

  get openRecords(): number {
    return this.open.size;
  }

  get openRanges(): readonly Range[] {
    return this.open.list;
  }

  /** The records from index `from` to `to` are settled. */
  settle(from: number, to: number): void {
    const { held } = this;
    const removed = this.open.remove(from, to);
    if (removed === 0) return;
    held.copy?.settle(this.output, from, to);
    held.source?.touch();
    if (this.open.empty) held.leave(this);
  }

  /** Lets go of the chunk's memory: it is not about to be sent. */
  unpin(): void {
    if (!this.pinned) return;
    this.pinned = false;
    this.held.unpin();
  }

  firstOpen(): number {
    const first = this.open.list[0];
    if (first === undefined || this.isDurable) return Number.POSITIVE_INFINITY;
    return this.chunk.base + (this.chunk.columns.starts[first[0]] as number);
  }

  *settledRanges(): Iterable<Range> {
    if (this.landed) {
      yield [this.batchStart, this.batchStop];
      return;
    }
    yield* this.settledBefore;
    const { base, columns, length } = this.chunk;
    let at = 0;
    for (const [from, to] of [...this.open.list, [length, length] as Range]) {
      if (from > at) {
        yield [base + (columns.starts[at] as number), base + (columns.stops[from - 1] as number)];
      }
      at = to;
    }
  }

  /** Bytes of the chunk that are still needed by this flight; in proportion while it is on disk. */
  get openBytes(): number {
    const { facts, inMemory } = this.held;
    if (!inMemory) return Math.round((facts.bytes * this.openRecords) / Math.max(1, facts.records));
    let bytes = 0;
    for (const [from, to] of this.open.list) bytes += this.chunk.bytesBetween(from, to);
    return bytes;
  }

  /**
   * Moves the open rest to a chunk of its own, so that the big one can be freed (DELIVERY.md, rule 17). The caller must hold all
   * open records in its hands: their indexes become 0 to `openRecords`.
   */
  moveTo(rest: HeldChunk): void {
    const { held, output } = this;
    const { copy } = held;
    const ranges = this.open.list;
    if (!held.durable) this.settledBefore.push(...this.settledRanges());
    this.wasDurable ||= held.durable;
    this.open = new Ranges([[0, rest.facts.records]]);
    this.held = rest;
    held.handOver(this, rest);
    // Until the rest is safe, a restart finds its records in the frame that they were in.
    if (copy === undefined) return;
    rest.whenSafe(() => {
      for (const [from, to] of ranges) copy.settle(output, from, to);
    });
  }
}
