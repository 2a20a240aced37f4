/** How long to wait before the API server is asked again: exponential, with jitter, so that a thousand agents do not ask at once. */

const FIRST_MS = 500;
const CAP_MS = 20_000;

export class Backoff {
  private failures = 0;

  /** It failed once more: milliseconds to wait now; at least `atLeastMs`, which the server asked for. */
  failed(atLeastMs = 0): number {
    const whole = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(this.failures, 10));
    this.failures++;
    return atLeastMs + whole / 2 + Math.random() * (whole / 2);
  }

  succeeded(): void {
    this.failures = 0;
  }
}
