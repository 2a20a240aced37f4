/** Exponential back-off with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). */

/** A wait below this would be a busy loop. Milliseconds. */
const MIN_WAIT = 100;

export interface BackoffOptions {
  /** Seconds. */
  base: number;
  /** Seconds. */
  cap: number;
}

/**
 * Milliseconds to wait before attempt `attempt + 1`, after `attempt` failures in a row (from 1). The destination's wish
 * (`retryAfterMs`) is a lower bound.
 */
export function backoffMs(
  attempt: number,
  { base, cap }: BackoffOptions,
  retryAfterMs = 0,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(cap, base * 2 ** Math.min(attempt - 1, 30)) * 1000;
  return Math.max(MIN_WAIT, retryAfterMs, random() * ceiling);
}
