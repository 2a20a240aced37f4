/** What the pipeline knows of an output's queue, whether it sends records as they come or gathers them to objects first. */
import type { Range } from '../event/ranges.ts';
import type { Flight } from './flight.ts';
import type { HeldChunk } from './held-chunk.ts';

/** How an output does, for status and readiness. */
export interface QueueState {
  /** Failed attempts since the last one that worked. */
  failures: number;
  /** Monotonic milliseconds of the first of those failures. */
  failingSince: number;
  lastError: string | undefined;
  records: number;
  /** Bytes in memory. */
  bytes: number;
  diskRecords: number;
  diskBytes: number;
  /** Monotonic milliseconds at which the oldest buffered record arrived; absent when there is none. */
  oldestAt: number | undefined;
  /** Milliseconds until the next attempt; absent when none is waited for. */
  nextAttemptInMs: number | undefined;
  /** Monotonic milliseconds at which the attempt that is under way for longest began, or last went forward. */
  attemptSince: number | undefined;
  /** Of an output that gathers: objects that are open, with their records, and objects that are to be sent. */
  objects?: { open: number; openRecords: number; closed: number };
}

/** What a stop leaves. */
export interface Abandoned {
  /** Records that are nowhere any more. */
  dropped: number;
  /** Records on disk. */
  onDisk: number;
  /** Of these, in objects that are not closed yet. */
  gathered: number;
}

/** A chunk that a start found on disk, and the records of it that an output needs. */
export interface FoundOnDisk {
  held: HeldChunk;
  records: readonly Range[];
}

export interface DeliveryQueue {
  /** Name of the output in the state. */
  readonly stateName: string;
  /** The output that is being sent to. */
  readonly output: { close?(): Promise<void> | void };
  /** It gathers objects. */
  readonly gathers: boolean;
  readonly state: QueueState;
  /** Records whose fate is open in attempts that are not over. */
  readonly inDoubt: number;
  /** Puts records of a chunk, which is in memory, in the queue. */
  enqueue(held: HeldChunk, records: readonly Range[]): Flight;
  /** Takes in what a start found on disk. */
  recover(found: readonly FoundOnDisk[]): void;
  /**
   * Moves flights of these chunks out of what is about to be sent, so that their memory can go once they are on disk. What is being sent at
   * this moment stays.
   */
  evict(chunks: ReadonlySet<HeldChunk>): void;
  /** Drops the oldest records that wait on disk until so many bytes are free. Returns the bytes that went. */
  dropOldest(bytes: number): number;
  /** It takes more than it has: what it waits for will be sent at once. */
  isHungry(bytes: number): boolean;
  /** Memory is short: it does not wait for more of what only memory has. */
  hurry(): void;
  /** The disk takes nothing more of what it gathers. */
  press(): void;
  /** Sends all that there is without waiting for more. */
  complete(): void;
  /** Resolves when nothing is left that will be sent by itself. */
  idle(): Promise<void>;
  /** From now on everything is sent at once, without the wait that a failure left: the agent stops. */
  drain(): void;
  /** No new attempt starts from now on; resolves when those in flight are over. */
  halt(): Promise<void>;
  /** Gives up the attempts in flight. Call {@link halt} before. */
  abort(): void;
  /** Gives up what is neither on disk nor can be read again: at the end of a stop. */
  abandon(reason: string): Abandoned;
  /** Lets go of everything without settling it: the output is gone, and what it has not got stays where it is. */
  discard(): void;
}
