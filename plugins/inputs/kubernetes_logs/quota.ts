/** How many records may pass: a token bucket, and the account of those that were over it. */

export interface QuotaLimits {
  /** Records a second. */
  rate: number;
  /** Records that may pass at once after a pause. */
  burst: number;
}

/** What a quota left out. */
export interface Suppressed {
  records: number;
  /** Since the first of them. */
  seconds: number;
  /** The limit that they were over, records a second. */
  rate: number;
}

export class Quota {
  readonly limits: QuotaLimits;
  private tokens: number;
  private filledAt: number;
  private suppressed = 0;
  private since = 0;

  /** `now`: milliseconds of the monotonic clock, here and below. */
  constructor(limits: QuotaLimits, now: number) {
    this.limits = limits;
    this.tokens = limits.burst;
    this.filledAt = now;
  }

  /** Asks for one record: false when it is one too many; then it counts as suppressed. */
  take(now: number): boolean {
    if (this.tokens < 1) this.fill(now);
    if (this.tokens >= 1) {
      this.tokens--;
      return true;
    }
    if (this.suppressed === 0) this.since = now;
    this.suppressed++;
    return false;
  }

  private fill(now: number): void {
    const { rate, burst } = this.limits;
    this.tokens = Math.min(burst, this.tokens + ((now - this.filledAt) * rate) / 1000);
    this.filledAt = now;
  }

  /** What was suppressed within the last `interval` milliseconds, once they are over; then it counts anew. */
  report(now: number, interval: number): Suppressed | undefined {
    if (this.suppressed === 0 || now - this.since < interval) return undefined;
    const report = { records: this.suppressed, seconds: (now - this.since) / 1000, rate: this.limits.rate };
    this.suppressed = 0;
    return report;
  }
}
