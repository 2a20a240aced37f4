/**
 * Small rests of big chunks (DELIVERY.md, rule 17): a few records that wait for their retry must not hold the memory of all the
 * others that were in their chunk.
 */
import type { Flight } from './flight.ts';
import type { HeldChunk } from './held-chunk.ts';
import { countRecords } from './parcel.ts';
import type { Parcel } from './parcel.ts';

/** A rest that is smaller than this share of its chunk, or older than this, gets a chunk of its own. */
const SHARE = 8;
const AGE_MS = 60_000;

/** Makes a chunk of its own out of a flight's open records; undefined where that cannot be. */
export type Extract = (flight: Flight) => HeldChunk | undefined;

/** Moves the rests among parcels that are to be sent again; the parcels' indexes change with them. */
export function moveLeftovers(parcels: readonly Parcel[], extract: Extract): void {
  const now = performance.now();
  for (const flight of new Set(parcels.map((parcel) => parcel.flight))) {
    const own = parcels.filter((parcel) => parcel.flight === flight);
    const { chunk } = flight;
    const small = flight.openBytes * SHARE < chunk.bytes.byteLength;
    const old = now - chunk.arrivedAt > AGE_MS && flight.openRecords < chunk.length;
    // Other parcels of the flight may be waiting or under way: their indexes must not change.
    if (!(small || old) || countRecords(own) !== flight.openRecords) continue;
    const rest = extract(flight);
    if (rest === undefined) continue;
    flight.moveTo(rest);
    let at = 0;
    for (const parcel of own.toSorted((a, b) => a.from - b.from)) {
      const size = parcel.to - parcel.from;
      parcel.from = at;
      parcel.to = at + size;
      at += size;
    }
  }
}
