/**
 * The queue of an output that gathers objects (DELIVERY.md, rule 26). Its records lie in the disk buffer from the start; what is here are the
 * flights, in objects:
 *
 *   open      takes flights, one for each group (tag), until it is large or old enough, or something is short
 *   closed    gets its last word: its chunks are made durable, its plan is made, its manifest is written
 *   sealed    is sent, as often as it takes, exactly as the manifest says
 *
 * Where there is no disk, objects are gathered in memory, up to a limit, and are sent at a stop.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { overlap } from '../../event/manifest.ts';
import type { Manifest } from '../../event/manifest.ts';
import { RetryableError } from '../../event/outcome.ts';
import type { Outcome } from '../../event/outcome.ts';
import type { Range } from '../../event/ranges.ts';
import type { ObjectOutput } from '../../plugin.ts';
import { mainLoop } from '../../telemetry/heartbeat.ts';
import { AbandonedError, Attempt } from '../attempt.ts';
import type { Abandoned, DeliveryQueue, FoundOnDisk, QueueState } from '../delivery-queue.ts';
import type { Flight } from '../flight.ts';
import { DestinationHealth } from '../health.ts';
import type { HeldChunk } from '../held-chunk.ts';
import { fits } from '../outcome-check.ts';
import type { GatheringOptions } from './options.ts';
import { ObjectReader } from './reader.ts';
import { Sealer } from './sealer.ts';
import { Settlement } from './settlement.ts';
import { isUnplaced, StagedObject } from './staged-object.ts';
import { Tally } from './tally.ts';

/** A chunk that is on disk alone costs about a kilobyte of memory: no more of them are in open objects. */
const MAX_OPEN_CHUNKS = 50_000;
/** Between two tries to close an object whose records cannot be read, and between two looks at what memory is short of. Milliseconds. */
const SEAL_AGAIN_MS = 1000;
const LOOK_MS = 100;

export class GatheringQueue implements DeliveryQueue {
  readonly gathers = true;
  private options: GatheringOptions;
  private readonly tally: Tally;
  private readonly settlement: Settlement;
  private readonly sealer: Sealer;
  private readonly health = new DestinationHealth();
  /** By group. */
  private readonly open = new Map<string, StagedObject>();
  private openChunks = 0;
  /** The others, by sequence. */
  private closed: StagedObject[] = [];
  private readonly attempts = new Map<StagedObject, { attempt: Attempt; work: Promise<void> }>();
  private lastSequence = 0;
  private sealing: Promise<void> = Promise.resolve();
  private halted = false;
  private timer: NodeJS.Timeout | undefined;
  private lookedAt = Number.NEGATIVE_INFINITY;
  private idleWaiters: (() => void)[] = [];
  private readonly mark: number;

  constructor(options: GatheringOptions) {
    this.options = options;
    this.tally = new Tally(() => this.options.ledger);
    this.settlement = new Settlement(options, this.tally);
    this.sealer = new Sealer(this.settlement);
    this.mark = mainLoop.stage(`output ${options.name}`);
    if (options.shelf === undefined) {
      options.log.warn(
        { bytes: options.memoryLimit },
        'There is no disk buffer (state_path is off): objects are gathered in memory, and a crash loses what cannot be read again',
      );
    }
  }

  get stateName(): string {
    return this.options.stateName;
  }

  get output(): ObjectOutput {
    return this.options.output;
  }

  // ---------------------------------------------------------------- gathering

  enqueue(held: HeldChunk, records: readonly Range[]): Flight {
    const flight = held.launch(this.options.stateName, records);
    held.staged = true;
    this.options.ledger.enqueued.value += flight.openRecords;
    this.add(flight);
    flight.unpin();
    const { shelf, memoryLimit } = this.options;
    if (shelf === undefined && this.tally.bytes > memoryLimit) this.closeLargest(() => true);
    return flight;
  }

  private add(flight: Flight): void {
    const { gather } = this.options;
    const group = this.groupOf(flight);
    let object = this.open.get(group);
    const isNew = object === undefined;
    if (object === undefined) {
      object = new StagedObject(group);
      this.open.set(group, object);
      this.options.series.open.value = this.open.size;
    }
    this.tally.add(object.add(flight));
    this.openChunks++;
    if (object.bytes >= gather.bytes) this.close(object);
    else if (this.openChunks > MAX_OPEN_CHUNKS) this.close(this.longest());
    else if (isNew) this.schedule();
  }

  private longest(): StagedObject {
    let longest: StagedObject | undefined;
    for (const object of this.open.values())
      if (longest === undefined || object.entries.length > longest.entries.length) longest = object;
    return longest as StagedObject;
  }

  recover(found: readonly FoundOnDisk[]): void {
    const flights = new Map<number, Flight>();
    for (const { held, records } of found) flights.set(held.id, held.launch(this.options.stateName, records));
    const { open, done, last } = this.manifests();
    this.lastSequence = Math.max(this.lastSequence, last);
    for (const { chunks } of done) {
      for (const [id, ranges] of chunks) for (const [from, to] of ranges) flights.get(id)?.settle(from, to);
    }
    for (const flight of flights.values()) this.options.ledger.recovered.value += flight.openRecords;
    for (const manifest of open) this.bind(manifest, flights);
    for (const flight of flights.values()) if (flight.openRecords > 0) this.add(flight);
    this.schedule();
  }

  private manifests(): { open: readonly Manifest[]; done: readonly Manifest[]; last: number } {
    try {
      return this.options.shelf?.read() ?? { open: [], done: [], last: 0 };
    } catch (error) {
      this.options.log.error(
        { error },
        'The manifests of objects cannot be read: records that were about to be sent go into new objects, and may arrive twice',
      );
      return { open: [], done: [], last: 0 };
    }
  }

  /** An object that an earlier run has closed; takes its flights out of `flights`. */
  private bind({ sequence, plan, chunks }: Manifest, flights: Map<number, Flight>): void {
    const own: Flight[] = [];
    for (const [id, ranges] of chunks) {
      const flight = flights.get(id);
      if (flight === undefined || overlap(flight.openRanges, ranges).length === 0) continue;
      flights.delete(id);
      own.push(flight);
    }
    const object = new StagedObject(this.groupOf(own[0]));
    object.sequence = sequence;
    object.plan = plan;
    object.bound = true;
    object.retried = true;
    for (const flight of own) this.tally.add(object.add(flight));
    if (own.length === 0) {
      void this.settlement.acknowledge(object);
      return;
    }
    this.closed.push(object);
    this.options.series.closed.value = this.closed.length;
  }

  private groupOf(flight: Flight | undefined): string {
    return this.options.gather.by === 'tag' ? (flight?.held.facts.tag ?? '') : '';
  }

  // ---------------------------------------------------------------- closing

  private close(object: StagedObject): void {
    this.open.delete(object.group);
    this.openChunks -= object.entries.length;
    object.sequence = ++this.lastSequence;
    this.closed.push(object);
    const { series } = this.options;
    series.open.value = this.open.size;
    series.closed.value = this.closed.length;
    this.sealSoon(object);
  }

  /** One after the other: each waits for the disk. */
  private sealSoon(object: StagedObject): void {
    this.sealing = this.sealing.then(async () => {
      while (!this.halted) {
        try {
          if (!(await this.sealer.seal(object))) this.remove(object);
          break;
        } catch (error) {
          this.options.log.warn({ error }, 'An object cannot be closed yet; it is tried again');
          await pause(SEAL_AGAIN_MS);
        }
      }
      this.schedule();
    });
  }

  private remove(object: StagedObject): void {
    this.closed = this.closed.filter((other) => other !== object);
    this.options.series.closed.value = this.closed.length;
    this.becomeIdle();
  }

  /** Nothing that is closed waits: the largest of those that `concerns` is true of is closed. */
  private closeLargest(concerns: (object: StagedObject) => boolean): void {
    if (this.closed.length > 0 || this.halted) return;
    let largest: StagedObject | undefined;
    for (const object of this.open.values())
      if (object.bytes > (largest?.bytes ?? -1) && concerns(object)) largest = object;
    if (largest !== undefined) this.close(largest);
  }

  hurry(): void {
    const now = performance.now();
    if (now - this.lookedAt < LOOK_MS) return;
    this.lookedAt = now;
    // What is on its way to disk makes room by itself.
    this.closeLargest((object) => object.unplacedBytes > 0);
  }

  press(): void {
    this.closeLargest(() => true);
  }

  complete(): void {
    for (const object of this.open.values()) this.close(object);
  }

  /** What is gathered on disk stays there and is gathered on by the next run. */
  drain(): void {
    this.health.pausedUntil = 0;
    const { shelf } = this.options;
    for (const object of this.open.values()) {
      const lost = object.entries.some(({ flight }) => flight.isLost && isUnplaced(flight));
      if (shelf === undefined || lost) this.close(object);
    }
    this.schedule();
  }

  /** Nothing of it is about to be sent from memory. */
  evict(): void {}

  isHungry(): boolean {
    return false;
  }

  // ---------------------------------------------------------------- sending

  private schedule(): void {
    if (this.halted) return;
    const now = performance.now();
    let wait = this.closeOld(now);
    const { workers } = this.options;
    while (this.attempts.size < (this.health.failures > 0 ? 1 : workers)) {
      const object = this.next();
      if (object === undefined) break;
      const rest = this.health.pausedUntil - now;
      if (rest > 0) {
        wait = Math.min(wait, rest);
        break;
      }
      this.start(object);
    }
    clearTimeout(this.timer);
    this.timer = Number.isFinite(wait)
      ? setTimeout(() => this.schedule(), Math.min(Math.max(1, Math.ceil(wait)), 2 ** 31 - 1))
      : undefined;
    this.becomeIdle();
  }

  /** Closes what is old enough; returns the milliseconds until something is. */
  private closeOld(now: number): number {
    let wait = Number.POSITIVE_INFINITY;
    const ms = this.options.gather.seconds * 1000;
    for (const object of this.open.values()) {
      const left = object.oldestAt + ms - now;
      if (left <= 0) this.close(object);
      else wait = Math.min(wait, left);
    }
    return wait;
  }

  /** The object that is sent next: one that failed less often comes first, and within a group the first. */
  private next(): StagedObject | undefined {
    const { order } = this.options;
    const blocked = new Set<string>();
    let best: StagedObject | undefined;
    for (const object of this.closed) {
      const key = order === 'all' ? '' : object.group;
      if (order !== 'none' && blocked.has(key)) continue;
      blocked.add(key);
      if (object.plan === undefined || object.busy) continue;
      if (best === undefined || object.attempts < best.attempts) best = object;
    }
    return best;
  }

  private start(object: StagedObject): void {
    const { gather, charge, afterAttempt } = this.options;
    const attempt = new Attempt(object.entries.map(({ flight }) => flight));
    object.busy = true;
    object.firstTriedAt ||= performance.now();
    charge(gather.memory);
    const work = this.send(object, attempt).finally(() => {
      object.busy = false;
      this.attempts.delete(object);
      charge(-gather.memory);
      if (object.records === 0) this.remove(object);
      afterAttempt();
      this.schedule();
    });
    this.attempts.set(object, { attempt, work });
  }

  /** Sees an object through an attempt. Never rejects. */
  private async send(object: StagedObject, attempt: Attempt): Promise<void> {
    const { ledger, output, attemptTimeoutMs, log } = this.options;
    const reader = new ObjectReader(object, attempt, (entry) =>
      this.settlement.lose(object, entry, 'damaged'),
    );
    const { plan, records, bytes, retried } = object;
    try {
      const outcome = await attempt.run(
        async (signal) => {
          if (plan === undefined) throw new Error('The object has no plan.');
          return output.upload({ plan, records, bytes, retried, slices: () => reader.slices() }, signal);
        },
        attemptTimeoutMs,
        this.mark,
      );
      const rejected = takenOf(outcome, reader);
      await this.settlement.delivered(object, reader, rejected);
      ledger.attempt(rejected.length === 0 ? 'ok' : 'partial');
    } catch (error) {
      object.retried = true;
      if (error instanceof AbandonedError) reader.taint();
      await this.failed(object, error, attempt);
      return;
    }
    const failures = this.health.worked();
    if (failures > 0) log.info({ failures }, 'The destination works again');
  }

  private async failed(object: StagedObject, error: unknown, attempt: Attempt): Promise<void> {
    const { ledger, log, backoff, maxRetries, maxAgeMs } = this.options;
    if (attempt.aborted) {
      ledger.attempt('aborted');
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    const isFault = error instanceof RetryableError;
    ledger.attempt(isFault ? 'failed' : 'defect');
    const wait = this.health.failed(reason, backoff, isFault ? error.retryAfterMs : undefined);
    const tired = object.attempts >= maxRetries;
    if (tired || performance.now() - object.newestAt > maxAgeMs) {
      if (tired) ledger.retriesExhausted.value++;
      try {
        await this.settlement.giveUp(object, tired ? 'retry_limit' : 'retry_max_age', reason);
      } catch (cause) {
        log.warn({ error: cause }, 'An object cannot be given up yet; it is tried again');
      }
      return;
    }
    object.attempts++;
    ledger.retries.value++;
    ledger.retriedRecords.value += object.records;
    log.warn(
      {
        error: reason,
        failures: this.health.failures,
        retry_in_ms: Math.round(wait),
        records: object.records,
        object: object.plan?.key,
      },
      'The destination failed; its object is sent again',
    );
  }

  // ---------------------------------------------------------------- life

  get state(): QueueState {
    const { failures, failingSince, lastError, pausedUntil } = this.health;
    const now = performance.now();
    let [bytes, diskRecords, diskBytes, openRecords] = [0, 0, 0, 0];
    let oldestAt: number | undefined;
    for (const object of this.all()) {
      oldestAt = Math.min(oldestAt ?? object.oldestAt, object.oldestAt);
      if (this.open.get(object.group) === object) openRecords += object.records;
      for (const entry of object.entries) {
        if (entry.flight.held.inMemory) bytes += entry.bytes;
        if (!entry.flight.isDurable) continue;
        diskRecords += entry.records;
        diskBytes += entry.bytes;
      }
    }
    return {
      failures,
      failingSince,
      lastError,
      records: this.tally.records,
      bytes,
      diskRecords,
      diskBytes,
      oldestAt,
      nextAttemptInMs: failures > 0 ? Math.max(0, pausedUntil - now) : undefined,
      attemptSince: this.attemptSince,
      objects: { open: this.open.size, openRecords, closed: this.closed.length },
    };
  }

  private get attemptSince(): number | undefined {
    let since: number | undefined;
    for (const { attempt } of this.attempts.values())
      since = Math.min(since ?? attempt.movedAt, attempt.movedAt);
    return since;
  }

  private all(): StagedObject[] {
    return [...this.closed, ...this.open.values()];
  }

  /** The manifest says what is in it: what is sent once more replaces it. */
  get inDoubt(): number {
    let records = 0;
    for (const object of this.attempts.keys()) if (!object.bound) records += object.records;
    return records;
  }

  idle(): Promise<void> {
    if (this.closed.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private becomeIdle(): void {
    if (this.closed.length > 0) return;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const waiter of waiters) waiter();
  }

  /** Drops whole objects that wait, the oldest first, then the oldest of what is being gathered. */
  dropOldest(bytes: number): number {
    let gone = 0;
    for (const object of this.closed) {
      if (gone >= bytes) return gone;
      if (object.busy || object.plan === undefined) continue;
      gone += object.bytes;
      for (const entry of object.entries) this.settlement.lose(object, entry, 'buffer_full');
      this.remove(object);
      void this.settlement.acknowledge(object, []);
    }
    const entries = [...this.open.values()].flatMap((object) =>
      object.entries.map((entry) => ({ object, entry })),
    );
    for (const { object, entry } of entries.toSorted(
      (a, b) => a.entry.flight.held.id - b.entry.flight.held.id,
    )) {
      if (gone >= bytes) break;
      if (!entry.flight.isDurable) continue;
      gone += entry.bytes;
      this.settlement.lose(object, entry, 'buffer_full');
    }
    for (const object of this.open.values()) this.forgetEmpty(object);
    return gone;
  }

  private forgetEmpty(object: StagedObject): void {
    const left = object.entries.filter(({ records }) => records > 0);
    this.openChunks -= object.entries.length - left.length;
    object.entries = left;
    if (left.length === 0) this.open.delete(object.group);
    this.options.series.open.value = this.open.size;
  }

  /** Goes on with another output, or with other options for it. What is closed stays as it is. Call {@link halt} before. */
  exchange(options: GatheringOptions): void {
    this.options = options;
    this.settlement.options = options;
    this.halted = false;
    this.health.worked();
    const flights = [...this.open.values()].flatMap(({ entries }) => entries);
    this.open.clear();
    this.openChunks = 0;
    for (const entry of flights.toSorted((a, b) => a.flight.held.id - b.flight.held.id)) {
      this.tally.records -= entry.records;
      this.tally.bytes -= entry.bytes;
      if (entry.records > 0) this.add(entry.flight);
    }
    for (const object of this.closed) if (object.plan === undefined) this.sealSoon(object);
    this.schedule();
  }

  async halt(): Promise<void> {
    this.halted = true;
    clearTimeout(this.timer);
    this.timer = undefined;
    await Promise.all([...[...this.attempts.values()].map(({ work }) => work), this.sealing]);
  }

  abort(): void {
    for (const { attempt } of this.attempts.values()) attempt.abort();
  }

  abandon(reason: string): Abandoned {
    const left: Abandoned = { dropped: 0, onDisk: 0, gathered: 0 };
    for (const object of this.all()) {
      for (const entry of object.entries) {
        const { flight, records } = entry;
        if (flight.isLost && records > 0) {
          left.dropped += records;
          flight.held.onGivenUp?.();
          this.settlement.lose(object, entry, reason);
        } else if (flight.isDurable) {
          left.onDisk += records;
          if (this.open.get(object.group) === object) left.gathered += records;
        }
      }
    }
    return left;
  }

  discard(): void {
    for (const { entries } of this.all()) for (const { flight } of entries) flight.held.forsake(flight);
  }
}

/** What the output rejects. Throws when it was not told of the whole object, or speaks of records that it was not given. */
function takenOf(outcome: Outcome, reader: ObjectReader): NonNullable<Outcome['rejected']> {
  if (outcome.retry !== undefined && outcome.retry.length > 0) {
    throw new RetryableError(outcome.reason ?? 'the destination asked to send the object again', {
      retryAfterMs: outcome.retryAfterMs,
    });
  }
  if (!reader.whole)
    throw new Error('The output says that it sent an object that it has not read to its end.');
  if (!fits(outcome, reader.records))
    throw new Error('The output answered for records that it was not given.');
  return outcome.rejected ?? [];
}
