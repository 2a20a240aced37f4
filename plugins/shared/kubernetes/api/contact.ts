/**
 * Whether there is an answer to be had, and how long it is waited for: while the API cannot be reached, those that wait share one
 * time-out, that of the first; who comes later does not wait at all.
 */
export class Contact {
  private answered = false;
  private failing = false;
  /** Monotonic milliseconds until which it is waited for; undefined while nobody has. */
  private patienceEnds: number | undefined;
  private retry = 0;

  /** Until the first answer, and while requests fail. */
  get isOpen(): boolean {
    return this.answered && !this.failing;
  }

  /** There was an answer. */
  succeeded(): void {
    this.answered = true;
    this.failing = false;
    this.patienceEnds = undefined;
  }

  /** There was none, and there is no other request before `retryAt`, monotonic milliseconds. */
  failed(retryAt: number): void {
    this.failing = true;
    this.retry = retryAt;
  }

  /** When it may be tried again, monotonic milliseconds. */
  get retryAt(): number {
    return this.failing ? this.retry : 0;
  }

  /** Until when somebody waits who would wait for `waitMs`, monotonic milliseconds. */
  patience(now: number, waitMs: number): number {
    if (this.isOpen) return now + waitMs;
    this.patienceEnds ??= now + waitMs;
    return Math.min(this.patienceEnds, now + waitMs);
  }

  /** It was waited for in vain, and still is not there. */
  isLost(now: number): boolean {
    return !this.isOpen && this.patienceEnds !== undefined && now >= this.patienceEnds;
  }
}
