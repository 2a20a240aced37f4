/** For what may happen with every record and is worth a line in the log once in a while. */

/** An occurrence is told at most once in this many milliseconds. */
const EVERY_MS = 60_000;

export class Rarely {
  private count = 0;
  private toldAt = Number.NEGATIVE_INFINITY;

  /** It happened once more. How often since it was last told, if it is to be told now; else 0. */
  happened(): number {
    this.count++;
    const now = performance.now();
    if (now - this.toldAt < EVERY_MS) return 0;
    const { count } = this;
    this.toldAt = now;
    this.count = 0;
    return count;
  }
}
