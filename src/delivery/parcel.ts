/** A parcel: a run of a flight's records that waits to be sent, or is being sent. */
import type { Flight } from './flight.ts';

export interface Parcel {
  flight: Flight;
  /** Index of the first record. */
  from: number;
  /** Index behind the last. */
  to: number;
  /** Attempts that failed so far. */
  attempts: number;
  /** Monotonic milliseconds of the first attempt; 0 before it. */
  firstTriedAt: number;
}

export function parcelBytes(parcel: Parcel): number {
  return parcel.flight.chunk.bytesBetween(parcel.from, parcel.to);
}

export function countRecords(parcels: readonly Parcel[]): number {
  let count = 0;
  for (const parcel of parcels) count += parcel.to - parcel.from;
  return count;
}

/**
 * The parts of `parcels` that hold the records with these indexes (ascending, counted through all parcels). No part reaches from one
 * parcel into the next, be that of the same flight: whoever asks what is left of a parcel looks for parts that lie in it.
 */
export function pick(parcels: readonly Parcel[], indexes: readonly number[]): Parcel[] {
  const picked: Parcel[] = [];
  let next = 0;
  let offset = 0;
  for (const parcel of parcels) {
    const end = offset + parcel.to - parcel.from;
    const before = picked.length;
    for (let index = indexes[next]; index !== undefined && index < end; index = indexes[next]) {
      const at = parcel.from + index - offset;
      const last = picked.length > before ? picked.at(-1) : undefined;
      if (last?.to === at) last.to++;
      else picked.push({ ...parcel, from: at, to: at + 1 });
      next++;
    }
    offset = end;
  }
  return picked;
}

/** Cuts a list of parcels in two, `count` records in the first part. */
export function cut(parcels: readonly Parcel[], count: number): [Parcel[], Parcel[]] {
  const head: Parcel[] = [];
  const tail: Parcel[] = [];
  let left = count;
  for (const parcel of parcels) {
    const size = parcel.to - parcel.from;
    if (left >= size) {
      head.push(parcel);
    } else if (left <= 0) {
      tail.push(parcel);
    } else {
      head.push({ ...parcel, to: parcel.from + left });
      tail.push({ ...parcel, from: parcel.from + left });
    }
    left -= size;
  }
  return [head, tail];
}
