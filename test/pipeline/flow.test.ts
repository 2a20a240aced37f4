/** Filters, router and backpressure together: what happens between an input's emit and the output queues. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryBuffer } from '../../src/buffer/memory.ts';
import { Arrivals } from '../../src/event/arrivals.ts';
import { Batch } from '../../src/event/batch.ts';
import type { LogRecord } from '../../src/event/record.ts';
import { Receipt } from '../../src/event/receipt.ts';
import { Source } from '../../src/event/source.ts';
import { FilterChain } from '../../src/pipeline/filters.ts';
import { InputLedger } from '../../src/pipeline/input-ledger.ts';
import { InputRunner } from '../../src/pipeline/input-runner.ts';
import { ChunkBuffer } from '../../src/pipeline/chunk-buffer.ts';
import { Router } from '../../src/pipeline/router.ts';
import type { Filter, Held } from '../../src/plugin.ts';
import { matchesPattern } from '../../src/routing/match.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { allDelivered, Destination, recordingLog } from '../delivery/harness.ts';

function batchOf(count: number, source?: Source): Batch {
  const batch = new Batch();
  batch.source = source;
  batch.base = source?.emitted ?? 0;
  for (let n = 0; n < count; n++) batch.push({ n }, undefined, 1, 0, n * 10, n * 10 + 10);
  return batch;
}

interface Route {
  match: string;
  sink: Destination;
  stateName?: string;
}

class Bench {
  readonly metrics = new Metrics();
  readonly memory = new MemoryBuffer(100_000);
  readonly log = recordingLog();
  readonly runner: InputRunner;
  readonly filters: FilterChain;

  constructor(filters: { match?: string; filter: Filter }[], routes: Route[], limit = 0) {
    this.filters = new FilterChain({
      stages: filters.map(({ match = '*', filter }, index) => ({
        name: `f.${index}`,
        filter,
        matches: (tag) => matchesPattern(match, tag),
        log: this.log,
      })),
      metrics: this.metrics,
      ledgerOf: () => this.runner.ledger,
      charge: (bytes) => (bytes > 0 ? this.memory.charge(bytes) : this.memory.release(-bytes)),
    });
    const router = new Router(
      routes.map(({ match, sink, stateName = match }) => ({
        stateName,
        queue: sink.queue,
        matches: (tag) => matchesPattern(match, tag),
        wantsBytes: true,
      })),
      new ChunkBuffer({
        memory: this.memory,
        log: this.log,
        metrics: this.metrics,
        open: undefined,
        limits: () => ({
          overflow: false,
          overflowLimit: 0,
          minFree: { bytes: 0 },
          maxChunksUp: 128,
          backlogMemory: 0,
        }),
        outputs: () => [],
        account: () => this.runner.account,
      }),
      this.log,
      new Arrivals(),
    );
    this.runner = new InputRunner({
      instance: { name: 'in.0' } as InputRunner['instance'],
      fingerprint: '',
      ledger: new InputLedger(this.metrics, 'in.0'),
      account: this.memory.open('in.0', limit),
      memory: this.memory,
      flow: () => ({ filters: this.filters, router }),
      serviceFilesystem: () => false,
    });
  }

  /** The input's equation of rule 30. */
  get balance(): { in: number; out: number } {
    const { read, recovered, created, routed, joined, skipped, held, dropped } = this.runner.ledger;
    return {
      in: read.value + recovered.value + created.value,
      out: routed.value + joined.value + skipped.value + held.value + dropped,
    };
  }
}

const dropOdd: Filter = {
  process: (batch) => void batch.retain((index) => (batch.record(index)['n'] as number) % 2 === 0),
};

describe('from emit to the queues', () => {
  let sink: Destination;
  beforeEach(() => {
    sink = new Destination(() => allDelivered);
  });

  it('filters, routes, counts, and moves the source', async () => {
    const source = new Source('s', 0);
    const bench = new Bench(
      [{ filter: dropOdd }, { match: 'web.*', filter: { process: () => undefined } }],
      [{ match: 'app', sink }],
    );
    void bench.runner.emit('app', batchOf(5, source));
    await sink.queue.idle();
    expect(sink.delivered).toEqual(['app:0', 'app:2', 'app:4']);
    expect(source.emitted).toBe(50);
    expect(source.progress('app')).toEqual({ mark: 50, settled: [] });
    expect(bench.balance).toEqual({ in: 5, out: 5 });
    expect(bench.metrics.counter('tailrace_filter_dropped_records_total', '').sum({ name: 'f.0' })).toBe(2);
    expect(bench.metrics.counter('tailrace_filter_records_total', '').sum({ name: 'f.1' })).toBe(0);
    await sink.queue.halt();
    expect(bench.memory.used).toBe(0);
  });

  it('moves the source past a batch of which nothing is left', () => {
    const source = new Source('s', 0);
    const bench = new Bench(
      [{ filter: { process: (batch) => void batch.retain(() => false) } }],
      [{ match: '*', sink }],
    );
    void bench.runner.emit('app', batchOf(3, source));
    expect(source.position()).toBe(30);
    expect(bench.balance).toEqual({ in: 3, out: 3 });
  });

  it('counts records whose tag no output takes', () => {
    const bench = new Bench([], [{ match: 'web', sink }]);
    void bench.runner.emit('app', batchOf(3));
    expect(
      bench.metrics.counter('tailrace_input_dropped_records_total', '').sum({ reason: 'no_route' }),
    ).toBe(3);
    expect(bench.balance).toEqual({ in: 3, out: 3 });
  });

  it('rules 6 and 7: does not send again what an output had acknowledged before a restart', async () => {
    const other = new Destination(() => allDelivered);
    const source = new Source(
      's',
      0,
      new Map([
        ['one', { mark: 20, settled: [[30, 40]] as [number, number][] }],
        ['two', { mark: 0, settled: [] }],
      ]),
    );
    const bench = new Bench(
      [],
      [
        { match: '*', sink, stateName: 'one' },
        { match: '*', sink: other, stateName: 'two' },
      ],
    );
    void bench.runner.emit('app', batchOf(5, source));
    await Promise.all([sink.queue.idle(), other.queue.idle()]);
    expect(sink.delivered).toEqual(['app:2', 'app:4']);
    expect(other.delivered.length).toBe(5);
    expect(source.progress('one').mark).toBe(50);
    expect(bench.balance).toEqual({ in: 5, out: 5 });
  });

  it('counts as skipped what every output had', () => {
    const source = new Source('s', 0, new Map([['one', { mark: 30, settled: [] }]]));
    const bench = new Bench([], [{ match: '*', sink, stateName: 'one' }]);
    void bench.runner.emit('app', batchOf(5, source));
    expect(bench.runner.ledger.skipped.value).toBe(3);
    expect(bench.balance).toEqual({ in: 5, out: 5 });
  });

  it('lets an input wait while an output does not answer, and go on when it does', async () => {
    const answer = Promise.withResolvers<typeof allDelivered>();
    const slow = new Destination(() => answer.promise);
    const bench = new Bench([], [{ match: '*', sink: slow }], 3000);
    let room: Promise<void> | undefined;
    for (let i = 0; i < 50 && room === undefined; i++) room = bench.runner.emit('app', batchOf(5));
    expect(room).toBeInstanceOf(Promise);
    expect(bench.runner.account.pausedAt).toBeDefined();
    answer.resolve(allDelivered);
    await room;
    await slow.queue.idle();
    expect(slow.delivered.length).toBe(bench.runner.ledger.read.value);
  });

  it('settles a receipt when every output has everything', async () => {
    const other = new Destination(() => allDelivered);
    const bench = new Bench(
      [{ filter: dropOdd }],
      [
        { match: '*', sink, stateName: 'one' },
        { match: 'app', sink: other, stateName: 'two' },
      ],
    );
    const settled = Promise.withResolvers<boolean>();
    void bench.runner.emit('app', batchOf(4), new Receipt(settled.resolve));
    expect(await settled.promise).toBe(true);
    expect([sink.delivered.length, other.delivered.length]).toEqual([2, 2]);
  });

  it('drops and counts what no JSON can hold, and nothing else', async () => {
    const cycle: LogRecord = {};
    cycle['self'] = cycle;
    const bench = new Bench(
      [
        {
          filter: {
            process: (batch) => batch.replace(1, cycle),
          },
        },
      ],
      [{ match: '*', sink }],
    );
    void bench.runner.emit('app', batchOf(4));
    await sink.queue.idle();
    expect(sink.delivered).toEqual(['app:0', 'app:2', 'app:3']);
    expect(
      bench.metrics.counter('tailrace_input_dropped_records_total', '').sum({ reason: 'unencodable' }),
    ).toBe(1);
    expect(bench.balance).toEqual({ in: 4, out: 4 });
  });

  it('passes a batch that a filter falls over, and says so', async () => {
    const bench = new Bench(
      [
        {
          filter: {
            process: () => {
              throw new TypeError('oops');
            },
          },
        },
      ],
      [{ match: '*', sink }],
    );
    void bench.runner.emit('app', batchOf(2));
    await sink.queue.idle();
    expect(sink.delivered.length).toBe(2);
    expect(bench.metrics.counter('tailrace_filter_errors_total', '').sum()).toBe(1);
    expect(bench.log.lines[0]?.level).toBe('error');
  });

  it('keeps batches in order behind an asynchronous filter', async () => {
    const first = Promise.withResolvers<void>();
    let calls = 0;
    const bench = new Bench(
      [{ filter: { process: () => (calls++ === 0 ? first.promise : undefined) } }],
      [{ match: '*', sink }],
    );
    const waits = [bench.runner.emit('app', batchOf(1)), bench.runner.emit('app', batchOf(2))];
    first.resolve();
    await Promise.all(waits);
    await sink.queue.idle();
    expect(sink.delivered).toEqual(['app:0', 'app:0', 'app:1']);
  });

  it('takes nothing after the end', () => {
    const bench = new Bench([], [{ match: '*', sink }]);
    bench.runner.close();
    expect(bench.runner.emit('app', batchOf(2))).toBeUndefined();
    expect(bench.runner.ledger.read.value).toBe(0);
  });
});

/** A filter that holds everything and gives it out joined, two to one. */
function holding(): Filter & { held(): Held[] } {
  let kept: Batch[] = [];
  return {
    process(batch) {
      const copy = new Batch();
      copy.input = batch.input;
      copy.source = batch.source;
      copy.base = batch.base;
      for (let i = 0; i < batch.length; i++) {
        copy.push({ ...batch.record(i) }, undefined, 1, 0, batch.starts[i], batch.stops[i]);
      }
      kept.push(copy);
      batch.retain(() => false);
    },
    flush() {
      const released = kept.map((batch) => ({ tag: 'app', batch }));
      kept = [];
      return released;
    },
    held: () =>
      kept.map((batch) => ({
        input: batch.input,
        records: batch.length,
        bytes: 100 * batch.length,
        ...(batch.source === undefined ? {} : { source: batch.source, from: batch.base }),
      })),
  };
}

describe('rule 10: filters that hold events', () => {
  it('count as buffered, keep the mark back, and give everything out at a flush', async () => {
    const sink = new Destination(() => allDelivered);
    const source = new Source('s', 0);
    const bench = new Bench([{ filter: holding() }], [{ match: '*', sink }]);
    void bench.runner.emit('app', batchOf(4, source));
    expect(bench.runner.ledger.held.value).toBe(4);
    expect(bench.balance).toEqual({ in: 4, out: 4 });
    expect(bench.memory.used).toBe(400);
    expect(source.position()).toBe(0);
    const released: number[] = [];
    await bench.filters.flush('timer', (_tag, batch) => {
      released.push(batch.length);
      expect(source.position()).toBe(0);
    });
    expect(released).toEqual([4]);
    expect(source.position()).toBe(40);
    expect(bench.memory.used).toBe(0);
    expect(bench.runner.ledger.held.value).toBe(0);
  });
});
