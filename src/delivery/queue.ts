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
import { mainLoop } from '../telemetry/heartbeat.ts';
import type { Logger } from '../telemetry/log.ts';
import { AbandonedError, Attempt } from './attempt.ts';
import { backoffMs } from './backoff.ts';
import type { BackoffOptions } from './backoff.ts';
import type { Flight } from './flight.ts';
import { Halving } from './halving.ts';
import type { Refused } from './halving.ts';
import type { HeldChunk } from './held-chunk.ts';
import type { Limits } from './lanes.ts';
import type { OutputLedger } from './ledger.ts';
import { DestinationHealth } from './health.ts';
import { moveLeftovers } from './leftover.ts';
import type { Extract } from './leftover.ts';
import { countRecords, cut, parcelBytes, pick } from './parcel.ts';
import type { Parcel } from './parcel.ts';
import { fits } from './outcome-check.ts';
import type { Undeliverable, WhenSafe } from './undeliverable.ts';
import { Waiting } from './waiting.ts';

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
  /** Monotonic milliseconds at which the oldest attempt that is under way began. */
  attemptSince: number | undefined;
}

/** An attempt that is under way for so long is no sign of life. Milliseconds. */
const STALLED_MS = 5000;
export class OutputQueue {
  private options: QueueOptions;
  private readonly waiting: Waiting;
  private readonly attempts = new Map<Attempt, Promise<void>>();
  private sending = 0;
  private sendingBytes = 0;
  private readonly health = new DestinationHealth();
  private lastStart = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private hurried = false;
  private closed = false;
  private draining = false;
  private idleWaiters: (() => void)[] = [];

  /** Of the main loop, while the output works. */
  private readonly mark: number;

  constructor(options: QueueOptions) {
    this.options = options;
    this.mark = mainLoop.stage(`output ${options.name}`);
    this.waiting = new Waiting(options.order, {
      output: options.stateName,
      ledger: options.ledger,
      log: options.log,
      mayLoad: (bytes) => this.options.mayLoad(bytes),
      onLoaded: () => {
        this.account();
        if (this.waiting.total === 0) this.becomeIdle();
        this.schedule();
      },
    });
  }

  /** Name of the output in the state. */
  get stateName(): string {
    return this.options.stateName;
  }

  /** Puts records of a chunk, which is in memory, in the queue. */
  enqueue(held: HeldChunk, records: readonly Range[]): Flight {
    const flight = held.launch(this.options.stateName, records);
    this.options.ledger.enqueued.value += flight.openRecords;
    this.waiting.add(flight);
    this.account();
    this.schedule();
    return flight;
  }

  /** Takes in what a start found on disk. */
  recover(found: readonly { held: HeldChunk; records: readonly Range[] }[]): void {
    const flights = found.map(({ held, records }) => held.launch(this.options.stateName, records));
    for (const flight of flights) this.options.ledger.recovered.value += flight.openRecords;
    this.waiting.backlog.insert(flights);
    this.account();
    this.schedule();
  }

  /**
   * Moves flights of these chunks out of the lanes, so that their memory can go once they are on disk. What is being sent at this
   * moment stays.
   */
  evict(chunks: ReadonlySet<HeldChunk>): void {
    this.waiting.evict(chunks);
    this.account();
  }

  /** Drops the oldest records that wait on disk until so many bytes are free. Returns the bytes that went. */
  dropOldest(bytes: number): number {
    const gone = this.waiting.dropOldest(bytes);
    this.account();
    return gone;
  }

  /** Fills the lanes as far as one attempt per worker needs. */
  private refill(): void {
    const { waiting, health } = this;
    const { limits, workers } = this.options;
    // Until the destination may be tried again there is no use for reading.
    const mayRead = this.draining || health.pausedUntil <= performance.now();
    waiting.refill(() => {
      const ready =
        waiting.bytes - this.sendingBytes >= limits.bytes * workers ||
        waiting.records - this.sending >= limits.records * workers;
      // A key that waits for its retry must not keep the others behind it.
      const blocked = !waiting.lanes.hasReady && this.attempts.size === 0 && health.failures === 0;
      return ready && !blocked;
    }, mayRead);
  }

  get state(): QueueState {
    const { pausedUntil, failures } = this.health;
    const now = performance.now();
    return {
      failures,
      failingSince: this.health.failingSince,
      lastError: this.health.lastError,
      records: this.waiting.total,
      bytes: this.waiting.bytes,
      diskRecords: this.waiting.backlog.records,
      diskBytes: this.waiting.backlog.bytes,
      oldestAt: this.oldestAt(),
      nextAttemptInMs: failures > 0 ? Math.max(0, pausedUntil - now) : undefined,
      attemptSince: this.attemptSince,
    };
  }

  private oldestAt(): number | undefined {
    let oldest = this.waiting.backlog.first()?.held.facts.arrivedAt;
    for (const flight of this.flightsUp()) {
      oldest = Math.min(oldest ?? Number.POSITIVE_INFINITY, flight.held.facts.arrivedAt);
    }
    return oldest;
  }

  private flightsUp(): Set<Flight> {
    const flights = this.waiting.flightsUp();
    for (const attempt of this.attempts.keys()) for (const flight of attempt.flights) flights.add(flight);
    return flights;
  }

  /** Monotonic milliseconds at which the oldest attempt that is under way began. */
  private get attemptSince(): number | undefined {
    let since: number | undefined;
    for (const { startedAt } of this.attempts.keys()) since = Math.min(since ?? startedAt, startedAt);
    return since;
  }

  /** It takes more than it has: what it waits for will be sent at once. */
  isHungry(bytes: number): boolean {
    const { limits, workers } = this.options;
    const stalled = performance.now() - (this.attemptSince ?? Number.POSITIVE_INFINITY) > STALLED_MS;
    return (
      this.health.failures === 0 &&
      !stalled &&
      this.waiting.totalBytes < Math.min(bytes, 2 * limits.bytes * workers)
    );
  }

  /** Sends what there is without waiting for more: memory is short, or the agent stops. */
  hurry(): void {
    if (this.waiting.total === 0) return;
    this.hurried = true;
    this.schedule();
  }

  /** Resolves when the queue is empty. */
  idle(): Promise<void> {
    if (this.waiting.total === 0) return Promise.resolve();
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
    this.options = options;
    this.waiting.reorder(options.order);
    this.closed = false;
    this.draining = false;
    this.recovered();
    this.account();
    this.schedule();
  }

  /**
   * Gives up what is neither on disk nor can be read again: at the end of a stop. Returns how many records that were, and how many of
   * the others are on disk.
   */
  abandon(reason: string): { dropped: number; onDisk: number } {
    const { dropped, onDisk } = this.waiting.abandon();
    if (dropped > 0) this.options.ledger.dropped(reason).value += dropped;
    this.account();
    return { dropped, onDisk };
  }

  /** No new attempt starts from now on; resolves when those in flight are over. */
  async halt(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    await Promise.all([...this.attempts.values(), this.waiting.close()]);
  }

  /** Lets go of everything without settling it: the output is gone, and what it has not got stays where it is. */
  discard(): void {
    for (const flight of [...this.flightsUp(), ...this.waiting.backlog]) flight.held.forsake(flight);
  }

  /** Gives up the attempts in flight; their records are in doubt. Call {@link halt} before. */
  abort(): void {
    for (const attempt of this.attempts.keys()) attempt.abort();
  }

  /** Records in attempts that are not over. */
  get inDoubt(): number {
    return this.sending;
  }

  private schedule(): void {
    if (this.closed) return;
    this.refill();
    const now = performance.now();
    const resting = this.waiting.lanes.wake(now);
    let wait = resting;
    // The backlog is read on once the destination may be tried again.
    if (!this.waiting.backlog.empty && this.health.pausedUntil > now)
      wait = sooner(wait, this.health.pausedUntil - now);
    while (this.waiting.lanes.hasReady && this.attempts.size < this.workersNow()) {
      const pause = this.pauseMs(now);
      if (pause > 0) {
        wait = sooner(wait, pause);
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
      !this.waiting.backlog.empty ||
      this.waiting.bytes - this.sendingBytes >= limits.bytes ||
      this.waiting.records - this.sending >= limits.records;
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
    const parcels = this.waiting.lanes.take(this.options.limits);
    if (parcels.length === 0) return false;
    this.lastStart = performance.now();
    const records = countRecords(parcels);
    const bytes = parcels.reduce((sum, parcel) => sum + parcelBytes(parcel), 0);
    this.sending += records;
    this.sendingBytes += bytes;
    this.options.charge(bytes);
    for (const { flight } of parcels) flight.sending++;
    const attempt = new Attempt(parcels.map(({ flight }) => flight));
    const halving = new Halving();
    const work = this.send(parcels, attempt, halving)
      .then(() => this.conclude(halving))
      .finally(() => {
        this.attempts.delete(attempt);
        this.sending -= records;
        this.sendingBytes -= bytes;
        this.options.charge(-bytes);
        for (const flight of attempt.flights) flight.sending--;
        this.waiting.lanes.release(parcels);
        if (this.waiting.total === 0) this.becomeIdle();
        this.options.afterAttempt();
        this.schedule();
      });
    this.attempts.set(attempt, work);
    return true;
  }

  private becomeIdle(): void {
    this.hurried = false;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const waiter of waiters) waiter();
  }

  /** One attempt and, where the destination or the plugin takes offence at some record, the halves of it. Never rejects. */
  private async send(parcels: readonly Parcel[], attempt: Attempt, halving: Halving): Promise<void> {
    const { output, ledger, attemptTimeoutMs } = this.options;
    const slices = parcels.map((parcel) => new Slice(parcel.flight.chunk, parcel.from, parcel.to));
    const now = performance.now();
    for (const parcel of parcels) parcel.firstTriedAt ||= now;
    let outcome: Outcome;
    try {
      outcome = await attempt.deliver(output, slices, attemptTimeoutMs, this.mark);
    } catch (error) {
      await this.failed(parcels, error, attempt, halving);
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
    halving.accepted +=
      countRecords(parcels) - (outcome.retry?.length ?? 0) - (outcome.rejected?.length ?? 0);
    this.take(parcels, outcome);
    if (halving.accepted > 0) this.conclude(halving);
  }

  private async failed(
    parcels: readonly Parcel[],
    error: unknown,
    attempt: Attempt,
    halving: Halving,
  ): Promise<void> {
    const { ledger, log } = this.options;
    if (attempt.aborted) {
      ledger.attempt('aborted');
      this.waiting.lanes.putBack(parcels, 0);
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof RetryableError) {
      ledger.attempt('failed');
      if (error instanceof AbandonedError) for (const { flight } of parcels) flight.held.taint();
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
      await this.send(head, attempt, halving);
      if (halving.isDestinationFault) halving.untried.push(...tail);
      else await this.send(tail, attempt, halving);
      return;
    }
    if (!refused) {
      this.take(parcels, { rejected: [{ index: 0, reason: `plugin_error: ${reason}` }] });
      return;
    }
    const { status } = error;
    const [parcel] = parcels as [Parcel];
    halving.refuse({ parcel, rejection: { index: 0, reason, ...(status === undefined ? {} : { status }) } });
    if (halving.accepted > 0) this.conclude(halving);
  }

  /** What was refused record by record becomes dead letters, unless the destination takes nothing at all (rule 21). */
  private conclude(halving: Halving): void {
    const fault = halving.isDestinationFault;
    const refused = halving.takeRefused();
    if (fault) {
      const { reason } = (refused.at(-1) as Refused).rejection;
      this.again(
        [...refused.map(({ parcel }) => parcel), ...halving.untried],
        `it refuses every single record: ${reason}`,
        undefined,
        true,
      );
      return;
    }
    for (const { parcel, rejection } of refused) this.take([parcel], { rejected: [rejection] });
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
    const buried = bad.length > 0 ? this.options.undeliverable.rejected(parcels, rejected) : undefined;
    const held = [...back, ...bad];
    for (const parcel of parcels) this.settleDelivered(parcel, held, now);
    if (buried !== undefined) this.settleWhen(buried, bad);
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
    const { facts } = parcel.flight.held;
    const latency = (now - facts.arrivedAt) / 1000;
    const kept = held
      .filter((other) => other.flight === parcel.flight && other.from >= parcel.from && other.to <= parcel.to)
      .toSorted((a, b) => a.from - b.from);
    let at = parcel.from;
    for (const { from, to } of [...kept, { from: parcel.to, to: parcel.to }]) {
      if (from > at) {
        const run = { ...parcel, from: at, to: from };
        ledger.delivered.value += from - at;
        ledger.deliveredBytes.value += parcelBytes(run);
        ledger.observe(facts.input, latency, from - at);
        this.settle(run);
      }
      at = to;
    }
  }

  /** Records that are in a parcel are settled. */
  private settle(parcel: Parcel): void {
    this.waiting.forget(parcel);
    parcel.flight.settle(parcel.from, parcel.to);
  }

  /** Records are in nobody's hands here any more; they settle when somebody else has them. */
  private settleWhen(safe: WhenSafe, parcels: readonly Parcel[]): void {
    for (const parcel of parcels) {
      this.waiting.forget(parcel);
      parcel.flight.deferred++;
    }
    safe(() => {
      for (const { flight, from, to } of parcels) {
        flight.deferred--;
        flight.settle(from, to);
      }
    });
  }

  private account(): void {
    const { ledger } = this.options;
    ledger.buffered.value = this.waiting.total;
    ledger.bufferedBytes.value = this.waiting.totalBytes;
  }

  /** Queues parcels again, or gives them up where retry limit or age say so. */
  private again(
    parcels: readonly Parcel[],
    reason: string,
    retryAfterMs: number | undefined,
    destinationFailed: boolean,
  ): void {
    const { ledger, log, maxRetries, maxAgeMs, backoff, undeliverable } = this.options;
    const now = performance.now();
    const kept: Parcel[] = [];
    const tired: Parcel[] = [];
    const old: Parcel[] = [];
    for (const parcel of parcels) {
      if (parcel.attempts >= maxRetries) tired.push(parcel);
      else if (now - parcel.flight.held.facts.arrivedAt > maxAgeMs) old.push(parcel);
      else kept.push({ ...parcel, attempts: parcel.attempts + 1 });
    }
    if (tired.length > 0) ledger.retriesExhausted.value++;
    for (const [given, why] of [
      [tired, 'retry_limit'],
      [old, 'retry_max_age'],
    ] as const) {
      if (given.length === 0) continue;
      this.settleWhen(undeliverable.givenUp(given, why, reason), given);
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
      this.waiting.lanes.putBack(kept, destinationFailed ? 0 : now + wait);
    }
    this.account();
    if (kept.length < parcels.length) this.options.writeMarks();
  }

  private recovered(): void {
    const failures = this.health.worked();
    if (failures > 0) this.options.log.info({ failures }, 'The destination works again');
  }
}

function sooner(wait: number | undefined, other: number): number {
  return Math.min(wait ?? Number.POSITIVE_INFINITY, other);
}
