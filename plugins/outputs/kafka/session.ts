/**
 * The session of an idempotent producer: its id, the sequence number of each partition, and the batches of which no answer says whether
 * they are stored.
 *
 * A broker knows a batch again by producer id, first and last sequence number. So one that is in doubt is kept as it was and sent again
 * just so, before anything else goes to its partition; then its records are there once, and the attempt that brings them again finds
 * them by their origins. That holds until the process ends, or the broker forgets the producer (by default after a day).
 */
import type { BatchIdentity } from './record-batch.ts';

/** A batch that is in doubt. */
export interface Doubt {
  topic: string;
  partition: number;
  /** As it was sent. */
  bytes: Buffer;
  count: number;
  sequence: number;
  /** The origins of its records, in order. */
  origins: readonly string[];
}

/** Sequence numbers are 31 bits and go round. */
const SEQUENCES = 2 ** 31;
/** Records that turned out to be stored and did not come again are forgotten beyond this number. */
const MOST_STORED = 200_000;

export class Session {
  /** By `topic:partition`; a partition has one at a time. */
  readonly doubts = new Map<string, Doubt>();
  private producer: { producerId: bigint; producerEpoch: number } | undefined;
  private readonly sequences = new Map<string, number>();
  /** How many records of an origin were stored by a batch that had been in doubt, and did not come again yet. */
  private stored = new Map<string, number>();

  get isOpen(): boolean {
    return this.producer !== undefined;
  }

  open(producerId: bigint, producerEpoch: number): void {
    this.producer = { producerId, producerEpoch };
  }

  /** What the next batch of a partition is to be known by. */
  identity(key: string): BatchIdentity {
    if (this.producer === undefined) return { producerId: -1n, producerEpoch: -1, sequence: -1 };
    return { ...this.producer, sequence: this.sequences.get(key) ?? 0 };
  }

  /** That many records of a partition have got their sequence numbers. */
  advance(key: string, count: number): void {
    if (this.producer !== undefined)
      this.sequences.set(key, ((this.sequences.get(key) ?? 0) + count) % SEQUENCES);
  }

  doubt(key: string, doubt: Doubt): void {
    if (this.producer === undefined) return;
    this.doubts.set(key, doubt);
    this.advance(key, doubt.count);
  }

  /** A batch that was in doubt is stored. */
  confirm(key: string): void {
    const doubt = this.doubts.get(key);
    if (doubt === undefined) return;
    this.doubts.delete(key);
    if (this.stored.size > MOST_STORED) this.stored = new Map();
    for (const origin of doubt.origins) this.stored.set(origin, (this.stored.get(origin) ?? 0) + 1);
  }

  /** The broker does not know the producer any more: a new session begins. Returns how many records stay in doubt. */
  lose(): number {
    let records = 0;
    for (const { count } of this.doubts.values()) records += count;
    this.producer = undefined;
    this.sequences.clear();
    this.doubts.clear();
    return records;
  }

  /** Whether origins have to be looked at: something was or is in doubt. */
  get hasHistory(): boolean {
    return this.stored.size > 0 || this.doubts.size > 0;
  }

  /** Whether a record with this origin is stored already; asked once per record that comes again. */
  takeStored(origin: string): boolean {
    const count = this.stored.get(origin);
    if (count === undefined) return false;
    if (count === 1) this.stored.delete(origin);
    else this.stored.set(origin, count - 1);
    return true;
  }

  /** The origins that are in doubt now. */
  originsInDoubt(): ReadonlySet<string> {
    const origins = new Set<string>();
    for (const doubt of this.doubts.values()) for (const origin of doubt.origins) origins.add(origin);
    return origins;
  }
}
