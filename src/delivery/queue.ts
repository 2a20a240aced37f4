/**
 * An output's queue: takes chunks, sends them in attempts of the output's size, and sees every record through to its outcome.
 *
 * Retries, back-off, ordering, concurrency and accounting live here; an output only ever makes one attempt. Outputs are isolated:
 * nothing here waits for another output.
 */
import type { Range } from '../event/ranges.ts';
import type { Output } from '../plugin.ts';
import { Attempt } from './attempt.ts';
import type { Abandoned, DeliveryQueue, FoundOnDisk, QueueState } from './delivery-queue.ts';
import type { Flight } from './flight.ts';
import type { HeldChunk } from './held-chunk.ts';
import { DestinationHealth } from './health.ts';
import { Outcomes } from './outcomes.ts';
import { countRecords, parcelBytes } from './parcel.ts';
import type { QueueOptions } from './queue-options.ts';
import { Sender } from './sender.ts';
import { Waiting } from './waiting.ts';

/** An attempt that is under way for so long is no sign of life. Milliseconds. */
const STALLED_MS = 5000;

export class OutputQueue implements DeliveryQueue {
  readonly gathers = false;
  private options: QueueOptions;
  private readonly waiting: Waiting;
  private readonly attempts = new Map<Attempt, Promise<void>>();
  private sending = 0;
  private sendingBytes = 0;
  private readonly outcomes: Outcomes;
  private readonly sender: Sender;
  private readonly health = new DestinationHealth();
  private lastStart = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private hurried = false;
  private closed = false;
  private draining = false;
  private idleWaiters: (() => void)[] = [];

  constructor(options: QueueOptions) {
    this.options = options;
    this.waiting = new Waiting(options.order, {
      output: options.stateName,
      ledger: options.ledger,
      log: options.log,
      mayLoad: (bytes) => this.options.mayLoad(bytes),
      onLoaded: () => {
        this.outcomes.account();
        if (this.waiting.total === 0) this.becomeIdle();
        this.schedule();
      },
    });
    this.outcomes = new Outcomes(options, this.waiting, this.health);
    this.sender = new Sender(this.outcomes, this.waiting);
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
    this.outcomes.account();
    this.schedule();
    return flight;
  }

  /** Takes in what a start found on disk. */
  recover(found: readonly FoundOnDisk[]): void {
    const flights = found.map(({ held, records }) => held.launch(this.options.stateName, records));
    for (const flight of flights) this.options.ledger.recovered.value += flight.openRecords;
    this.waiting.backlog.insert(flights);
    this.outcomes.account();
    this.schedule();
  }

  /**
   * Moves flights of these chunks out of the lanes, so that their memory can go once they are on disk. What is being sent at this
   * moment stays.
   */
  evict(chunks: ReadonlySet<HeldChunk>): void {
    this.waiting.evict(chunks);
    this.outcomes.account();
  }

  /** Drops the oldest records that wait on disk until so many bytes are free. Returns the bytes that went. */
  dropOldest(bytes: number): number {
    const gone = this.waiting.dropOldest(bytes);
    this.outcomes.account();
    return gone;
  }

  /** Fills the lanes as far as one attempt per worker needs. */
  private refill(now: number): void {
    const { waiting, health } = this;
    const { limits, workers } = this.options;
    // Until the destination may be tried again there is no use for reading.
    const mayRead = this.draining || health.pausedUntil <= now;
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

  /** What it has is on its way or waits for its turn: the disk has to make room elsewhere. */
  press(): void {}

  complete(): void {
    this.hurry();
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
    this.outcomes.options = options;
    this.waiting.reorder(options.order);
    this.closed = false;
    this.draining = false;
    this.outcomes.recovered();
    this.outcomes.account();
    this.schedule();
  }

  /**
   * Gives up what is neither on disk nor can be read again: at the end of a stop. Returns how many records that were, and how many of
   * the others are on disk.
   */
  abandon(reason: string): Abandoned {
    const { dropped, onDisk } = this.waiting.abandon();
    if (dropped > 0) this.options.ledger.dropped(reason).value += dropped;
    this.outcomes.account();
    return { dropped, onDisk, gathered: 0 };
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
    // One instant for all that follows: were the pause over for what comes last alone, nothing would wake the queue again.
    const now = performance.now();
    this.refill(now);
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
    const work = this.sender.send(parcels, attempt).finally(() => {
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
}

function sooner(wait: number | undefined, other: number): number {
  return Math.min(wait ?? Number.POSITIVE_INFINITY, other);
}
