/**
 * What waits behind an output's lanes: flights in the order in which their chunks arrived, in memory or only on disk. It has as
 * good as no size in memory, so it can be long.
 */
import type { Flight } from './flight.ts';

interface Waiting {
  flight: Flight;
  /** As counted when it came here. */
  records: number;
  bytes: number;
}

export class Backlog {
  records = 0;
  bytes = 0;
  private list: Waiting[] = [];
  /** Index of the first; the ones before it are taken. */
  private head = 0;

  get empty(): boolean {
    return this.head >= this.list.length;
  }

  /** Appends a flight of a chunk that came last. */
  push(flight: Flight): void {
    this.list.push(this.count(flight));
  }

  /** Puts flights in their place in the order. */
  insert(flights: readonly Flight[]): void {
    const waiting = [...this.list.slice(this.head), ...flights.map((flight) => this.count(flight))];
    this.list = waiting.toSorted((a, b) => a.flight.held.id - b.flight.held.id);
    this.head = 0;
  }

  first(): Flight | undefined {
    return this.list[this.head]?.flight;
  }

  /** Takes the first out. */
  shift(): Flight | undefined {
    const waiting = this.list[this.head];
    if (waiting === undefined) return undefined;
    this.head++;
    if (this.head > 64 && this.head * 2 > this.list.length) {
      this.list.splice(0, this.head);
      this.head = 0;
    }
    this.uncount(waiting);
    return waiting.flight;
  }

  /** Takes out the ones that `goes` is true of, in order. */
  remove(goes: (flight: Flight) => boolean): Flight[] {
    const removed: Flight[] = [];
    const kept: Waiting[] = [];
    for (const waiting of this.list.slice(this.head)) {
      if (goes(waiting.flight)) {
        removed.push(waiting.flight);
        this.uncount(waiting);
      } else {
        kept.push(waiting);
      }
    }
    this.list = kept;
    this.head = 0;
    return removed;
  }

  *[Symbol.iterator](): Iterator<Flight> {
    for (let index = this.head; index < this.list.length; index++) yield (this.list[index] as Waiting).flight;
  }

  private count(flight: Flight): Waiting {
    const waiting = { flight, records: flight.openRecords, bytes: flight.openBytes };
    this.records += waiting.records;
    this.bytes += waiting.bytes;
    return waiting;
  }

  private uncount({ records, bytes }: Waiting): void {
    this.records -= records;
    this.bytes -= bytes;
  }
}
