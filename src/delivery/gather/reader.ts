/** Reads an object's records for one attempt, a chunk at a time, and keeps account of what was given out. */
import { Slice } from '../../event/chunk.ts';
import { RetryableError } from '../../event/outcome.ts';
import type { Attempt } from '../attempt.ts';
import type { HeldChunk } from '../held-chunk.ts';
import type { Parcel } from '../parcel.ts';
import { parcelBytes } from '../parcel.ts';
import type { Entry, StagedObject } from './staged-object.ts';

/** Records that were given out. */
export interface Given {
  entry: Entry;
  /** Index of the first and behind the last in the chunk. */
  from: number;
  to: number;
  bytes: number;
}

export class ObjectReader {
  /** What the output got, in order. */
  given: Given[] = [];
  records = 0;
  /** The output has read it to its end. */
  whole = false;
  private readonly object: StagedObject;
  private readonly attempt: Attempt;
  private readonly onDamaged: (entry: Entry) => void;
  private current: HeldChunk | undefined;

  /** `onDamaged`: an entry cannot be read, and never will. */
  constructor(object: StagedObject, attempt: Attempt, onDamaged: (entry: Entry) => void) {
    this.object = object;
    this.attempt = attempt;
    this.onDamaged = onDamaged;
  }

  /** Reads it from the beginning. */
  async *slices(): AsyncIterable<Slice> {
    this.given = [];
    this.records = 0;
    this.whole = false;
    for (const entry of this.object.entries) {
      const { flight } = entry;
      this.attempt.moved();
      if (!(await load(entry))) {
        this.onDamaged(entry);
        continue;
      }
      this.current = flight.held;
      try {
        for (const [from, to] of flight.openRanges) {
          const bytes = parcelBytes(this.parcel(entry, from, to));
          this.given.push({ entry, from, to, bytes });
          this.records += to - from;
          yield new Slice(flight.chunk, from, to);
        }
      } finally {
        this.current = undefined;
        flight.held.unpin();
      }
    }
    this.attempt.moved();
    this.whole = true;
  }

  /** The output did not come back: it may still be reading. */
  taint(): void {
    this.current?.taint();
  }

  parcel({ flight }: Entry, from: number, to: number): Parcel {
    const { attempts, firstTriedAt } = this.object;
    return { flight, from, to, attempts, firstTriedAt };
  }
}

/** Reads an entry's chunk back and pins it. False when it is damaged. Throws RetryableError when it cannot be read now. */
export async function load({ flight }: Entry): Promise<boolean> {
  try {
    return await flight.held.load();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RetryableError(`reading records back from the disk buffer: ${reason}`, { cause });
  }
}
