/**
 * The manifest of an object that an output gathered (DELIVERY.md, rule 26): what it is called and what is in it, fixed before it is sent for
 * the first time, so that every further attempt, also after a crash, makes the same object anew.
 */
import type { Range } from './ranges.ts';

/** How an object is called and written, as its output has decided once. Kept as JSON. */
export interface ObjectPlan {
  /** Name at the destination. */
  readonly key: string;
  /** What else decides which bytes it has, by the output's own names. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Records of a chunk in the disk buffer: its id, and ranges of indexes. */
export type ManifestChunk = readonly [id: number, ranges: readonly (readonly [number, number])[]];

export interface Manifest {
  /** Ascending through all objects of the output, from 1, also across restarts. */
  readonly sequence: number;
  readonly plan: ObjectPlan;
  readonly records: number;
  /** Bytes of the records as they lie in the buffer. */
  readonly bytes: number;
  /** In the order in which they are in the object. */
  readonly chunks: readonly ManifestChunk[];
}

/** The parts of `ranges` that lie within `within`; both ascending and disjoint. */
export function overlap(
  ranges: readonly (readonly [number, number])[],
  within: readonly (readonly [number, number])[],
): Range[] {
  const common: Range[] = [];
  for (const [from, to] of ranges) {
    for (const [start, stop] of within) {
      const first = Math.max(from, start);
      const last = Math.min(to, stop);
      if (first < last) common.push([first, last]);
    }
  }
  return common;
}
