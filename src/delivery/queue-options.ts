/** All that an output's queue has to know of its output, and whom it tells. */
import type { Output } from '../plugin.ts';
import type { Logger } from '../telemetry/log.ts';
import type { BackoffOptions } from './backoff.ts';
import type { Limits } from './lanes.ts';
import type { OutputLedger } from './ledger.ts';
import type { Extract } from './leftover.ts';
import type { Undeliverable } from './undeliverable.ts';

export interface QueueOptions {
  /** Name of the output, for people. */
  name: string;
  /** Name in the state: what the disk buffer knows the output by. */
  stateName: string;
  output: Output;
  order: 'none' | 'tag' | 'all';
  workers: number;
  limits: Limits;
  /** Milliseconds between attempts while there is less than an attempt's worth. */
  flushMs: number;
  /** Failed attempts after which a record is given up, less one; Infinity for none. */
  maxRetries: number;
  /** Milliseconds from its arrival after which a record is not sent again; Infinity for none. */
  maxAgeMs: number;
  /** Milliseconds after which an attempt is given up. */
  attemptTimeoutMs: number;
  backoff: BackoffOptions;
  ledger: OutputLedger;
  log: Logger;
  /** Where records go that are given up. */
  undeliverable: Undeliverable;
  /** Writes marks that changed; called after a response was taken in and before the worker's next request (rule 8). */
  writeMarks: () => void;
  /** Accounts for the memory of request bodies: bytes taken, or freed when negative. */
  charge: (bytes: number) => void;
  extract: Extract;
  /** Whether there is memory to read so many bytes back from disk. */
  mayLoad: (bytes: number) => boolean;
  /** Called after every attempt: an input that waits for room may be helped now. */
  afterAttempt: () => void;
}
