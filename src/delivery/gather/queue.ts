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
import type { Range } from '../../event/ranges.ts';
import type { ObjectOutput } from '../../plugin.ts';
import type { Abandoned, DeliveryQueue, FoundOnDisk, QueueState } from '../delivery-queue.ts';
import type { Flight } from '../flight.ts';
import type { HeldChunk } from '../held-chunk.ts';
import { OpenObjects } from './open-objects.ts';
import type { GatheringOptions } from './options.ts';
import { Sealer } from './sealer.ts';
import { Settlement } from './settlement.ts';
import { isUnplaced, StagedObject } from './staged-object.ts';
import { Tally } from './tally.ts';
import { Uploads } from './uploads.ts';

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
  private readonly open = new OpenObjects();
  /** The others, by sequence. */
  private closed: StagedObject[] = [];
  private readonly uploads: Uploads;
  private lastSequence = 0;
  private sealing: Promise<void> = Promise.resolve();
  private halted = false;
  private timer: NodeJS.Timeout | undefined;
  private lookedAt = Number.NEGATIVE_INFINITY;
  private idleWaiters: (() => void)[] = [];

  constructor(options: GatheringOptions) {
    this.options = options;
    this.tally = new Tally(() => this.options.ledger);
    this.settlement = new Settlement(options, this.tally);
    this.sealer = new Sealer(this.settlement);
    this.uploads = new Uploads(this.settlement);
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
    flight.staged = true;
    this.options.ledger.enqueued.value += flight.openRecords;
    const isNew = this.add(flight);
    flight.unpin();
    if (isNew) this.schedule();
    const { shelf, memoryLimit } = this.options;
    if (shelf === undefined && this.tally.bytes > memoryLimit) this.closeLargest(() => true);
    return flight;
  }

  /** Returns whether it began an object. */
  private add(flight: Flight): boolean {
    const { gather } = this.options;
    const { object, entry, isNew } = this.open.add(this.groupOf(flight), flight);
    this.tally.add(entry);
    if (isNew) this.count();
    if (object.bytes >= gather.bytes) this.close(object);
    else if (this.open.chunks > MAX_OPEN_CHUNKS) this.close(this.open.longest());
    return isNew;
  }

  /** Sets the gauges of objects. */
  private count(): void {
    const { series } = this.options;
    series.open.value = this.open.size;
    series.closed.value = this.closed.length;
  }

  recover(found: readonly FoundOnDisk[]): void {
    const flights = new Map<number, Flight>();
    for (const { held, records } of found) flights.set(held.id, held.launch(this.options.stateName, records));
    const { open, done, last } = this.manifests();
    this.lastSequence = Math.max(this.lastSequence, last);
    for (const { sequence, chunks } of done) {
      for (const [id, ranges] of chunks) for (const [from, to] of ranges) flights.get(id)?.settle(from, to);
      void this.options.shelf?.settled(sequence);
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
    this.count();
  }

  private groupOf(flight: Flight | undefined): string {
    return this.options.gather.by === 'tag' ? (flight?.held.facts.tag ?? '') : '';
  }

  // ---------------------------------------------------------------- closing

  private close(object: StagedObject | undefined): void {
    if (object === undefined) return;
    this.open.remove(object);
    object.sequence = ++this.lastSequence;
    this.closed.push(object);
    this.count();
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
    this.count();
    this.becomeIdle();
  }

  /** Nothing that is closed waits: the largest of those that `concerns` is true of is closed. */
  private closeLargest(concerns: (object: StagedObject) => boolean): void {
    if (this.closed.length === 0 && !this.halted) this.close(this.open.largest(concerns));
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
    for (const object of this.open) this.close(object);
  }

  /** What is gathered on disk stays there and is gathered on by the next run. */
  drain(): void {
    this.uploads.hasten(this.closed);
    const { shelf } = this.options;
    for (const object of this.open) {
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
    const { uploads } = this;
    for (;;) {
      const { object, inMs } = uploads.next(this.closed, now);
      wait = Math.min(wait, inMs);
      if (object === undefined) break;
      uploads.start(object, () => {
        if (object.records === 0) this.remove(object);
        this.schedule();
      });
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
    for (const object of this.open) {
      const left = object.oldestAt + ms - now;
      if (left <= 0) this.close(object);
      else wait = Math.min(wait, left);
    }
    return wait;
  }

  // ---------------------------------------------------------------- life

  get state(): QueueState {
    const { failures, failingSince, lastError, pausedUntil } = this.uploads.health;
    const now = performance.now();
    let [bytes, diskRecords, diskBytes, openRecords] = [0, 0, 0, 0];
    let oldestAt: number | undefined;
    for (const object of this.all()) {
      oldestAt = Math.min(oldestAt ?? object.oldestAt, object.oldestAt);
      if (this.open.has(object)) openRecords += object.records;
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
      attemptSince: this.uploads.movedAt,
      objects: { open: this.open.size, openRecords, closed: this.closed.length },
    };
  }

  private all(): StagedObject[] {
    return [...this.closed, ...this.open];
  }

  /** The manifest says what is in it: what is sent once more replaces it. */
  get inDoubt(): number {
    return this.uploads.inDoubt;
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
    for (const { object, entry } of this.open.entries()) {
      if (gone >= bytes) break;
      if (!entry.flight.isDurable) continue;
      gone += entry.bytes;
      this.settlement.lose(object, entry, 'buffer_full');
    }
    this.open.prune();
    this.count();
    return gone;
  }

  /** Goes on with another output, or with other options for it. What is closed stays as it is. Call {@link halt} before. */
  exchange(options: GatheringOptions): void {
    this.options = options;
    this.settlement.options = options;
    this.halted = false;
    this.uploads.health.worked();
    const entries = this.open.entries();
    this.open.clear();
    for (const { entry } of entries) {
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
    await Promise.all([this.uploads.over(), this.sealing]);
  }

  abort(): void {
    this.uploads.abort();
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
          if (this.open.has(object)) left.gathered += records;
        }
      }
    }
    return left;
  }

  discard(): void {
    for (const { entries } of this.all()) for (const { flight } of entries) flight.held.forsake(flight);
  }
}
