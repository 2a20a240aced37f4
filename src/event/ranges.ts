/** Ordered, disjoint, half-open ranges of numbers: bytes of a source, or indexes of a chunk. */

export type Range = [from: number, to: number];

export class Ranges {
  /** Ascending, disjoint, not touching. */
  readonly list: Range[] = [];

  constructor(ranges: Iterable<readonly [number, number]> = []) {
    for (const [from, to] of ranges) this.add(from, to);
  }

  get empty(): boolean {
    return this.list.length === 0;
  }

  /** How many numbers are in the ranges. */
  get size(): number {
    let size = 0;
    for (const [from, to] of this.list) size += to - from;
    return size;
  }

  /** The index of the first range that ends at or after `from`. */
  private locate(from: number): number {
    let low = 0;
    let high = this.list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.list[middle] as Range)[1] < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds [from, to); touching ranges become one. */
  add(from: number, to: number): void {
    if (to <= from) return;
    const first = this.locate(from);
    let last = first;
    let start = from;
    let stop = to;
    for (let range = this.list[last]; range !== undefined && range[0] <= to; range = this.list[last]) {
      start = Math.min(start, range[0]);
      stop = Math.max(stop, range[1]);
      last++;
    }
    this.list.splice(first, last - first, [start, stop]);
  }

  /** Takes [from, to) out. Returns how many numbers went. */
  remove(from: number, to: number): number {
    if (to <= from) return 0;
    let removed = 0;
    for (let index = this.locate(from); index < this.list.length;) {
      const range = this.list[index] as Range;
      if (range[0] >= to) break;
      const start = Math.max(range[0], from);
      const stop = Math.min(range[1], to);
      if (start >= stop) {
        index++;
        continue;
      }
      removed += stop - start;
      const rest: Range[] = [];
      if (range[0] < start) rest.push([range[0], start]);
      if (stop < range[1]) rest.push([stop, range[1]]);
      this.list.splice(index, 1, ...rest);
      index += rest.length;
    }
    return removed;
  }

  /** Whether all of [from, to) is in the ranges. */
  covers(from: number, to: number): boolean {
    const range = this.list[this.locate(from + 1)];
    return to <= from || (range !== undefined && range[0] <= from && to <= range[1]);
  }
}
