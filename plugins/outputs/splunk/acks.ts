/**
 * Indexer acknowledgement: Splunk answers a request with a number, and tells later, once, whether what was in it is indexed. All numbers
 * that are waited for are asked for together.
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/about-http-event-collector-indexer-acknowledgment
 */
import { isRecord, RetryableError } from '../../../src/plugin.ts';

interface Waiter {
  until: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

export interface AckOptions {
  /** Milliseconds. */
  pollMs: number;
  timeoutMs: number;
  /** Asks for these numbers; answers with the text. */
  ask: (numbers: readonly number[], signal: AbortSignal) => Promise<string>;
}

export class Acks {
  private readonly options: AckOptions;
  private readonly waiting = new Map<number, Waiter>();
  private readonly ended = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(options: AckOptions) {
    this.options = options;
  }

  /**
   * Resolves when the events of a request are indexed. Throws RetryableError when Splunk does not say so in time: they are sent again
   * (DELIVERY.md, rule 22). On `signal` it gives up at once.
   */
  wait(number: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.waiting.delete(number);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        settle();
        reject(signal.reason as Error);
      };
      // A number that is given out anew (Splunk was restarted) is not the old one's any more.
      this.waiting.get(number)?.reject(new RetryableError('Splunk gave an acknowledgement number out twice'));
      this.waiting.set(number, {
        until: performance.now() + this.options.timeoutMs,
        resolve: () => {
          settle();
          resolve();
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      this.schedule();
    });
  }

  close(): void {
    clearTimeout(this.timer);
    this.ended.abort();
    for (const { reject } of this.waiting.values()) reject(new RetryableError('The output was closed'));
  }

  private schedule(): void {
    if (this.timer !== undefined || this.waiting.size === 0 || this.ended.signal.aborted) return;
    this.timer = setTimeout(() => void this.poll(), this.options.pollMs);
  }

  private async poll(): Promise<void> {
    let failure: Error | undefined;
    try {
      const answer = await this.options.ask([...this.waiting.keys()], this.ended.signal);
      for (const number of indexed(answer)) this.waiting.get(number)?.resolve();
    } catch (error) {
      failure = error as Error;
    }
    const now = performance.now();
    const seconds = this.options.timeoutMs / 1000;
    for (const { until, reject } of this.waiting.values()) {
      if (now < until) continue;
      const why = failure === undefined ? '' : `: ${failure.message}`;
      reject(new RetryableError(`Splunk did not acknowledge the events within ${seconds} s${why}`));
    }
    this.timer = undefined;
    this.schedule();
  }
}

/** The numbers that are true in `{"acks":{"1":true,"2":false}}`. */
function indexed(answer: string): number[] {
  const parsed: unknown = JSON.parse(answer);
  const acks = isRecord(parsed) ? parsed['acks'] : undefined;
  if (!isRecord(acks)) return [];
  return Object.entries(acks).flatMap(([number, done]) => (done === true ? [Number(number)] : []));
}
