/** Memory and disk together, with real queues, a real directory, and destinations that do as they are told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DiskStore } from '../../src/buffer/disk/store.ts';
import { MemoryBuffer } from '../../src/buffer/memory.ts';
import type { InputAccount } from '../../src/buffer/memory.ts';
import type { OutputQueue } from '../../src/delivery/queue.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import { allDelivered, RetryableError } from '../../src/event/outcome.ts';
import type { Outcome } from '../../src/event/outcome.ts';
import { Receipt } from '../../src/event/receipt.ts';
import { Source } from '../../src/event/source.ts';
import { ChunkBuffer } from '../../src/pipeline/chunk-buffer.ts';
import type { Wish } from '../../src/pipeline/chunk-buffer.ts';
import type { DiskLimits } from '../../src/pipeline/disk-room.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Destination, recordingLog } from '../delivery/harness.ts';

const MEMORY = 1_000_000;
const PLAIN: Wish = { filesystem: false, receipt: undefined };
const FILESYSTEM: Wish = { filesystem: true, receipt: undefined };

/** An output whose destination works or is down. */
class Sink {
  up = true;
  readonly destination: Destination;

  constructor(bench: Bench, name: string) {
    this.destination = new Destination(
      (): Outcome => {
        if (!this.up) throw new RetryableError('down');
        return allDelivered;
      },
      {
        stateName: name,
        limits: { bytes: 100_000, records: 100_000 },
        backoff: { base: 0.01, cap: 0.02 },
        extract: (flight) => bench.buffer.rest(flight),
        mayLoad: (bytes) => bench.buffer.mayLoad(bytes),
        afterAttempt: () => bench.buffer.afterAttempt(),
      },
    );
  }

  get queue(): OutputQueue {
    return this.destination.queue;
  }

  get numbers(): number[] {
    return this.destination.delivered.map((record) => Number(record.split(':')[1]));
  }
}

class Bench {
  readonly directory = mkdtempSync(join(tmpdir(), 'tailrace-buffer-'));
  metrics = new Metrics();
  readonly memory = new MemoryBuffer(MEMORY);
  readonly log = recordingLog();
  sinks: Record<string, Sink> = {};
  buffer: ChunkBuffer;
  source: Source | undefined = new Source('source', 0);
  whenFull: 'block' | 'drop_oldest' = 'block';
  diskLimit = Number.POSITIVE_INFINITY;
  readonly limits: DiskLimits = {
    overflow: true,
    overflowLimit: 1e9,
    minFree: { bytes: 0 },
    maxChunksUp: 128,
    backlogMemory: 250_000,
  };
  /** Of all chunks. */
  account: InputAccount | undefined;
  private written = 0;

  constructor() {
    this.memory.reserved = 250_000;
    this.buffer = this.open();
  }

  open(): ChunkBuffer {
    const { directory, memory, log } = this;
    const metrics = new Metrics();
    this.metrics = metrics;
    return new ChunkBuffer({
      memory,
      log,
      metrics,
      open: () => new DiskStore({ directory, sync: 'normal', checksum: true, log, metrics }),
      limits: () => this.limits,
      outputs: () =>
        Object.values(this.sinks).map(({ queue }) => ({
          queue,
          plugin: 'http',
          diskLimit: this.diskLimit,
          whenFull: this.whenFull,
        })),
      account: () => this.account,
    });
  }

  sink(name: string): Sink {
    const sink = new Sink(this, name);
    this.sinks[name] = sink;
    return sink;
  }

  /** A chunk of ten records of 5 KB for these outputs. */
  write(names: readonly string[], wish = PLAIN, tag = 'app'): void {
    const batch = new Batch();
    batch.source = this.source;
    batch.base = this.written * 10;
    const padding = 'x'.repeat(5000);
    for (let i = 0; i < 10; i++) {
      batch.push({ n: this.written++, padding }, undefined, 1, 0, i * 10, i * 10 + 10);
    }
    const held = this.buffer.hold(encodeBatch(tag, batch, true, performance.now()));
    for (const name of names) {
      const flight = this.sinks[name]?.queue.enqueue(held, [[0, 10]]);
      if (flight !== undefined) this.source?.launch(name, flight);
    }
    this.source?.advance(batch.base + 100);
    this.buffer.settleIn(held, wish);
  }

  value(name: string): number {
    const family = this.metrics.families.get(name);
    if (family === undefined || !('sum' in family)) return 0;
    family.get();
    return family.sum();
  }

  /** Resolves when something is true; looked at whenever the event loop comes round. */
  async until(met: () => boolean): Promise<void> {
    while (!met()) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async close(): Promise<void> {
    for (const { queue } of Object.values(this.sinks)) await queue.halt();
    await this.buffer.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe('ChunkBuffer', () => {
  let bench: Bench;
  const begin = (): Bench => (bench = new Bench());
  afterEach(() => bench.close());

  it('rule 16: what only a dead output needs goes to disk, comes back in order, and memory keeps its limit', async () => {
    const { memory } = begin();
    const dead = bench.sink('dead');
    const healthy = bench.sink('healthy');
    dead.up = false;
    for (let n = 0; n < 60; n++) {
      bench.write(['dead', 'healthy']);
      await bench.until(() => healthy.numbers.length === (n + 1) * 10 && memory.used < MEMORY);
    }
    expect(bench.value('tailrace_storage_overflow_bytes')).toBeGreaterThan(2_000_000);
    expect(memory.total).toBeLessThan(MEMORY);
    dead.up = true;
    await dead.queue.idle();
    const all = Array.from({ length: 600 }, (_, n) => n);
    expect(dead.numbers).toEqual(all);
    expect(healthy.numbers).toEqual(all);
    expect(bench.value('tailrace_storage_overflow_bytes')).toBe(0);
    await dead.queue.halt();
    expect(memory.total).toBe(0);
  });

  it('makes room in the account of an input with a limit of its own', async () => {
    const { memory } = begin();
    bench.account = memory.open('in', 200_000);
    bench.sink('dead').up = false;
    const healthy = bench.sink('healthy');
    for (let n = 0; n < 10; n++) {
      bench.write(['dead', 'healthy']);
      await healthy.queue.idle();
      await memory.room(bench.account);
    }
    expect(bench.value('tailrace_storage_overflow_bytes')).toBeGreaterThan(250_000);
    expect(memory.used).toBeLessThan(200_000);
  });

  it('rule 16: with every output stuck and a source that can be read again nothing is written', async () => {
    const { memory } = begin();
    bench.sink('dead').up = false;
    while (memory.used < MEMORY * 0.9) bench.write(['dead']);
    bench.buffer.relieve();
    await bench.until(() => bench.sinks['dead']?.queue.state.failures !== 0);
    expect(bench.value('tailrace_storage_written_bytes_total')).toBe(0);
    expect(memory.used).toBeGreaterThan(MEMORY * 0.9);
  });

  it('rule 12: what cannot be read again goes to disk though every output is stuck', async () => {
    const { memory } = begin();
    bench.source = undefined;
    bench.sink('dead').up = false;
    for (let n = 0; n < 40; n++) bench.write(['dead']);
    await bench.until(() => memory.used < MEMORY * 0.7);
    expect(bench.value('tailrace_storage_overflow_bytes')).toBeGreaterThan(500_000);
  });

  it('rule 11: an answer waits for the sync, not for the outputs', async () => {
    begin();
    bench.source = undefined;
    bench.sink('dead').up = false;
    const settled = Promise.withResolvers<boolean>();
    const receipt = new Receipt(settled.resolve);
    bench.write(['dead'], { filesystem: false, receipt });
    expect(bench.value('tailrace_storage_written_bytes_total')).toBe(0);
    receipt.release();
    expect(await settled.promise).toBe(true);
    expect(bench.value('tailrace_storage_written_bytes_total')).toBeGreaterThan(50_000);
  });

  it('rule 11: without overflow an answer waits for every output; given up, it says so', async () => {
    begin();
    bench.limits.overflow = false;
    bench.source = undefined;
    const sink = bench.sink('sink');
    sink.up = false;
    const answers: boolean[] = [];
    for (let n = 0; n < 2; n++) {
      const receipt = new Receipt((safe) => answers.push(safe));
      bench.write(['sink'], { filesystem: false, receipt }, `tag.${n}`);
      receipt.release();
    }
    await bench.until(() => sink.queue.state.failures > 0);
    expect(answers).toEqual([]);
    await sink.queue.halt();
    expect(sink.queue.abandon('shutdown')).toEqual({ dropped: 20, onDisk: 0, gathered: 0 });
    expect(answers).toEqual([false, false]);
  });

  it('a filesystem chunk that is delivered at once is never written', async () => {
    begin();
    const sink = bench.sink('sink');
    for (let n = 0; n < 5; n++) bench.write(['sink'], FILESYSTEM);
    await sink.queue.idle();
    await bench.buffer.close();
    expect(bench.value('tailrace_storage_written_bytes_total')).toBe(0);
    expect(bench.source?.progress('sink').mark).toBe(500);
  });

  it('rule 14: a durable chunk settles at its source, and comes back after a crash', async () => {
    begin();
    const sink = bench.sink('sink');
    sink.up = false;
    for (let n = 0; n < 5; n++) bench.write(['sink'], FILESYSTEM);
    await bench.until(() => bench.source?.settled === true);
    expect(bench.source?.progress('sink')).toEqual({ mark: 500, settled: [] });
    await sink.queue.halt();
    // As after SIGKILL: nobody closes anything.
    bench.buffer = bench.open();
    expect([...(bench.buffer.openDisk()?.origins.get('source')?.keys() ?? [])]).toEqual(['sink']);
    const again = bench.sink('sink');
    let records = 0;
    bench.buffer.recover(again.queue, (_input, count) => {
      records += count;
    });
    await again.queue.idle();
    expect(records).toBe(50);
    expect(again.numbers).toEqual(Array.from({ length: 50 }, (_, n) => n));
    expect(again.destination.ledger.recovered.value).toBe(50);
  });

  it('says that it is full, keeps what it has, and takes more when there is room', async () => {
    begin();
    bench.limits.overflowLimit = 120_000;
    bench.source = undefined;
    const dead = bench.sink('dead');
    dead.up = false;
    for (let n = 0; n < 30; n++) bench.write(['dead']);
    await bench.until(() => bench.buffer.problem !== undefined);
    expect(bench.buffer.problem).toContain('storage.overflow.limit');
    expect(bench.value('tailrace_storage_overflow_bytes')).toBeLessThanOrEqual(120_000);
    expect(bench.value('tailrace_storage_overflow_limit_bytes')).toBe(120_000);
    expect(bench.log.lines.filter(({ message }) => message.includes('storage.overflow.limit')).length).toBe(
      1,
    );
    dead.up = true;
    await dead.queue.idle();
    expect(dead.numbers).toEqual(Array.from({ length: 300 }, (_, n) => n));
  });

  it('drops the oldest of the output where its option says so, and counts them', async () => {
    begin();
    bench.whenFull = 'drop_oldest';
    bench.limits.overflowLimit = 300_000;
    bench.source = undefined;
    const dead = bench.sink('dead');
    dead.up = false;
    for (let n = 0; n < 40; n++) {
      bench.write(['dead']);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const dropped = (): number =>
      dead.destination.metrics
        .counter('tailrace_output_dropped_records_total', '')
        .sum({ reason: 'buffer_full' });
    await bench.until(() => {
      bench.buffer.relieve();
      return dropped() > 0;
    });
    dead.up = true;
    await dead.queue.idle();
    expect(dead.numbers.length).toBe(400 - dropped());
    expect(dead.destination.balance.in).toBe(dead.destination.balance.out);
  });

  it('leaves the share of the volume free that it was told to', () => {
    begin();
    bench.limits.minFree = { share: 0.9999 };
    bench.source = undefined;
    bench.sink('dead').up = false;
    bench.write(['dead'], FILESYSTEM);
    expect(bench.buffer.problem).toContain('storage.overflow.min_free');
    expect(bench.value('tailrace_storage_full')).toBe(1);
  });

  it('an output has no more on disk than its own limit', async () => {
    begin();
    bench.diskLimit = 120_000;
    bench.sink('dead').up = false;
    for (let n = 0; n < 5; n++) bench.write(['dead'], FILESYSTEM);
    expect(bench.buffer.problem).toContain('storage.total_limit_size');
    await bench.buffer.tick();
    expect(bench.value('tailrace_storage_chunks')).toBeLessThanOrEqual(2);
  });

  it('rule 3: secures what was read of a source', async () => {
    begin();
    bench.sink('dead').up = false;
    for (let n = 0; n < 3; n++) bench.write(['dead']);
    const { source } = bench;
    expect(source?.settled).toBe(false);
    expect(await bench.buffer.secure(source as Source)).toBe(true);
    expect(source?.progress('dead').mark).toBe(300);
  });

  it('rule 3: at a stop, what cannot be read again any more goes to disk; what can stays where it is', async () => {
    begin();
    bench.sink('dead').up = false;
    bench.write(['dead']);
    const source = bench.source as Source;
    await bench.buffer.spool();
    expect(source.progress('dead').mark).toBe(0);
    source.gone = true;
    await bench.buffer.spool();
    expect(source.progress('dead').mark).toBe(100);
  });

  it('hands records to another output, and lets the first forget them when they are safe', async () => {
    begin();
    const other = bench.sink('other');
    const first = bench.sink('first');
    first.up = false;
    other.up = false;
    const held = bench.buffer.hold(encodeBatch('app', oneRecord(), true, performance.now()));
    const flight = first.queue.enqueue(held, [[0, 1]]);
    const safe = bench.buffer.handOver(
      [{ flight, from: 0, to: 1, attempts: 0, firstTriedAt: 0 }],
      other.queue,
    );
    let called = false;
    safe(() => {
      called = true;
    });
    expect(called).toBe(false);
    await bench.until(() => called);
    expect(other.queue.state.records).toBe(1);
    expect(bench.value('tailrace_storage_chunks')).toBe(1);
  });
});

function oneRecord(): Batch {
  const batch = new Batch();
  batch.push({ n: 1 }, undefined, 1, 0, 0, 10);
  return batch;
}
