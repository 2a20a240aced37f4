/** A queue around a scripted destination: what a test says of each attempt is what the output answers. */
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import type { Slice } from '../../src/event/chunk.ts';
import { allDelivered } from '../../src/event/outcome.ts';
import type { Outcome } from '../../src/event/outcome.ts';
import { Source } from '../../src/event/source.ts';
import { MemoryBuffer } from '../../src/buffer/memory.ts';
import type { DeadLetters } from '../../src/delivery/dead-letters.ts';
import { HeldChunk, ID_STEP } from '../../src/delivery/held-chunk.ts';
import type { Keeper } from '../../src/delivery/held-chunk.ts';
import { OutputLedger } from '../../src/delivery/ledger.ts';
import { OutputQueue } from '../../src/delivery/queue.ts';
import type { QueueOptions } from '../../src/delivery/queue-options.ts';
import { Undeliverable } from '../../src/delivery/undeliverable.ts';
import type { Logger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

/** A logger that keeps its lines. */
export function recordingLog(): Logger & {
  lines: { level: string; fields: Record<string, unknown>; message: string }[];
} {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) => {
    lines.push({ level, fields, message });
  };
  const log = {
    lines,
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: () => log,
  };
  return log;
}

type Answer = (attempt: {
  /** `tag:n` of every record. */
  records: string[];
  slices: readonly Slice[];
  signal: AbortSignal;
}) => Outcome | Promise<Outcome>;

export class Destination {
  readonly attempts: string[][] = [];
  readonly delivered: string[] = [];
  readonly memory = new MemoryBuffer(1_000_000_000);
  readonly metrics = new Metrics();
  readonly log = recordingLog();
  readonly source = new Source('source', 0);
  readonly queue: OutputQueue;
  readonly options: QueueOptions;
  readonly ledger: OutputLedger;
  marksWritten = 0;
  inFlight = 0;
  mostInFlight = 0;
  private written = 0;

  readonly keeper: Keeper = {
    charge: (_held, bytes) => (bytes > 0 ? this.memory.charge(bytes) : this.memory.release(-bytes)),
    gone: () => {},
  };
  private nextId = 0;

  constructor(
    answer: Answer,
    {
      deadLetters,
      ...options
    }: Partial<QueueOptions> & { deadLetters?: Pick<DeadLetters, 'write'> | undefined } = {},
  ) {
    this.ledger = new OutputLedger(this.metrics, 'out');
    this.options = {
      name: 'out',
      stateName: 'out',
      output: {
        deliver: async (slices, signal) => {
          const records = slices.flatMap((slice) =>
            Array.from({ length: slice.length }, (_, i) => `${slice.tag}:${String(slice.record(i)['n'])}`),
          );
          this.attempts.push(records);
          this.inFlight++;
          this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
          try {
            const outcome = await answer({ records, slices, signal });
            const missing = new Set([
              ...(outcome.retry ?? []),
              ...(outcome.rejected ?? []).map((r) => r.index),
            ]);
            this.delivered.push(...records.filter((_, index) => !missing.has(index)));
            return outcome;
          } finally {
            this.inFlight--;
          }
        },
      },
      order: 'tag',
      workers: 1,
      limits: { bytes: 1_000_000, records: 1000 },
      flushMs: 0,
      maxRetries: Number.POSITIVE_INFINITY,
      maxAgeMs: Number.POSITIVE_INFINITY,
      attemptTimeoutMs: 60_000,
      backoff: { base: 0.1, cap: 0.1 },
      ledger: this.ledger,
      log: this.log,
      undeliverable: new Undeliverable({
        name: 'out',
        ledger: this.ledger,
        log: this.log,
        deadLetters,
        handOver: undefined,
      }),
      writeMarks: () => this.marksWritten++,
      charge: (bytes) => (bytes > 0 ? this.memory.charge(bytes) : this.memory.release(-bytes)),
      extract: (flight) =>
        HeldChunk.ofMemory(flight.held.restId() ?? 0, flight.chunk.extract(flight.openRanges), this.keeper),
      mayLoad: () => true,
      afterAttempt: () => {},
      ...options,
    };
    this.queue = new OutputQueue(this.options);
  }

  /** Enqueues `count` records `{n}` of a tag. */
  write(tag: string, count: number, padding = ''): void {
    const batch = new Batch();
    batch.source = this.source;
    batch.base = this.source.emitted;
    for (let i = 0; i < count; i++) {
      batch.push({ n: this.written++, padding }, undefined, 1, 0, i * 10, i * 10 + 10);
    }
    const chunk = encodeBatch(tag, batch, true, performance.now());
    this.nextId += ID_STEP;
    const held = HeldChunk.ofMemory(this.nextId, chunk, this.keeper);
    const flight = this.queue.enqueue(held, [[0, count]]);
    this.source.launch('out', flight);
    this.source.advance(batch.base + count * 10);
  }

  /** The output's equation of rule 30. */
  get balance(): { in: number; out: number } {
    const { enqueued, recovered, delivered, deadLettered, handedOver, buffered } = this.ledger;
    const dropped = this.metrics.counter('tailrace_output_dropped_records_total', '').sum();
    return {
      in: enqueued.value + recovered.value,
      out: delivered.value + dropped + deadLettered.value + handedOver.value + buffered.value,
    };
  }
}

/** Dead letters in memory; the file format has tests of its own. */
export function keptLetters(): {
  letters: { n: unknown; status: number | undefined; reason: string }[];
} & Pick<DeadLetters, 'write'> {
  const letters: { n: unknown; status: number | undefined; reason: string }[] = [];
  return {
    letters,
    write(_output, written) {
      for (const { slice, status, reason } of written)
        letters.push({ n: slice.record(0)['n'], status, reason });
      return true;
    },
  };
}

export { allDelivered };
