/** When an output queue gives up: records, attempts, and destinations that refuse everything. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { Undeliverable } from '../../src/delivery/undeliverable.ts';
import { RetryableError, SplitError } from '../../src/event/outcome.ts';
import type { Outcome } from '../../src/event/outcome.ts';
import { allDelivered, Destination, keptLetters } from './harness.ts';

function destination(...args: ConstructorParameters<typeof Destination>): Destination {
  const made = new Destination(...args);
  onTestFinished(async () => {
    await made.queue.halt();
    expect(made.balance.in).toBe(made.balance.out);
  });
  return made;
}

const dropped = (sink: Destination, reason: string): number =>
  sink.metrics.counter('tailrace_output_dropped_records_total', '').sum({ reason });

describe('records that are sent no more', () => {
  it('become dead letters when retry_limit is reached', async () => {
    const dead = keptLetters();
    const sink = destination(
      () => {
        throw new RetryableError('connection refused');
      },
      { maxRetries: 2, backoff: { base: 0.001, cap: 0.001 }, deadLetters: dead },
    );
    sink.write('a', 2);
    await sink.queue.idle();
    expect(sink.attempts.length).toBe(3);
    expect(dead.letters).toEqual([
      { n: 0, status: undefined, reason: 'retry_limit: connection refused' },
      { n: 1, status: undefined, reason: 'retry_limit: connection refused' },
    ]);
    expect(sink.ledger.retriesExhausted.value).toBe(1);
    expect(sink.source.progress('out').mark).toBe(20);
  });

  it('are dropped by that reason where no dead letters are kept', async () => {
    const sink = destination(
      () => {
        throw new RetryableError('connection refused');
      },
      { maxRetries: 0 },
    );
    sink.write('a', 3);
    await sink.queue.idle();
    expect(dropped(sink, 'retry_limit')).toBe(3);
  });

  it('are given up after retry_max_age, however few attempts there were', async () => {
    const dead = keptLetters();
    const sink = destination(
      () => {
        throw new RetryableError('down');
      },
      { maxAgeMs: 0, deadLetters: dead },
    );
    sink.write('a', 1);
    await sink.queue.idle();
    expect(sink.attempts.length).toBe(1);
    expect(dead.letters).toEqual([{ n: 0, status: undefined, reason: 'retry_max_age: down' }]);
  });

  it('go to the on_failure output, and settle only when they are safe there', async () => {
    const dead = keptLetters();
    let safe: () => void = () => undefined;
    const handed: number[] = [];
    const sink = destination((): Outcome => ({ rejected: [{ index: 1, status: 400, reason: 'no' }] }), {
      deadLetters: dead,
    });
    const { ledger, log } = sink;
    sink.queue.exchange({
      ...sink.options,
      undeliverable: new Undeliverable({
        name: 'out',
        ledger,
        log,
        deadLetters: dead,
        handOver: (parcels) => {
          for (const { from, to } of parcels) handed.push(from, to);
          return (callback) => {
            safe = callback;
          };
        },
      }),
    });
    sink.write('a', 3);
    await sink.queue.idle();
    expect(handed).toEqual([1, 2]);
    expect(dead.letters).toEqual([]);
    expect(ledger.handedOver.value).toBe(1);
    expect(sink.source.progress('out')).toEqual({ mark: 10, settled: [[20, 30]] });
    safe();
    expect(sink.source.progress('out').mark).toBe(30);
  });
});

describe('rule 21: a destination that refuses every single record', () => {
  it('is at fault itself: nothing becomes a dead letter, and it is tried again', async () => {
    const dead = keptLetters();
    let refuse = true;
    const sink = destination(
      () => {
        if (refuse) throw new SplitError('no such index', 400);
        return allDelivered;
      },
      { deadLetters: dead, backoff: { base: 0.001, cap: 0.001 } },
    );
    sink.write('a', 64);
    await expect.poll(() => sink.queue.state.failures, { interval: 1 }).toBeGreaterThan(0);
    expect(sink.queue.state.lastError).toContain('refuses every single record');
    refuse = false;
    await sink.queue.idle();
    expect(dead.letters).toEqual([]);
    expect(sink.delivered).toEqual(Array.from({ length: 64 }, (_, n) => `a:${n}`));
  });

  it('is taken at its word when it goes on: they become dead letters', async () => {
    const dead = keptLetters();
    const sink = destination(
      () => {
        throw new SplitError('too old', 400);
      },
      { deadLetters: dead, backoff: { base: 0.001, cap: 0.001 } },
    );
    sink.write('a', 20);
    await sink.queue.idle();
    expect(dead.letters.length).toBe(20);
  });
});

describe('an attempt that does not come back', () => {
  it('is told to give up, and its records are sent again', async () => {
    let first = true;
    const sink = destination(
      ({ signal }) => {
        if (!first) return allDelivered;
        first = false;
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      },
      { attemptTimeoutMs: 5 },
    );
    sink.write('a', 2);
    await sink.queue.idle();
    expect(sink.attempts.length).toBe(2);
    expect(sink.delivered).toEqual(['a:0', 'a:1']);
  });
});
