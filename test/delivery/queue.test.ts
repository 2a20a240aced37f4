import { describe, expect, it, onTestFinished } from 'vitest';
import type { DeadLetters } from '../../src/delivery/dead-letters.ts';
import { RetryableError, SplitError } from '../../src/event/outcome.ts';
import type { Outcome } from '../../src/event/outcome.ts';
import { allDelivered, Destination, keptLetters } from './harness.ts';

function destination(...args: ConstructorParameters<typeof Destination>): Destination {
  const made = new Destination(...args);
  // Rule 30 holds at the end of every test, whatever it did.
  onTestFinished(async () => {
    await made.queue.halt();
    expect(made.balance.in).toBe(made.balance.out);
  });
  return made;
}

const numbers = (records: string[]): number[] => records.map((record) => Number(record.split(':')[1]));

describe('OutputQueue', () => {
  it('delivers everything, settles it and frees its memory', async () => {
    const sink = destination(() => allDelivered);
    sink.write('a', 3);
    sink.write('b', 2);
    await sink.queue.idle();
    expect(sink.delivered.toSorted()).toEqual(['a:0', 'a:1', 'a:2', 'b:3', 'b:4']);
    expect(sink.source.progress('out').mark).toBe(50);
    await sink.queue.halt();
    expect(sink.memory.used).toBe(0);
    expect(sink.ledger.delivered.value).toBe(5);
  });

  it('rule 19: many tags share an attempt', async () => {
    const release = Promise.withResolvers<void>();
    const sink = destination(async ({ records }) => {
      if (records[0] === 'first:0') await release.promise;
      return allDelivered;
    });
    sink.write('first', 1);
    for (let tag = 0; tag < 200; tag++) sink.write(`pod-${tag}`, 1);
    release.resolve();
    await sink.queue.idle();
    expect(sink.attempts.length).toBe(2);
    expect(sink.attempts[1]?.length).toBe(200);
  });

  it('keeps an attempt within the limits, but sends at least one record', async () => {
    const sink = destination(() => allDelivered, { limits: { bytes: 100, records: 3 } });
    sink.write('a', 7);
    sink.write('a', 1, 'x'.repeat(500));
    await sink.queue.idle();
    expect(sink.attempts.map((records) => records.length)).toEqual([3, 3, 1, 1]);
    expect(numbers(sink.delivered)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('sends only the records again that the destination named, and marks the rest as settled', async () => {
    const sink = destination(({ records }): Outcome =>
      records.length === 10
        ? { retry: [3, 4, 9], reason: 'too many at once' }
        : records.length === 3
          ? { retry: [2] }
          : allDelivered,
    );
    sink.write('a', 10);
    await sink.queue.idle();
    expect(sink.attempts.map(numbers)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [3, 4, 9], [9]]);
    expect(sink.ledger.retriedRecords.value).toBe(4);
    expect(sink.source.progress('out').mark).toBe(100);
    // Why is said once, not at every attempt.
    expect(sink.log.lines.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({
        fields: expect.objectContaining({ error: 'too many at once', records: 3 }),
      }),
    ]);
  });

  it('rule 17: a small rest does not hold the big chunk', async () => {
    const again = Promise.withResolvers<Outcome>();
    const retried = Promise.withResolvers<void>();
    const sink = destination(({ records }) => {
      if (records.length === 100) return { retry: [50] };
      retried.resolve();
      return again.promise;
    });
    sink.write('a', 100, 'x'.repeat(1000));
    expect(sink.memory.used).toBeGreaterThan(100_000);
    await retried.promise;
    expect(sink.memory.used).toBeLessThan(5000);
    expect(sink.source.progress('out')).toEqual({ mark: 500, settled: [[510, 1000]] });
    again.resolve(allDelivered);
    await sink.queue.idle();
    expect(numbers(sink.delivered).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 100 }, (_, i) => i),
    );
  });

  it('rule 24: a failing destination is probed by one attempt at a time, and then served by all workers', async () => {
    let failures = 0;
    const sink = destination(
      async () => {
        if (failures < 3) {
          failures++;
          throw new RetryableError('connection refused');
        }
        return allDelivered;
      },
      { order: 'none', workers: 4, limits: { bytes: 1_000_000, records: 1 } },
    );
    sink.write('a', 1);
    await expect.poll(() => failures).toBe(1);
    for (let i = 0; i < 8; i++) sink.write('a', 1);
    await sink.queue.idle();
    expect(sink.delivered.length).toBe(9);
    expect(sink.attempts.slice(0, 3).map(numbers)).toEqual([[0], [0], [0]]);
    expect(sink.log.lines.some(({ message }) => message === 'The destination works again')).toBe(true);
    expect(sink.queue.state.failures).toBe(0);
  });

  it('a destination that goes on failing is told once, again when the reason is new, and anew after it worked', async () => {
    const script = ['refused', 'refused', 'refused', 'reset', 'refused', undefined, 'refused', undefined];
    let attempt = 0;
    const sink = destination(
      async () => {
        const reason = script[attempt++];
        if (reason !== undefined) throw new RetryableError(reason);
        return allDelivered;
      },
      { backoff: { base: 0.001, cap: 0.001 } },
    );
    sink.write('a', 1);
    await sink.queue.idle();
    sink.write('a', 1);
    await sink.queue.idle();
    expect(attempt).toBe(script.length);
    expect(
      sink.log.lines.map(({ message, fields: { error, failures } }) => [
        message === 'The destination works again' ? 'works' : error,
        failures,
      ]),
    ).toEqual([
      ['refused', 1],
      ['reset', 4],
      ['works', 5],
      ['refused', 1],
      ['works', 1],
    ]);
  });

  it('rule 23: keeps the order of a tag across retries, while other tags go on', async () => {
    let failed = false;
    const sink = destination(
      ({ records }): Outcome => {
        if (!failed && records[0] === 'a:0') {
          failed = true;
          return { retry: records.map((_, index) => index) };
        }
        return allDelivered;
      },
      { workers: 3, limits: { bytes: 1_000_000, records: 2 } },
    );
    sink.write('a', 6);
    sink.write('b', 6);
    await sink.queue.idle();
    const of = (tag: string): number[] => numbers(sink.delivered.filter((record) => record.startsWith(tag)));
    expect(of('a')).toEqual([0, 1, 2, 3, 4, 5]);
    expect(of('b')).toEqual([6, 7, 8, 9, 10, 11]);
    expect(sink.delivered.indexOf('b:11')).toBeLessThan(sink.delivered.indexOf('a:0'));
  });

  it('order none: several attempts of one tag at once, up to the workers', async () => {
    const release = Promise.withResolvers<Outcome>();
    const sink = destination(() => release.promise, {
      order: 'none',
      workers: 3,
      limits: { bytes: 1_000_000, records: 1 },
    });
    sink.write('a', 5);
    await expect.poll(() => sink.attempts.length).toBe(3);
    release.resolve(allDelivered);
    await sink.queue.idle();
    expect(sink.mostInFlight).toBe(3);
  });

  it('rule 20: halves a batch down to the record that a plugin falls over', async () => {
    const dead = keptLetters();
    const sink = destination(
      ({ records }) => {
        if (records.includes('a:13')) throw new TypeError('cannot read properties of undefined');
        return allDelivered;
      },
      { deadLetters: dead as unknown as DeadLetters },
    );
    sink.write('a', 32);
    await sink.queue.idle();
    expect(dead.letters).toEqual([
      { n: 13, status: undefined, reason: 'plugin_error: cannot read properties of undefined' },
    ]);
    expect(sink.delivered.length).toBe(31);
    expect(new Set(sink.delivered).size).toBe(31);
    expect(sink.ledger.deadLettered.value).toBe(1);
    expect(sink.source.progress('out').mark).toBe(320);
  });

  it('rule 21: halves a batch that the destination refuses, and keeps its status', async () => {
    const dead = keptLetters();
    const sink = destination(
      ({ records }) => {
        if (records.includes('a:0') || records.includes('a:7')) throw new SplitError('mapping conflict', 400);
        return allDelivered;
      },
      { deadLetters: dead as unknown as DeadLetters },
    );
    sink.write('a', 8);
    await sink.queue.idle();
    expect(dead.letters.map(({ n, status }) => [n, status])).toEqual([
      [0, 400],
      [7, 400],
    ]);
    expect(numbers(sink.delivered).toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('counts rejected records as dropped where there are no dead letters', async () => {
    const sink = destination((): Outcome => ({ rejected: [{ index: 1, status: 422, reason: 'no' }] }));
    sink.write('a', 3);
    await sink.queue.idle();
    expect(sink.ledger.dropped('rejected').value).toBe(1);
    expect(sink.ledger.delivered.value).toBe(2);
  });

  it('rule 19: an answer about records that were not sent is a defect: all go again', async () => {
    let first = true;
    const sink = destination((): Outcome => {
      if (!first) return allDelivered;
      first = false;
      return { retry: [5] };
    });
    sink.write('a', 3);
    await sink.queue.idle();
    expect(sink.ledger.delivered.value).toBe(3);
    expect(sink.log.lines.some(({ level }) => level === 'error')).toBe(true);
  });

  it('drops at the retry limit, counted, and goes on', async () => {
    const sink = destination(
      ({ records }) => {
        if (records[0] === 'a:0') throw new RetryableError('down');
        return allDelivered;
      },
      { maxRetries: 1, limits: { bytes: 1_000_000, records: 1 } },
    );
    sink.write('a', 2);
    await sink.queue.idle();
    expect(sink.attempts.map(numbers)).toEqual([[0], [0], [1]]);
    expect(sink.ledger.dropped('retry_limit').value).toBe(1);
    expect(sink.source.progress('out').mark).toBe(20);
  });

  it('rule 8: writes marks after every response, before the next request of the worker', async () => {
    const marks: number[] = [];
    const sink = destination(
      () => {
        marks.push(sink.marksWritten);
        return allDelivered;
      },
      { limits: { bytes: 1_000_000, records: 1 } },
    );
    sink.write('a', 4);
    await sink.queue.idle();
    expect(marks).toEqual([0, 1, 2, 3]);
  });

  it('rule 28: starts nothing after halt, and gives up what is in flight on abort', async () => {
    const started = Promise.withResolvers<void>();
    const sink = destination(
      ({ signal }) => {
        started.resolve();
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      },
      { limits: { bytes: 1_000_000, records: 2 } },
    );
    sink.write('a', 5);
    await started.promise;
    const halted = sink.queue.halt();
    expect(sink.queue.inDoubt).toBe(2);
    sink.queue.abort();
    await halted;
    expect(sink.attempts.length).toBe(1);
    expect(sink.queue.state.records).toBe(5);
    expect(sink.source.progress('out').mark).toBe(0);
  });

  it('rule 29: goes on with another output without losing what waits', async () => {
    const sink = destination(() => {
      throw new RetryableError('wrong host');
    });
    sink.write('a', 4);
    await expect.poll(() => sink.queue.state.failures).toBeGreaterThan(0);
    await sink.queue.halt();
    const delivered: unknown[] = [];
    sink.queue.exchange({
      ...sink.options,
      output: {
        async deliver(slices) {
          for (const slice of slices) {
            for (let i = 0; i < slice.length; i++) delivered.push(slice.record(i)['n']);
          }
          return allDelivered;
        },
      },
    });
    await sink.queue.idle();
    expect(delivered).toEqual([0, 1, 2, 3]);
    expect(sink.ledger.buffered.value).toBe(0);
  });

  it('says how many records of a stop cannot be read again', async () => {
    const sink = destination(() => {
      throw new RetryableError('down');
    });
    sink.write('a', 4);
    await sink.queue.halt();
    // These have a source: nothing is lost, nothing is counted as dropped.
    expect(sink.queue.abandon('shutdown')).toEqual({ dropped: 0, onDisk: 0, gathered: 0 });
    expect(sink.queue.state.records).toBe(4);
  });
});
