/** One call of an output, bounded in time: one that does not come back must not hold its records for ever. */
import { RetryableError } from '../event/outcome.ts';
import type { Outcome } from '../event/outcome.ts';
import { mainLoop } from '../telemetry/heartbeat.ts';
import type { Flight } from './flight.ts';

/** What an output gets to come back after it was told to give up. Milliseconds. */
const ABANDON_MS = 5000;

/** The output did not even come back when it was told to: it may still be reading the records. */
export class AbandonedError extends RetryableError {
  override name = 'AbandonedError';
}

export class Attempt {
  /** Flights of the parcels that it carries, one for each. */
  readonly flights: readonly Flight[];
  /** Monotonic milliseconds. */
  readonly startedAt = performance.now();
  /** When it last showed a sign of life; its time counts from there. Monotonic milliseconds. */
  movedAt = this.startedAt;
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  /** {@link abort} was called. */
  aborted = false;

  constructor(flights: readonly Flight[]) {
    this.flights = flights;
  }

  /**
   * Makes the call; throws what it throws, and RetryableError when its time is over: `timeoutMs` since it began or since it last
   * {@link moved}. `mark`: stage of the main loop.
   */
  async run(
    call: (signal: AbortSignal) => Promise<Outcome>,
    timeoutMs: number,
    mark: number,
  ): Promise<Outcome> {
    let abandon: (error: Error) => void = () => undefined;
    const abandoned = new Promise<never>((_resolve, reject) => {
      abandon = reject;
    });
    const arm = (wait: number): void => {
      this.timer = setTimeout(() => {
        const left = this.movedAt + timeoutMs - performance.now();
        if (left > 1) arm(left);
        else this.timeOut(timeoutMs, abandon);
      }, wait);
    };
    this.movedAt = performance.now();
    arm(timeoutMs);
    try {
      // The call itself may throw before it returns a promise: a plugin need not be an async function.
      return await Promise.race([this.enter(call, mark), abandoned]);
    } catch (error) {
      const { signal } = this.controller;
      if (signal.aborted && !this.aborted && !(error instanceof RetryableError)) throw signal.reason;
      throw error;
    } finally {
      clearTimeout(this.timer);
    }
  }

  private timeOut(timeoutMs: number, abandon: (error: Error) => void): void {
    const message = `no answer within ${Math.round(timeoutMs / 1000)} s`;
    this.controller.abort(new RetryableError(message));
    this.timer = setTimeout(
      () => abandon(new AbandonedError(`${message}, and it does not give up`)),
      ABANDON_MS,
    );
  }

  /** It goes forward. */
  moved(): void {
    this.movedAt = performance.now();
  }

  private enter(call: (signal: AbortSignal) => Promise<Outcome>, mark: number): Promise<Outcome> {
    mainLoop.enter(mark);
    try {
      return call(this.controller.signal);
    } finally {
      mainLoop.leave();
    }
  }

  /** Tells the output to give up: the agent stops. */
  abort(): void {
    this.aborted = true;
    this.controller.abort(new Error('The agent stops.'));
  }
}
