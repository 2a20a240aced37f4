/** How a destination does: failures in a row, and the pause that follows from them (DELIVERY.md, rule 24). */
import { backoffMs } from './backoff.ts';
import type { BackoffOptions } from './backoff.ts';

export class DestinationHealth {
  /** Failed attempts since the last one that worked. */
  failures = 0;
  /** Monotonic milliseconds of the first of those failures. */
  failingSince = 0;
  /** Why the last of them failed. */
  lastError: string | undefined;
  /** Monotonic milliseconds before which nothing is sent. */
  pausedUntil = 0;

  /** An attempt failed through the destination. Returns the milliseconds until the next may start. */
  failed(reason: string, backoff: BackoffOptions, retryAfterMs: number | undefined): number {
    const now = performance.now();
    this.failures++;
    if (this.failures === 1) this.failingSince = now;
    this.lastError = reason;
    const wait = backoffMs(this.failures, backoff, retryAfterMs);
    this.pausedUntil = now + wait;
    return wait;
  }

  /** Something was delivered. Returns how many attempts had failed before. */
  worked(): number {
    const { failures } = this;
    this.failures = 0;
    this.pausedUntil = 0;
    this.lastError = undefined;
    return failures;
  }
}
