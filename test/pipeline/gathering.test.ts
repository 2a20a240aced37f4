/** Objects that an output gathers (DELIVERY.md, rule 26): a real queue over a real disk buffer, and a store that does as it is told. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { DiskStore } from '../../src/buffer/disk/store.ts';
import { MemoryBuffer } from '../../src/buffer/memory.ts';
import { GatheringQueue } from '../../src/delivery/gather/queue.ts';
import { OutputLedger } from '../../src/delivery/ledger.ts';
import type { OutputQueue } from '../../src/delivery/queue.ts';
import { Undeliverable } from '../../src/delivery/undeliverable.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import { RetryableError } from '../../src/event/outcome.ts';
import type { Outcome } from '../../src/event/outcome.ts';
import { Receipt } from '../../src/event/receipt.ts';
import { Source } from '../../src/event/source.ts';
import { ChunkBuffer } from '../../src/pipeline/chunk-buffer.ts';
import type { GatheredObject, Gathering } from '../../src/plugin.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Destination, keptLetters, recordingLog } from '../delivery/harness.ts';

const HOUR = 3600;

interface Sent {
  key: string;
  records: number[];
  retried: boolean;
}

/** An agent's queue and buffer over a directory that may have been used before. */
class Run {
  readonly metrics = new Metrics();
  readonly log = recordingLog();
  readonly memory = new MemoryBuffer(10_000_000);
  readonly letters = keptLetters();
  readonly ledger = new OutputLedger(this.metrics, 's3');
  readonly source = new Source('source', 0);
  readonly buffer: ChunkBuffer;
  readonly queue: GatheringQueue;
  /** Objects as the store has them, by key. */
  readonly sent: Sent[] = [];
  /** What the store does with an object that was read to its end. */
  answer: (sent: Sent, signal: AbortSignal) => Outcome | Promise<Outcome> = () => ({});
  mostUp = 0;
  overflowLimit = 1e9;
  /** Queues that get all chunks, too. */
  readonly others: OutputQueue[] = [];
  /** `storage.total_limit_size` of the output. */
  limit = Number.POSITIVE_INFINITY;
  private readonly waiters: { count: number; resolve: () => void }[] = [];

  constructor(
    directory: string | undefined,
    {
      gather = {},
      maxRetries = Number.POSITIVE_INFINITY,
      workers = 1,
      memoryLimit = 1_000_000,
    }: { gather?: Partial<Gathering>; maxRetries?: number; workers?: number; memoryLimit?: number } = {},
  ) {
    const { log, metrics, memory } = this;
    this.buffer = new ChunkBuffer({
      memory,
      log,
      metrics,
      open:
        directory === undefined
          ? undefined
          : () => new DiskStore({ directory, sync: 'normal', checksum: true, log, metrics }),
      limits: () => ({
        overflow: true,
        overflowLimit: this.overflowLimit,
        minFree: { bytes: 0 },
        maxChunksUp: 128,
        backlogMemory: 250_000,
      }),
      outputs: () => [{ queue: this.queue, plugin: 's3', diskLimit: this.limit, whenFull: 'block' }],
      account: () => undefined,
    });
    this.buffer.openDisk();
    const series = (state: string) => metrics.gauge('objects', '').labels({ state });
    this.queue = new GatheringQueue({
      name: 's3',
      stateName: 's3',
      output: {
        plan: ({ tag, sequence, seconds }) => ({
          key: `${tag}/${seconds}-${sequence}`,
          settings: { kind: 'test' },
        }),
        upload: (object, signal) => this.upload(object, signal),
      },
      gather: { bytes: 1_000_000, seconds: HOUR, by: 'tag', memory: 0, ...gather },
      order: 'tag',
      workers,
      maxRetries,
      maxAgeMs: Number.POSITIVE_INFINITY,
      attemptTimeoutMs: 60_000,
      backoff: { base: 0.01, cap: 0.02 },
      ledger: this.ledger,
      log,
      undeliverable: new Undeliverable({
        name: 's3',
        ledger: this.ledger,
        log,
        deadLetters: this.letters,
        handOver: undefined,
      }),
      writeMarks: () => this.buffer.writeProgress(),
      charge: (bytes) => (bytes > 0 ? memory.charge(bytes) : memory.release(-bytes)),
      afterAttempt: () => this.buffer.afterAttempt(),
      shelf: this.buffer.shelf('s3', log),
      memoryLimit,
      series: { open: series('open'), closed: series('closed'), uploaded: series('uploaded') },
    });
    this.buffer.recover(this.queue, () => {});
  }

  private async upload(object: GatheredObject, signal: AbortSignal): Promise<Outcome> {
    const records: number[] = [];
    for await (const slice of object.slices()) {
      this.mostUp = Math.max(this.mostUp, this.memory.back);
      for (let index = 0; index < slice.length; index++) records.push(Number(slice.record(index)['n']));
    }
    const sent = { key: object.plan.key, records, retried: object.retried };
    expect(object.plan.settings).toEqual({ kind: 'test' });
    const outcome = await this.answer(sent, signal);
    this.sent.push(sent);
    for (const { count, resolve } of this.waiters) if (this.sent.length >= count) resolve();
    return outcome;
  }

  /** Resolves when so many objects were sent. */
  uploaded(count: number): Promise<void> {
    if (this.sent.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push({ count, resolve }));
  }

  /** A chunk of ten records of 1 KB, `n` from `first`. */
  write(
    first: number,
    { tag = 'app', receipt, again = true }: { tag?: string; receipt?: Receipt; again?: boolean } = {},
  ): void {
    const batch = new Batch();
    batch.input = 'in';
    batch.base = first * 10;
    if (again) batch.source = this.source;
    const padding = 'x'.repeat(1000);
    for (let i = 0; i < 10; i++)
      batch.push({ n: first + i, padding }, undefined, 1000 + first + i, 0, i * 10, i * 10 + 10);
    const held = this.buffer.hold(encodeBatch(tag, batch, true, performance.now()));
    const flight = this.queue.enqueue(held, [[0, 10]]);
    for (const queue of this.others) queue.enqueue(held, [[0, 10]]);
    if (again) {
      this.source.launch('s3', flight);
      this.source.advance(batch.base + 100);
    }
    this.buffer.settleIn(held, { filesystem: false, receipt });
    this.expectBalance();
  }

  expectBalance(): void {
    const { enqueued, recovered, delivered, deadLettered, handedOver, buffered } = this.ledger;
    const dropped = this.metrics.counter('tailrace_output_dropped_records_total', '').sum();
    expect(delivered.value + dropped + deadLettered.value + handedOver.value + buffered.value).toBe(
      enqueued.value + recovered.value,
    );
  }

  /** As a stop does it: what is open stays. */
  async stop(): Promise<ReturnType<GatheringQueue['abandon']>> {
    this.queue.drain();
    await this.queue.idle();
    await this.queue.halt();
    await this.buffer.spool();
    const left = this.queue.abandon('shutdown');
    this.expectBalance();
    await this.buffer.close();
    return left;
  }
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

describe('rule 26: objects', () => {
  const directories: string[] = [];
  const folder = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-gathering-'));
    directories.push(directory);
    return directory;
  };
  const manifests = (directory: string): string[] => readdirSync(join(directory, 'objects', 's3')).toSorted();

  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  });

  it('are closed when they are large enough, one for each tag, and carry the time of their first record', async () => {
    const run = new Run(folder(), { gather: { bytes: 25_000 } });
    for (const first of [0, 10, 20]) {
      run.write(first);
      run.write(first + 100, { tag: 'other' });
    }
    await run.uploaded(2);
    await run.queue.idle();
    expect(run.sent).toEqual([
      { key: 'app/1000-1', records: numbers(0, 30), retried: false },
      { key: 'other/1100-2', records: numbers(100, 130), retried: false },
    ]);
    expect(run.ledger.delivered.value).toBe(60);
    expect(await run.stop()).toEqual({ dropped: 0, onDisk: 0, gathered: 0 });
  });

  it('are closed when they are old enough', async () => {
    const run = new Run(folder(), { gather: { seconds: 0.05 } });
    run.write(0);
    await run.uploaded(1);
    expect(run.sent[0]?.records).toEqual(numbers(0, 10));
    await run.stop();
  });

  it('take all tags together where the name does not tell them apart', async () => {
    const run = new Run(folder(), { gather: { by: 'all', bytes: 15_000 } });
    run.write(0, { tag: 'a' });
    run.write(10, { tag: 'b' });
    await run.uploaded(1);
    expect(run.sent[0]).toEqual({ key: 'a/1000-1', records: numbers(0, 20), retried: false });
    await run.stop();
  });

  it('lie on disk from the start: memory is free, the source is settled, an answer need not wait', async () => {
    const run = new Run(folder());
    const answered = Promise.withResolvers<boolean>();
    const receipt = new Receipt(answered.resolve);
    run.write(0, { again: false, receipt });
    receipt.release();
    expect(await answered.promise).toBe(true);
    run.write(10);
    await run.buffer.spool();
    await run.buffer.secure(run.source);
    expect(run.memory.total).toBe(0);
    expect(run.source.progress('s3').mark).toBe(200);
    expect(run.queue.state).toMatchObject({
      records: 20,
      bytes: 0,
      diskRecords: 20,
      objects: { open: 1, openRecords: 20, closed: 0 },
    });
    await run.stop();
  });

  it('are read a chunk at a time', async () => {
    const run = new Run(folder());
    for (let first = 0; first < 500; first += 10) run.write(first);
    await run.buffer.secure(run.source);
    run.queue.complete();
    await run.queue.idle();
    expect(run.sent[0]?.records).toEqual(numbers(0, 500));
    expect(run.mostUp).toBeLessThan(60_000);
    expect(run.memory.total).toBe(0);
    await run.stop();
  });

  it('stay open across a stop, and are gathered on by the next run', async () => {
    const directory = folder();
    const first = new Run(directory);
    first.write(0);
    expect(await first.stop()).toEqual({ dropped: 0, onDisk: 10, gathered: 10 });
    expect(first.sent).toEqual([]);
    const second = new Run(directory);
    second.write(10);
    second.queue.complete();
    await second.queue.idle();
    expect(second.sent).toEqual([{ key: 'app/1000-1', records: numbers(0, 20), retried: false }]);
    await second.stop();
  });

  it('what waited for longer than an object may makes one object at a start, not one for each chunk', async () => {
    const directory = folder();
    const first = new Run(directory);
    for (const n of [0, 10, 20]) first.write(n);
    await first.stop();
    const second = new Run(directory, { gather: { seconds: 0 } });
    await second.uploaded(1);
    expect(second.sent[0]?.records).toEqual(numbers(0, 30));
    await second.stop();
  });

  it('are sent again as they were, whatever came meanwhile', async () => {
    const run = new Run(folder());
    const attempts: Sent[] = [];
    run.answer = (sent) => {
      attempts.push(sent);
      if (attempts.length < 3) throw new RetryableError('down');
      return {};
    };
    run.write(0);
    run.queue.complete();
    run.write(10);
    await run.queue.idle();
    expect(attempts).toEqual(
      [false, true, true].map((retried) => ({ key: 'app/1000-1', records: numbers(0, 10), retried })),
    );
    expect(run.ledger.retries.value).toBe(2);
    expect(run.log.lines.map(({ message }) => message)).toContain('The destination works again');
    await run.stop();
  });

  it('a crash between upload and acknowledgement sends the same object under the same name', async () => {
    const directory = folder();
    const first = new Run(directory);
    const arrived = Promise.withResolvers<void>();
    first.answer = () => {
      arrived.resolve();
      return new Promise<Outcome>(() => {});
    };
    first.write(0);
    first.write(10);
    first.queue.complete();
    await arrived.promise;
    expect(manifests(directory)).toEqual(['0000000001.json']);
    // The first run is gone without a word: another one opens what is on disk.
    const second = new Run(directory);
    second.write(20);
    await second.uploaded(1);
    second.queue.complete();
    await second.queue.idle();
    expect(second.sent).toEqual([
      { key: 'app/1000-1', records: numbers(0, 20), retried: true },
      { key: 'app/1020-2', records: numbers(20, 30), retried: false },
    ]);
    expect(second.ledger.recovered.value).toBe(20);
    await second.stop();
    await first.buffer.close();
  });

  it('one write acknowledges an object: a crash right behind it sends nothing twice', async () => {
    const directory = folder();
    const first = new Run(directory);
    const arrived = Promise.withResolvers<void>();
    first.answer = () => {
      arrived.resolve();
      return new Promise<Outcome>(() => {});
    };
    first.write(0);
    first.queue.complete();
    await arrived.promise;
    const objects = join(directory, 'objects', 's3');
    renameSync(join(objects, '0000000001.json'), join(objects, '0000000001.done'));
    const second = new Run(directory);
    expect(second.queue.state.records).toBe(0);
    expect(second.ledger.recovered.value).toBe(0);
    second.write(10);
    second.queue.complete();
    await second.queue.idle();
    // Sequences go on.
    expect(second.sent).toEqual([{ key: 'app/1010-2', records: numbers(10, 20), retried: false }]);
    await second.stop();
    expect(manifests(directory)).toEqual(['0000000002.done']);
    await first.buffer.close();
  });

  it('a damaged manifest costs a second copy, not a record', async () => {
    const directory = folder();
    const first = new Run(directory);
    first.answer = () => {
      throw new RetryableError('down');
    };
    first.write(0);
    first.queue.complete();
    while (first.ledger.retries.value === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await first.queue.halt();
    await first.buffer.close();
    writeFileSync(join(directory, 'objects', 's3', '0000000001.json'), '{"version":1');
    const second = new Run(directory);
    second.queue.complete();
    await second.queue.idle();
    expect(second.sent.map(({ records }) => records)).toEqual([numbers(0, 10)]);
    expect(second.log.lines.some(({ message }) => message.includes('is damaged'))).toBe(true);
    await second.stop();
  });

  it('records that can never be written there become dead letters, the rest is delivered', async () => {
    const directory = folder();
    const run = new Run(directory);
    run.answer = () => ({
      rejected: [
        { index: 3, reason: 'no' },
        { index: 12, reason: 'no' },
      ],
    });
    run.write(0);
    run.write(10);
    run.queue.complete();
    await run.queue.idle();
    run.expectBalance();
    expect(run.letters.letters.map(({ n }) => n)).toEqual([3, 12]);
    expect(run.ledger.delivered.value).toBe(18);
    expect(run.source.progress('s3').mark).toBe(200);
    await run.stop();
    expect(new Run(directory).queue.state.records).toBe(0);
  });

  it('at the retry limit all of an object becomes dead letters', async () => {
    const run = new Run(folder(), { maxRetries: 1 });
    run.answer = () => {
      throw new RetryableError('down');
    };
    run.write(0);
    run.write(10);
    run.queue.complete();
    await run.queue.idle();
    expect(run.letters.letters.map(({ n }) => n)).toEqual(numbers(0, 20));
    expect(run.ledger.retriesExhausted.value).toBe(1);
    run.expectBalance();
    await run.stop();
  });

  it('an output that has not read an object to its end has not sent it', async () => {
    const run = new Run(folder());
    let calls = 0;
    const { output } = run.queue;
    const upload = output.upload.bind(output);
    output.upload = async (object, signal) => {
      calls++;
      if (calls > 1) return upload(object, signal);
      for await (const slice of object.slices()) if (slice.length > 0) break;
      return {};
    };
    run.write(0);
    run.write(10);
    run.queue.complete();
    await run.queue.idle();
    expect(run.sent.map(({ records }) => records)).toEqual([numbers(0, 20)]);
    expect(run.memory.total).toBe(0);
    await run.stop();
  });

  it('when the disk takes no more the largest object is closed early', async () => {
    const run = new Run(folder());
    run.limit = 45_000;
    run.write(0);
    for (const first of [10, 20, 30]) run.write(first, { tag: 'large' });
    await run.buffer.secure(run.source);
    run.write(40);
    await run.uploaded(1);
    expect(run.sent[0]?.records).toEqual(numbers(10, 40));
    run.limit = Number.POSITIVE_INFINITY;
    await run.buffer.tick();
    await run.stop();
  });

  it('without a disk objects are gathered in memory, up to a limit, and sent at a stop', async () => {
    const run = new Run(undefined, { memoryLimit: 25_000 });
    expect(run.log.lines[0]?.message).toContain('There is no disk buffer');
    for (const first of [0, 10, 20, 30]) run.write(first);
    await run.uploaded(1);
    expect(run.sent[0]?.records).toEqual(numbers(0, 30));
    expect(await run.stop()).toEqual({ dropped: 0, onDisk: 0, gathered: 0 });
    expect(run.sent[1]?.records).toEqual(numbers(30, 40));
    expect(run.memory.total).toBe(0);
  });

  it('a tag that fails lets the others go on, in its own order', async () => {
    const run = new Run(folder());
    let failures = 3;
    run.answer = ({ key }) => {
      if (key.startsWith('bad/') && failures-- > 0) throw new RetryableError('denied');
      return {};
    };
    run.write(0, { tag: 'bad' });
    run.queue.complete();
    run.write(10, { tag: 'bad' });
    run.write(20, { tag: 'good' });
    run.queue.complete();
    await run.queue.idle();
    expect(run.sent.map(({ key }) => key)).toEqual(['good/1020-3', 'bad/1000-1', 'bad/1010-2']);
    await run.stop();
  });

  it('gives an upload up at a stop; the next run sends it', async () => {
    const directory = folder();
    const run = new Run(directory);
    const began = Promise.withResolvers<void>();
    run.answer = (_sent, signal) => {
      began.resolve();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    run.write(0);
    run.queue.complete();
    await began.promise;
    const halted = run.queue.halt();
    // Its manifest says what was under way.
    expect(run.queue.inDoubt).toBe(0);
    run.queue.abort();
    await halted;
    expect(run.queue.abandon('shutdown')).toEqual({ dropped: 0, onDisk: 10, gathered: 0 });
    await run.buffer.close();
    const next = new Run(directory);
    await next.uploaded(1);
    expect(next.sent[0]).toEqual({ key: 'app/1000-1', records: numbers(0, 10), retried: true });
    await next.stop();
  });

  it('drop_oldest drops a whole object that waits, then the oldest of what is gathered', async () => {
    const run = new Run(folder());
    run.answer = () => {
      throw new RetryableError('down');
    };
    run.write(0);
    run.write(10);
    run.queue.complete();
    while (run.ledger.retries.value < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await run.queue.halt();
    run.write(20);
    run.write(30);
    await run.buffer.secure(run.source);
    expect(run.queue.dropOldest(1)).toBeGreaterThan(20_000);
    expect(run.queue.dropOldest(1)).toBeGreaterThan(10_000);
    run.expectBalance();
    expect(run.queue.state).toMatchObject({ records: 10, objects: { open: 1, openRecords: 10, closed: 0 } });
    await run.buffer.close();
  });

  it('what a dead output still needs of an uploaded object counts for storage.overflow.limit, and not before', async () => {
    const run = new Run(folder());
    const overflow = (): number => run.buffer.openDisk()?.overflowBytes ?? 0;
    const dead = new Destination(
      () => {
        throw new RetryableError('down');
      },
      { stateName: 'dead' },
    );
    run.others.push(dead.queue);
    run.write(0);
    run.write(10, { tag: 'other' });
    await run.buffer.secure(run.source);
    expect(overflow()).toBe(0);
    run.queue.complete();
    await run.queue.idle();
    expect(overflow()).toBeGreaterThan(20_000);
    expect(run.buffer.openDisk()?.bytesFor('s3')).toBe(0);
    run.overflowLimit = 25_000;
    run.write(20);
    expect(run.buffer.problem).toContain('storage.overflow.limit');
    run.queue.complete();
    await run.queue.idle();
    expect(run.sent.map(({ records }) => records)).toEqual([
      numbers(0, 10),
      numbers(10, 20),
      numbers(20, 30),
    ]);
    await dead.queue.halt();
    await run.buffer.close();
  });

  it('an output that is called something else takes its objects along', async () => {
    const directory = folder();
    const run = new Run(directory);
    run.answer = () => {
      throw new RetryableError('down');
    };
    run.write(0);
    run.queue.complete();
    while (run.ledger.retries.value === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await run.queue.halt();
    run.buffer.rename(new Map([['s3', 'archive']]));
    await run.buffer.close();
    const [file = ''] = readdirSync(join(directory, 'objects', 'archive'));
    expect(JSON.parse(readFileSync(join(directory, 'objects', 'archive', file), 'utf8'))).toMatchObject({
      sequence: 1,
      plan: { key: 'app/1000-1' },
      records: 10,
    });
    expect(readdirSync(join(directory, 'objects'))).toEqual(['archive']);
  });
});
