/**
 * Keeps equal messages from flooding the log: the first few of a window are said, the rest counted, and the last of them is said
 * with that count when the window ends. So nothing happens in silence, and a destination that is down for a night costs a line
 * per window.
 */

export interface RepeatRule {
  /** How many equal messages a window lets through. */
  burst: number;
  /** Milliseconds. */
  windowMs: number;
}

/** Ten seconds of storm cost six lines, each further ten one. */
export const DEFAULT_RULE: RepeatRule = { burst: 5, windowMs: 10_000 };

/** Messages are constants, so there are few; a message made of data must not grow the table without bound. */
const MAX_KEYS = 1000;

interface Entry {
  rule: RepeatRule;
  windowStart: number;
  said: number;
  suppressed: number;
  /** Says the last suppressed message, with how often it was kept back. */
  sayLast: ((repeated: number) => void) | undefined;
}

export class RepeatLimiter {
  private readonly entries = new Map<string, Entry>();
  private readonly now: () => number;
  private timer: NodeJS.Timeout | undefined;

  /** `now` is a monotonic clock, milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
  }

  /** Calls `say` at once (with 0), later with the number of repeats, or, when it is not the last of its kind, never. */
  offer(key: string, rule: RepeatRule, say: (repeated: number) => void): void {
    const now = this.now();
    let entry = this.entries.get(key);
    if (entry !== undefined && now - entry.windowStart >= entry.rule.windowMs) {
      this.close(key, entry, now);
      entry = this.entries.get(key);
    }
    if (entry === undefined) {
      this.makeRoom();
      this.entries.set(key, { rule, windowStart: now, said: 1, suppressed: 0, sayLast: undefined });
      say(0);
      return;
    }
    if (entry.said < entry.rule.burst) {
      entry.said++;
      say(0);
      return;
    }
    entry.suppressed++;
    entry.sayLast = say;
    this.timer ??= setTimeout(() => this.sweep(), entry.rule.windowMs).unref();
  }

  /** Says everything that is kept back. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const entry of this.entries.values()) if (entry.suppressed > 0) entry.sayLast?.(entry.suppressed);
    this.entries.clear();
  }

  /** Forgets everything, also what is kept back: it is over. */
  clear(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.entries.clear();
  }

  /** Ends the windows that are over. */
  private sweep(): void {
    this.timer = undefined;
    const now = this.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [key, entry] of this.entries) {
      const left = entry.windowStart + entry.rule.windowMs - now;
      if (left <= 0) this.close(key, entry, now);
      else if (entry.suppressed > 0) next = Math.min(next, left);
    }
    // A closed window that goes on being suppressed opens the timer again by its next message.
    if (next < Number.POSITIVE_INFINITY) this.timer ??= setTimeout(() => this.sweep(), next).unref();
  }

  private close(key: string, entry: Entry, now: number): void {
    if (entry.suppressed === 0) {
      this.entries.delete(key);
      return;
    }
    const { suppressed, sayLast } = entry;
    // The storm goes on: the next window says nothing but its count.
    entry.windowStart = now;
    entry.said = entry.rule.burst;
    entry.suppressed = 0;
    entry.sayLast = undefined;
    sayLast?.(suppressed);
  }

  private makeRoom(): void {
    if (this.entries.size < MAX_KEYS) return;
    const [oldest] = this.entries;
    if (oldest === undefined) return;
    if (oldest[1].suppressed > 0) oldest[1].sayLast?.(oldest[1].suppressed);
    this.entries.delete(oldest[0]);
  }
}
