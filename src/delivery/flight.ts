/** A flight: a chunk on its way to one output, and which of its records are still open there. */
import type { Chunk } from '../event/chunk.ts';
import { Ranges } from '../event/ranges.ts';
import type { Range } from '../event/ranges.ts';
import type { Flight as SourceFlight } from '../event/source.ts';

/** A share in a chunk: the chunk is free when all shares are released. */
export interface ChunkShare {
  readonly chunk: Chunk;
  release(): void;
}

export class Flight implements SourceFlight {
  readonly batchStart: number;
  private share: ChunkShare;
  /** Indexes of the chunk's records that are not settled. */
  private open: Ranges;
  /** Bytes that were settled before the open rest moved to a chunk of its own. */
  private readonly settledBefore: Range[] = [];
  private readonly onLanded: (() => void) | undefined;

  /** `records` are the index ranges that go to the output. */
  constructor(share: ChunkShare, records: readonly Range[], onLanded?: () => void) {
    this.share = share;
    this.open = new Ranges(records);
    this.batchStart = share.chunk.base + (share.chunk.columns.starts[0] ?? 0);
    this.onLanded = onLanded;
  }

  get chunk(): Chunk {
    return this.share.chunk;
  }

  get landed(): boolean {
    return this.open.empty;
  }

  get openRecords(): number {
    return this.open.size;
  }

  get openRanges(): readonly Range[] {
    return this.open.list;
  }

  /** The records from index `from` to `to` are settled. */
  settle(from: number, to: number): void {
    const removed = this.open.remove(from, to);
    this.chunk.source?.touch();
    if (removed > 0 && this.open.empty) {
      this.share.release();
      this.onLanded?.();
    }
  }

  firstOpen(): number {
    const first = this.open.list[0];
    if (first === undefined) return Number.POSITIVE_INFINITY;
    return this.chunk.base + (this.chunk.columns.starts[first[0]] as number);
  }

  *settledRanges(): Iterable<Range> {
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

  /** Bytes of the chunk that are still needed by this flight. */
  get openBytes(): number {
    let bytes = 0;
    for (const [from, to] of this.open.list) bytes += this.chunk.bytesBetween(from, to);
    return bytes;
  }

  /**
   * Moves the open rest to a chunk of its own, so that the big one can be freed (DELIVERY.md, rule 17). The caller must hold all
   * open records in its hands: their indexes become 0 to `openRecords`.
   */
  moveTo(share: ChunkShare): void {
    this.settledBefore.push(...this.settledRanges());
    const old = this.share;
    this.share = share;
    this.open = new Ranges([[0, share.chunk.length]]);
    old.release();
  }
}
