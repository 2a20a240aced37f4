/** What the tests of small inputs share: a caller of `emit` that takes in what the contract promises to it, and a context. */
import { EventEmitter, once } from 'node:events';
import type { Batch, Emit, InputContext, LogRecord, Parser } from '../../../src/plugin.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { recordingLog } from '../../delivery/harness.ts';

export interface CollectedEvent {
  tag: string;
  record: unknown;
  seconds: number;
  nanos: number;
  metadata: LogRecord | undefined;
}

/** Collects events; while it is `full`, there is room for nothing more and `emit` returns a promise. */
export class Collector {
  readonly events: CollectedEvent[] = [];
  /** Sizes of the batches. */
  readonly batches: number[] = [];
  private readonly changes = new EventEmitter();
  private room: PromiseWithResolvers<void> | undefined;

  readonly emit: Emit = (tag, batch) => {
    this.take(tag, batch);
    this.changes.emit('change');
    return this.room?.promise;
  };

  private take(tag: string, batch: Batch): void {
    this.batches.push(batch.length);
    for (let index = 0; index < batch.length; index++) {
      this.events.push({
        tag,
        record: JSON.parse(batch.json(index)) as unknown,
        seconds: batch.seconds[index] as number,
        nanos: batch.nanos[index] as number,
        metadata: batch.metadata?.[index],
      });
    }
  }

  get records(): unknown[] {
    return this.events.map(({ record }) => record);
  }

  /** Resolves when this many events came. */
  async reached(count: number): Promise<void> {
    while (this.events.length < count) await once(this.changes, 'change');
  }

  fill(): void {
    this.room ??= Promise.withResolvers<void>();
  }

  drain(): void {
    this.room?.resolve();
    this.room = undefined;
  }
}

export interface TestInputContext extends InputContext {
  readonly log: ReturnType<typeof recordingLog>;
  /** Resolves with what `finished` was called with. */
  readonly done: Promise<{ exit?: boolean }>;
}

export function inputContext(parsers: readonly Parser[] = []): TestInputContext {
  const { promise, resolve } = Promise.withResolvers<{ exit?: boolean }>();
  const metrics = new Metrics();
  return {
    name: 'input.0',
    tag: 'test',
    log: recordingLog(),
    metrics,
    entries: [],
    cwd: '.',
    agentVersion: '1.2.3',
    store: undefined,
    done: promise,
    findParser: (name) => parsers.find((candidate) => candidate.name === name),
    parser(name) {
      const parser = parsers.find((candidate) => candidate.name === name);
      if (parser === undefined) throw new Error(`There is no parser ${name}.`);
      return parser;
    },
    keep: () => true,
    reserve: () => ({ release: () => {} }),
    largestReservation: () => ({ bytes: Number.POSITIVE_INFINITY, option: 'service.memory_limit' }),
    secure: async () => false,
    drop(reason) {
      throw new Error(`Nothing should be dropped: ${reason}.`);
    },
    finished: (options = {}) => resolve(options),
  };
}
