/**
 * Judges by a heartbeat whether the main loop stands still, and for how long.
 *
 * Time is counted in ticks of the watcher, not read from a clock: while the machine sleeps or the whole process is stopped, the
 * watcher does not tick either, and nobody is blamed.
 */

/** Milliseconds of standing still. */
export interface StallLimits {
  /** Between two looks. */
  tickMs: number;
  /** Not ready, and said in the log. */
  warnMs: number;
  /** Not healthy. */
  sickMs: number;
  /** The process is ended; Infinity for never. */
  endMs: number;
}

const TICK_MS = 1000;
const WARN_MS = 10_000;
const SICK_MS = 30_000;

/** The limits that go with `watchdog.timeout`, seconds; 0 for never. A short one brings the others down with it. */
export function stallLimits(timeout: number): StallLimits {
  const endMs = timeout > 0 ? timeout * 1000 : Number.POSITIVE_INFINITY;
  return {
    tickMs: Math.min(TICK_MS, endMs / 60),
    warnMs: Math.min(WARN_MS, endMs / 6),
    sickMs: Math.min(SICK_MS, endMs / 2),
    endMs,
  };
}

/** What changed at a tick: it began to stand still, it goes on again, it has stood too long. */
export type StallChange = 'began' | 'over' | 'end';

export class StallClock {
  private readonly limits: StallLimits;
  private lastBeats = -1;
  private ms = 0;
  private lastMs = 0;

  constructor(limits: StallLimits) {
    this.limits = limits;
  }

  /** Takes in the count of beats; `held` while a debugger may be what stops the loop: then the end never comes. */
  tick(beats: number, held: boolean): StallChange | undefined {
    if (beats !== this.lastBeats) {
      this.lastBeats = beats;
      const stood = this.stands;
      this.lastMs = this.ms;
      this.ms = 0;
      return stood ? 'over' : undefined;
    }
    const stood = this.stands;
    this.ms += this.limits.tickMs;
    if (this.ms >= this.limits.endMs && !held) return 'end';
    return !stood && this.stands ? 'began' : undefined;
  }

  /** It stands still for long enough to speak of. */
  get stands(): boolean {
    return this.ms >= this.limits.warnMs;
  }

  /** It will hardly go on by itself. */
  get sick(): boolean {
    return this.ms >= this.limits.sickMs;
  }

  /** Whole seconds since the last beat. */
  get seconds(): number {
    return Math.round(this.ms / 1000);
  }

  /** Whole seconds of the stall that is over. */
  get lastSeconds(): number {
    return Math.round(this.lastMs / 1000);
  }
}
