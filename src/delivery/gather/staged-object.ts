/** An object that is being gathered, or waits for being sent: flights of chunks, as a whole each. */
import type { Manifest, ObjectPlan } from '../../event/manifest.ts';
import type { Range } from '../../event/ranges.ts';
import type { Flight } from '../flight.ts';

/** A flight as it was counted when it came here. */
export interface Entry {
  readonly flight: Flight;
  records: number;
  bytes: number;
}

export class StagedObject {
  readonly group: string;
  entries: Entry[] = [];
  records = 0;
  bytes = 0;
  /** Monotonic milliseconds at which its oldest record arrived. */
  oldestAt = Number.POSITIVE_INFINITY;
  /** Monotonic milliseconds at which its newest record arrived. */
  newestAt = Number.NEGATIVE_INFINITY;
  /** Given when it is closed. */
  sequence = 0;
  /** Given when it is sealed: from then on it is what it is. */
  plan: ObjectPlan | undefined;
  /** Its manifest is on disk. */
  bound = false;
  retried = false;
  /** Attempts that failed. */
  attempts = 0;
  /** Monotonic milliseconds before which it is not sent again. */
  notBefore = 0;
  /** Monotonic milliseconds of the first attempt; 0 before it. */
  firstTriedAt = 0;
  /** It is being sent, or given up. */
  busy = false;

  constructor(group: string) {
    this.group = group;
  }

  /** Takes a flight in. */
  add(flight: Flight): Entry {
    const entry: Entry = { flight, records: flight.openRecords, bytes: flight.openBytes };
    const { arrivedAt } = flight.held.facts;
    this.entries.push(entry);
    this.records += entry.records;
    this.bytes += entry.bytes;
    this.oldestAt = Math.min(this.oldestAt, arrivedAt);
    this.newestAt = Math.max(this.newestAt, arrivedAt);
    return entry;
  }

  get tag(): string {
    return this.entries[0]?.flight.held.facts.tag ?? '';
  }

  get manifest(): Manifest {
    return {
      sequence: this.sequence,
      plan: this.plan ?? { key: '', settings: {} },
      records: this.records,
      bytes: this.bytes,
      chunks: this.entries.map(({ flight }) => [
        flight.held.id,
        flight.openRanges.map(([from, to]): Range => [from, to]),
      ]),
    };
  }

  /** Bytes of chunks that are on no disk and not on their way there. */
  get unplacedBytes(): number {
    let bytes = 0;
    for (const entry of this.entries) if (isUnplaced(entry.flight)) bytes += entry.bytes;
    return bytes;
  }
}

export function isUnplaced({ held, isDurable }: Flight): boolean {
  return !isDurable && held.copy === undefined;
}
