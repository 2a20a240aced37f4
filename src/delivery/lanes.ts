/**
 * The waiting parcels of an output, in lanes: one per order key, so that a retry holds up only its key (DELIVERY.md, rule 23).
 *
 * A lane is ready when it has parcels, nobody is sending from it (ordered outputs only) and its wait is over. Ready lanes are
 * served in turn, each for as much as an attempt takes: a thousand tags do not mean a thousand requests.
 */
import { parcelBytes } from './parcel.ts';
import type { Flight } from './flight.ts';
import type { Parcel } from './parcel.ts';

interface Lane {
  key: string;
  parcels: Parcel[];
  /** Index of the first parcel; the ones before it are taken. */
  head: number;
  busy: boolean;
  queued: boolean;
  /** Monotonic milliseconds before which nothing is sent from it. */
  notBefore: number;
}

export interface Limits {
  bytes: number;
  records: number;
}

export class Lanes {
  private readonly lanes = new Map<string, Lane>();
  private ready: Lane[] = [];
  /** Lanes that wait for their time. */
  private readonly resting = new Set<Lane>();
  private readonly exclusive: boolean;
  private readonly keyOf: (tag: string) => string;

  /** `order` as in the output's traits. */
  constructor(order: 'none' | 'tag' | 'all') {
    this.exclusive = order !== 'none';
    this.keyOf = order === 'tag' ? (tag) => tag : () => '';
  }

  private lane(tag: string): Lane {
    const key = this.keyOf(tag);
    let lane = this.lanes.get(key);
    if (lane === undefined) {
      lane = { key, parcels: [], head: 0, busy: false, queued: false, notBefore: 0 };
      this.lanes.set(key, lane);
    }
    return lane;
  }

  /** Appends a parcel. */
  push(parcel: Parcel): void {
    const lane = this.lane(parcel.flight.held.facts.tag);
    lane.parcels.push(parcel);
    this.offer(lane);
  }

  /** Puts parcels back in front of their lanes, to be sent not before that instant. */
  putBack(parcels: readonly Parcel[], notBefore: number): void {
    for (let index = parcels.length - 1; index >= 0; index--) {
      const parcel = parcels[index] as Parcel;
      const lane = this.lane(parcel.flight.held.facts.tag);
      lane.parcels.splice(0, lane.head, parcel);
      lane.head = 0;
      lane.notBefore = Math.max(lane.notBefore, notBefore);
    }
  }

  private offer(lane: Lane): void {
    if (lane.queued || lane.head >= lane.parcels.length || (this.exclusive && lane.busy)) return;
    if (lane.notBefore > 0) {
      this.resting.add(lane);
      return;
    }
    lane.queued = true;
    this.ready.push(lane);
  }

  /** Milliseconds until a resting lane may go on; undefined when none rests. */
  wake(now: number): number | undefined {
    let next: number | undefined;
    for (const lane of this.resting) {
      if (lane.notBefore <= now) {
        lane.notBefore = 0;
        this.resting.delete(lane);
        this.offer(lane);
        if (lane.parcels.length === 0 && !lane.busy) this.lanes.delete(lane.key);
      } else {
        next = Math.min(next ?? Number.POSITIVE_INFINITY, lane.notBefore - now);
      }
    }
    return next;
  }

  get hasReady(): boolean {
    return this.ready.length > 0;
  }

  /** Takes what one attempt may carry; at least one record. Empty when nothing is ready. */
  take(limits: Limits): Parcel[] {
    const taken: Parcel[] = [];
    let bytes = limits.bytes;
    let records = limits.records;
    const again: Lane[] = [];
    while (bytes > 0 && records > 0) {
      const lane = this.ready.shift();
      if (lane === undefined) break;
      lane.queued = false;
      lane.busy = true;
      const before = taken.length;
      while (lane.head < lane.parcels.length && bytes > 0 && records > 0) {
        const parcel = lane.parcels[lane.head] as Parcel;
        const part = fit(parcel, bytes, records, taken.length === 0);
        if (part === 0) {
          bytes = 0;
          break;
        }
        const first = { ...parcel, to: parcel.from + part };
        taken.push(first);
        bytes -= parcelBytes(first);
        records -= part;
        if (first.to === parcel.to) lane.head++;
        else parcel.from = first.to;
      }
      if (lane.head > 64 && lane.head * 2 > lane.parcels.length) {
        lane.parcels.splice(0, lane.head);
        lane.head = 0;
      }
      if (this.exclusive && taken.length > before) continue;
      lane.busy = false;
      again.push(lane);
    }
    for (const lane of again) this.offer(lane);
    return taken;
  }

  /** The attempt with these parcels is over: their lanes may be served again. */
  release(parcels: readonly Parcel[]): void {
    const lanes = new Set(parcels.map((parcel) => this.lane(parcel.flight.held.facts.tag)));
    for (const lane of lanes) {
      lane.busy = false;
      this.offer(lane);
      if (lane.head >= lane.parcels.length) this.lanes.delete(lane.key);
    }
  }

  /** Takes out everything that waits of these flights. */
  takeOut(flights: ReadonlySet<Flight>): Parcel[] {
    const taken: Parcel[] = [];
    for (const lane of this.lanes.values()) {
      const waiting = lane.parcels.slice(lane.head);
      if (!waiting.some(({ flight }) => flights.has(flight))) continue;
      lane.parcels = waiting.filter(({ flight }) => !flights.has(flight));
      lane.head = 0;
      taken.push(...waiting.filter(({ flight }) => flights.has(flight)));
    }
    this.ready = this.ready.filter((lane) => {
      lane.queued = lane.parcels.length > 0;
      return lane.queued;
    });
    for (const [key, lane] of this.lanes) {
      // One that waits for its time keeps it: what was taken out comes back to it.
      if (lane.parcels.length === 0 && !lane.busy && lane.notBefore === 0) this.lanes.delete(key);
    }
    return taken;
  }

  /** Everything that waits, for a hand-over. */
  *waiting(): Iterable<Parcel> {
    for (const lane of this.lanes.values()) {
      for (let index = lane.head; index < lane.parcels.length; index++) yield lane.parcels[index] as Parcel;
    }
  }
}

/** How many records of a parcel fit; at least one if `must`. */
function fit(parcel: Parcel, bytes: number, records: number, must: boolean): number {
  const { chunk } = parcel.flight;
  const most = Math.min(records, parcel.to - parcel.from);
  if (chunk.bytesBetween(parcel.from, parcel.from + most) <= bytes) return most;
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (chunk.bytesBetween(parcel.from, parcel.from + middle) <= bytes) low = middle;
    else high = middle - 1;
  }
  return low === 0 && must ? 1 : low;
}
