/**
 * An output's queue: takes chunks, sends them in attempts of the output's size, and sees every record through to its outcome.
 *
 * Retries, back-off, ordering, concurrency and accounting live here; an output only ever makes one attempt. Outputs are isolated:
 * nothing here waits for another output.
 */
import { Slice } from '../event/chunk.ts';
import { RetryableError, SplitError } from '../event/outcome.ts';
import type { Outcome, Rejection } from '../event/outcome.ts';
import type { Range } from '../event/ranges.ts';
import type { Output } from '../plugin.ts';
import type { Logger } from '../telemetry/log.ts';
import { backoffMs } from './backoff.ts';
import type { BackoffOptions } from './backoff.ts';
import type { DeadLetters } from './dead-letters.ts';
import { Flight } from './flight.ts';
import type { ChunkShare } from './flight.ts';
import { Lanes } from './lanes.ts';
import type { Limits } from './lanes.ts';
import type { OutputLedger } from './ledger.ts';
import { DestinationHealth } from './health.ts';
import { moveLeftovers } from './leftover.ts';
import type { Extract } from './leftover.ts';
import { countRecords, cut, parcelBytes, pick } from './parcel.ts';
import type { Parcel } from './parcel.ts';

export interface QueueOptions {
  name: string;
  output: Output;
  order: 'none' | 'tag' | 'all';
  workers: number;
  limits: Limits;
  /** Milliseconds between attempts while there is less than an attempt's worth. */
  flushMs: number;
  /** Failed attempts after which a record is dropped, less one; Infinity for none. */
  maxRetries: number;
  backoff: BackoffOptions;
  ledger: OutputLedger;
  log: Logger;
  deadLetters: DeadLetters | undefined;
  /** Writes marks that changed; called after a response was taken in and before the worker's next request (rule 8). */
  writeMarks: () => void;
  /** Accounts for the memory of request bodies: bytes taken, or freed when negative. */
  charge: (bytes: number) => void;
  extract: Extract;
}

/** How an output does, for status and readiness. */
export interface QueueState {
  /** Failed attempts since the last one that worked. */
  failures: number;
  /** Monotonic milliseconds of the first of those failures. */
  failingSince: number;
  lastError: string | undefined;
  records: number;
}

export class OutputQueue {
  private options: QueueOptions;
  private lanes: Lanes;
  private aborter = new AbortController();
  private readonly attempts = new Set<Promise<void>>();
  private records = 0;
  private bytes = 0;
  private sending = 0;
  private sendingBytes = 0;
  private readonly health = new DestinationHealth();
  private lastStart = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private hurried = false;
  private closed = false;
  private draining = false;
  private idleWaiters: (() => void)[] = [];

  constructor(options: QueueOptions) {
    this.options = options;
    this.lanes = new Lanes(options.order);
  }

  /** Puts records of a chunk in the queue. */
  enqueue(share: ChunkShare, records: readonly Range[]): Flight {
    const flight = new Flight(share, records);
    for (const [from, to] of records) {
      const parcel: Parcel = { flight, from, to, attempts: 0, firstTriedAt: 0 };
      this.records += to - from;
      this.bytes += parcelBytes(parcel);
      this.options.ledger.enqueued.value += to - from;
      this.lanes.push(parcel);
    }
    this.account();
    this.schedule();
    return flight;
  }

  get state(): QueueState {
    return {
      failures: this.health.failures,
      failingSince: this.health.failingSince,
      lastError: this.health.lastError,
      records: this.records,
    };
  }

  /** Sends what there is without waiting for more: memory is short, or the agent stops. */
  hurry(): void {
    if (this.records === 0) return;
    this.hurried = true;
    this.schedule();
  }

  /** Resolves when the queue is empty. */
  idle(): Promise<void> {
    if (this.records === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  /** From now on everything is sent at once, without the wait that a failure left: the agent stops. */
  drain(): void {
    this.draining = true;
    this.health.pausedUntil = 0;
    this.hurry();
  }

  /** The output that is being sent to. */
  get output(): Output {
    return this.options.output;
  }

  /** Goes on with another output, or with other options for it, without losing what waits. Call {@link halt} before. */
  exchange(options: QueueOptions): void {
    const waiting = [...this.lanes.waiting()];
    this.options = options;
    this.lanes = new Lanes(options.order);
    for (const parcel of waiting) this.lanes.push(parcel);
    this.aborter = new AbortController();
    this.closed = false;
    this.draining = false;
    this.recovered();
    this.account();
    this.schedule();
  }

  /** Drops what cannot be read again: at the end of a stop, where there is no disk to keep it. Returns how many records. */
  abandon(reason: string): number {
    let dropped = 0;
    for (const parcel of this.lanes.waiting()) {
      if (parcel.flight.chunk.source !== undefined) continue;
      dropped += parcel.to - parcel.from;
      this.settle(parcel);
    }
    if (dropped > 0) this.options.ledger.dropped(reason).value += dropped;
    this.account();
    return dropped;
  }

  /** No new attempt starts from now on; resolves when those in flight are over. */
  async halt(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    await Promise.all(this.attempts);
  }

  /** Gives up the attempts in flight; their records are in doubt. Call {@link halt} before. */
  abort(): void {
    this.aborter.abort(new Error('The agent stops.'));
  }

  /** Records in attempts that are not over. */
  get inDoubt(): number {
    return this.sending;
  }

  private schedule(): void {
    if (this.closed) return;
    const now = performance.now();
    const resting = this.lanes.wake(now);
    let wait = resting;
    while (this.lanes.hasReady && this.attempts.size < this.workersNow()) {
      const pause = this.pauseMs(now);
      if (pause > 0) {
        wait = Math.min(wait ?? Number.POSITIVE_INFINITY, pause);
        break;
      }
      if (!this.start()) break;
    }
    this.arm(wait);
  }

  /** While the destination fails, one probing attempt at a time (rule 24). */
  private workersNow(): number {
    return this.health.failures > 0 ? 1 : this.options.workers;
  }

  /** Milliseconds until an attempt may start. */
  private pauseMs(now: number): number {
    const backingOff = this.health.pausedUntil - now;
    if (backingOff > 0) return backingOff;
    const { limits, flushMs } = this.options;
    const enough =
      this.bytes - this.sendingBytes >= limits.bytes || this.records - this.sending >= limits.records;
    if (enough || this.hurried || this.draining || this.health.failures > 0) return 0;
    return this.lastStart + flushMs - now;
  }

  private arm(wait: number | undefined): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (wait === undefined) return;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        this.schedule();
      },
      Math.max(1, Math.ceil(wait)),
    );
  }

  private start(): boolean {
    const parcels = this.lanes.take(this.options.limits);
    if (parcels.length === 0) return false;
    this.lastStart = performance.now();
    const records = countRecords(parcels);
    const bytes = parcels.reduce((sum, parcel) => sum + parcelBytes(parcel), 0);
    this.sending += records;
    this.sendingBytes += bytes;
    this.options.charge(bytes);
    const attempt = this.send(parcels).finally(() => {
      this.attempts.delete(attempt);
      this.sending -= records;
      this.sendingBytes -= bytes;
      this.options.charge(-bytes);
      this.lanes.release(parcels);
      if (this.records === 0) this.becomeIdle();
      this.schedule();
    });
    this.attempts.add(attempt);
    return true;
  }

  private becomeIdle(): void {
    this.hurried = false;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const waiter of waiters) waiter();
  }

  /** One attempt and, where the destination or the plugin takes offence at some record, the halves of it. Never rejects. */
  private async send(parcels: readonly Parcel[]): Promise<void> {
    const { output, ledger } = this.options;
    const slices = parcels.map((parcel) => new Slice(parcel.flight.chunk, parcel.from, parcel.to));
    const now = performance.now();
    for (const parcel of parcels) parcel.firstTriedAt ||= now;
    let outcome: Outcome;
    try {
      // The call itself may throw before it returns a promise: a plugin need not be an async function.
      outcome = await output.deliver(slices, this.aborter.signal);
    } catch (error) {
      await this.failed(parcels, error);
      return;
    }
    if (!fits(outcome, countRecords(parcels))) {
      this.options.log.error(
        { records: countRecords(parcels) },
        'The output answered for records that it was not given; all are sent again',
      );
      ledger.attempt('defect');
      this.again(parcels, 'the output answered for records that it was not given', undefined, true);
      return;
    }
    this.take(parcels, outcome);
  }

  private async failed(parcels: readonly Parcel[], error: unknown): Promise<void> {
    const { ledger, log } = this.options;
    if (this.aborter.signal.aborted) {
      ledger.attempt('aborted');
      this.lanes.putBack(parcels, 0);
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof RetryableError) {
      ledger.attempt('failed');
      this.again(parcels, reason, error.retryAfterMs, true);
      return;
    }
    // The destination refuses the whole, or the plugin fell over something in it: halve until the record is found (rules 20, 21).
    const records = countRecords(parcels);
    const refused = error instanceof SplitError;
    ledger.attempt(refused ? 'refused' : 'defect');
    if (records > 1) {
      log.debug({ records, reason }, 'The attempt is halved to find the record that does not pass');
      const [head, tail] = cut(parcels, records >> 1);
      await this.send(head);
      await this.send(tail);
      return;
    }
    const rejection: Rejection = refused
      ? { index: 0, reason, ...(error.status === undefined ? {} : { status: error.status }) }
      : { index: 0, reason: `plugin_error: ${reason}` };
    this.take(parcels, { rejected: [rejection] });
  }

  /** Settles what an attempt came to. */
  private take(parcels: readonly Parcel[], outcome: Outcome): void {
    const { ledger } = this.options;
    const rejected = outcome.rejected ?? [];
    const refused = new Set(rejected.map((rejection) => rejection.index));
    const retry = (outcome.retry ?? []).filter((index) => !refused.has(index)).toSorted((a, b) => a - b);
    const total = countRecords(parcels);
    const back = pick(parcels, retry);
    const bad = pick(
      parcels,
      [...refused].toSorted((a, b) => a - b),
    );
    const now = performance.now();

    // Dead letters are on disk before the records settle (rule 25).
    if (bad.length > 0) this.bury(parcels, rejected);
    const held = [...back, ...bad];
    for (const parcel of parcels) this.settleDelivered(parcel, held, now);
    for (const parcel of bad) this.settle(parcel);
    if (total > refused.size + retry.length || refused.size > 0) this.recovered();
    ledger.attempt(retry.length === 0 && refused.size === 0 ? 'ok' : 'partial');
    if (back.length > 0) {
      this.again(
        back,
        outcome.reason ?? 'the destination asked to send some records again',
        outcome.retryAfterMs,
        false,
      );
    }
    this.account();
    this.options.writeMarks();
  }

  /** Settles the records of a parcel that are in none of the `held` ones, as delivered. */
  private settleDelivered(parcel: Parcel, held: readonly Parcel[], now: number): void {
    const { ledger } = this.options;
    const { chunk } = parcel.flight;
    const latency = (now - chunk.arrivedAt) / 1000;
    const kept = held
      .filter((other) => other.flight === parcel.flight && other.from >= parcel.from && other.to <= parcel.to)
      .toSorted((a, b) => a.from - b.from);
    let at = parcel.from;
    for (const { from, to } of [...kept, { from: parcel.to, to: parcel.to }]) {
      if (from > at) {
        const run = { ...parcel, from: at, to: from };
        ledger.delivered.value += from - at;
        ledger.deliveredBytes.value += parcelBytes(run);
        ledger.observe(chunk.input, latency, from - at);
        this.settle(run);
      }
      at = to;
    }
  }

  private settle(parcel: Parcel): void {
    this.records -= parcel.to - parcel.from;
    this.bytes -= parcelBytes(parcel);
    parcel.flight.settle(parcel.from, parcel.to);
  }

  private account(): void {
    this.options.ledger.buffered.value = this.records;
    this.options.ledger.bufferedBytes.value = this.bytes;
  }

  private bury(parcels: readonly Parcel[], rejected: readonly Rejection[]): void {
    const { deadLetters, ledger, log, name } = this.options;
    const seen = new Set<number>();
    const letters = [];
    for (const rejection of rejected) {
      if (seen.has(rejection.index)) continue;
      seen.add(rejection.index);
      const [parcel] = pick(parcels, [rejection.index]);
      if (parcel === undefined) continue;
      const slice = new Slice(parcel.flight.chunk, parcel.from, parcel.to);
      letters.push({
        slice,
        status: rejection.status,
        reason: rejection.reason,
        attempts: parcel.attempts + 1,
        firstTriedAt: parcel.firstTriedAt,
      });
    }
    const first = rejected[0];
    log.warn(
      { records: letters.length, status: first?.status, reason: first?.reason },
      'The destination does not take some records',
    );
    if (deadLetters?.write(name, letters) === true) ledger.deadLettered.value += letters.length;
    else ledger.dropped('rejected').value += letters.length;
  }

  /** Queues parcels again, or drops them where the retry limit says so. */
  private again(
    parcels: readonly Parcel[],
    reason: string,
    retryAfterMs: number | undefined,
    destinationFailed: boolean,
  ): void {
    const { ledger, log, maxRetries, backoff } = this.options;
    const now = performance.now();
    const kept: Parcel[] = [];
    let exhausted = 0;
    for (const parcel of parcels) {
      if (parcel.attempts >= maxRetries) {
        exhausted += parcel.to - parcel.from;
        this.settle(parcel);
      } else {
        kept.push({ ...parcel, attempts: parcel.attempts + 1 });
      }
    }
    if (exhausted > 0) {
      ledger.retriesExhausted.value++;
      ledger.dropped('retry_limit').value += exhausted;
      log.error({ records: exhausted, reason }, 'Records are dropped: the retry limit is reached');
    }
    const attempts = kept.reduce((most, parcel) => Math.max(most, parcel.attempts), 1);
    let wait = backoffMs(attempts, backoff, retryAfterMs);
    if (destinationFailed) {
      wait = this.health.failed(reason, backoff, retryAfterMs);
      log.warn(
        {
          error: reason,
          failures: this.health.failures,
          retry_in_ms: Math.round(wait),
          records: countRecords(kept),
        },
        'The destination failed; its records are sent again',
      );
    }
    if (kept.length > 0) {
      ledger.retries.value++;
      ledger.retriedRecords.value += countRecords(kept);
      moveLeftovers(kept, this.options.extract);
      this.lanes.putBack(kept, destinationFailed ? 0 : now + wait);
    }
    this.account();
    if (exhausted > 0) this.options.writeMarks();
  }

  private recovered(): void {
    const failures = this.health.worked();
    if (failures > 0) this.options.log.info({ failures }, 'The destination works again');
  }
}

/** Whether an outcome speaks only of records that were sent. */
function fits(outcome: Outcome, total: number): boolean {
  const valid = (index: number): boolean => Number.isInteger(index) && index >= 0 && index < total;
  return (outcome.retry ?? []).every(valid) && (outcome.rejected ?? []).every(({ index }) => valid(index));
}
