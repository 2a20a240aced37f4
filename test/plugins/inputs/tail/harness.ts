/** A tail input over real files: what it emits is collected line by line, settled or kept back, and it can be stopped or killed. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import tailInput from '../../../../plugins/inputs/tail.ts';
import type {
  Batch,
  Emit,
  Input,
  InputDefinition,
  LogRecord,
  Parser,
  Source,
} from '../../../../src/plugin.ts';
import type { Range } from '../../../../src/event/ranges.ts';
import { openState } from '../../../../src/state/store.ts';
import type { StateStore } from '../../../../src/state/store.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { recordingLog } from '../../../delivery/harness.ts';
import { optionsOf } from '../../../contract/support.ts';

export interface TailEvent {
  tag: string;
  record: LogRecord;
  metadata: LogRecord | undefined;
  source: string;
  start: number;
  stop: number;
  /** The output had acknowledged it before a restart: it is not sent again. */
  skipped: boolean;
}

/** An output that has what it was given, or keeps it open until told. */
class Sink {
  open = false;
  /** What it acknowledged. */
  readonly delivered: TailEvent[] = [];
  private readonly held: { source: Source; land: () => void }[] = [];

  take(batch: Batch, events: readonly TailEvent[]): void {
    const { source, base } = batch;
    if (source === undefined) return;
    if (events.every(({ skipped }) => skipped)) {
      source.advance(base + (batch.stops[batch.length - 1] ?? 0));
      return;
    }
    const from = base + (batch.starts[0] ?? 0);
    const to = base + (batch.stops[batch.length - 1] ?? 0);
    let landed = this.open;
    source.launch('out', {
      batchStart: from,
      get landed() {
        return landed;
      },
      firstOpen: () => (landed ? Number.POSITIVE_INFINITY : from),
      settledRanges: (): Range[] => (landed ? [[from, to]] : []),
    });
    const land = (): void => {
      landed = true;
      this.delivered.push(...events.filter(({ skipped }) => !skipped));
      source.touch();
    };
    if (landed) land();
    else this.held.push({ source, land });
    source.advance(to);
  }

  settle(): void {
    for (const { land } of this.held.splice(0)) land();
  }

  /** Settles what `pick` says of what it has, by its place. */
  settleSome(pick: (index: number) => boolean): void {
    const all = this.held.splice(0);
    all.forEach((each, index) => {
      if (pick(index)) each.land();
      else this.held.push(each);
    });
  }

  settleOf(source: Source): void {
    for (const each of this.held) if (each.source === source) each.land();
  }
}

export interface TailOptions {
  [key: string]: unknown;
  path: string;
}

export interface Surroundings {
  /** Directory of the state; none: `state_path: off`. */
  state?: string | undefined;
  tag?: string;
  parser?: Parser;
  /** By name. */
  parsers?: Record<string, Parser>;
  /** What is emitted stays unacknowledged until `settle`. */
  keepBack?: boolean;
  /** There is no room until `drain`; `always`: after it there is none for the next batch. */
  full?: boolean | 'always';
  /** What is emitted reaches the output only when there is room, as behind a filter that takes its time. */
  late?: boolean;
  /** Whether the disk takes what is secured; called each time. By default there is no disk. */
  disk?: () => boolean;
  /** File of its own (`db`). */
  db?: string;
  /** Another input that follows files. */
  definition?: InputDefinition;
}

export class Tail {
  readonly events: TailEvent[] = [];
  readonly drops: Record<string, number> = {};
  /** Bytes held of records that are not complete, and how many may be. */
  kept = 0;
  mayKeep = Number.POSITIVE_INFINITY;
  /** Ids of the sources that were to be secured, in the order of the calls. */
  readonly secured: string[] = [];
  readonly log = recordingLog();
  readonly metrics = new Metrics();
  /** Resolves when the input says that it is done. */
  readonly done: Promise<void>;
  readonly sink = new Sink();
  private readonly changes = new EventEmitter();
  private readonly state: StateStore | undefined;
  private input: Input | undefined;
  private room: PromiseWithResolvers<void> | undefined;
  private finished: () => void = () => undefined;
  private stopped = false;
  private readonly alwaysFull: boolean;
  private readonly late: boolean;

  constructor({ state, keepBack = false, full = false, late = false }: Surroundings) {
    this.late = late;
    this.sink.open = !keepBack;
    if (full !== false) this.room = Promise.withResolvers();
    this.alwaysFull = full === 'always';
    const { log, metrics } = this;
    const outputs = [{ stateName: 'out', plugin: 'null' }];
    this.state = state === undefined ? undefined : openState({ directory: state, outputs, log, metrics });
    this.done = new Promise((resolve) => {
      this.finished = resolve;
    });
  }

  async start(
    options: TailOptions,
    { tag = 'test', parser, parsers, db, definition = tailInput, disk = () => false }: Surroundings,
  ): Promise<void> {
    const values = optionsOf(definition.options, options as Record<string, string>);
    this.input = await definition.create(values, {
      name: 'tail.0',
      tag,
      log: this.log,
      metrics: this.metrics,
      entries: [],
      cwd: '/nowhere',
      agentVersion: '1.2.3',
      store: this.state?.forInput('tail', db === undefined ? {} : { file: db }),
      parser: (each) => (parsers?.[each] ?? parser) as Parser,
      findParser: (each) => parsers?.[each] ?? parser,
      keep: (bytes) => {
        this.kept += bytes;
        return this.kept <= this.mayKeep;
      },
      reserve: () => ({ release: () => {} }),
      secure: async (source) => {
        this.secured.push(source.id);
        const taken = disk();
        if (taken) this.sink.settleOf(source);
        this.changes.emit('change');
        return taken;
      },
      drop: (reason, count) => {
        this.drops[reason] = (this.drops[reason] ?? 0) + count;
        this.changes.emit('change');
      },
      finished: () => this.finished(),
    });
    await this.input.start(this.emit);
  }

  private readonly emit: Emit = (tag, batch) => {
    const events = Array.from({ length: batch.length }, (_, index): TailEvent => {
      const start = batch.base + (batch.starts[index] as number);
      const stop = batch.base + (batch.stops[index] as number);
      return {
        tag,
        record: JSON.parse(batch.json(index)) as LogRecord,
        metadata: batch.metadata?.[index],
        source: batch.source?.id ?? '',
        start,
        stop,
        skipped: batch.source?.wasSettled('out', start, stop) === true,
      };
    });
    this.events.push(...events);
    this.changes.emit('change');
    const room = this.room?.promise;
    if (this.late && room !== undefined) return room.then(() => this.sink.take(batch, events));
    this.sink.take(batch, events);
    return room;
  };

  get lines(): unknown[] {
    return this.events.map(({ record }) => record['log']);
  }

  /** Resolves when something holds that every event may change. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      const timer = setTimeout(() => this.changes.emit('change'), 20);
      await once(this.changes, 'change');
      clearTimeout(timer);
    }
  }

  /** Resolves with the lines when there are so many. */
  async reached(count: number): Promise<unknown[]> {
    await this.until(() => this.events.length >= count);
    return this.lines;
  }

  /** Resolves when everything there is to read was read. */
  async idle(): Promise<void> {
    await this.until(() => this.metric('file_lag_bytes') === 0);
  }

  metric(term: string, labels: Record<string, string> = {}): number {
    const family = this.metrics.families.get(`tailrace_input_${term}`);
    if (family === undefined || !('sum' in family)) return 0;
    family.collect?.();
    return family.sum(labels);
  }

  /** The same of all sources, by the order in which they were found. */
  get positions(): number[] {
    return (this.state?.forInput('tail').load() ?? []).map(({ source }) => source.position());
  }

  drain(): void {
    this.room?.resolve();
    this.room = this.alwaysFull ? Promise.withResolvers() : undefined;
  }

  /** From the next batch on there is no room, until {@link drain}. */
  fill(): void {
    this.room ??= Promise.withResolvers();
  }

  /** Writes the marks, as an output does after each response. */
  writeMarks(): void {
    this.state?.writeMarks();
  }

  /** Sources in the state. */
  get remembered(): number {
    return this.state?.forInput('tail').load().length ?? 0;
  }

  /** Bytes that the fingerprint of the only source covers. */
  get fingerprintLength(): number | undefined {
    return this.state?.forInput('tail').load()[0]?.identity.fingerprintLength;
  }

  /** Where reading the only source would go on. */
  get position(): number | undefined {
    return this.state?.forInput('tail').load()[0]?.source.position();
  }

  /** Ends as a clean stop does. */
  async stop(over?: AbortSignal): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    // As the agent does: what waits is let go once the input knows that it shall stop.
    const stopping = this.input?.stop(over);
    this.drain();
    await stopping;
    this.state?.writeMarks();
    await this.input?.close?.();
    this.state?.writeMarks();
    this.state?.close();
  }

  /** Ends as after SIGKILL: nothing more is written. */
  async kill(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.state?.close();
    this.drain();
    await this.input?.stop();
    await this.input?.close?.();
  }
}

/** Starts a tail input; it ends with the test at the latest. */
export async function tail(options: TailOptions, surroundings: Surroundings = {}): Promise<Tail> {
  const running = new Tail(surroundings);
  onTestFinished(() => running.stop());
  await running.start({ rotate_wait: '0.1', ...options }, surroundings);
  return running;
}

/** A directory that goes with the test. */
export function workspace(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-tail-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** `count` numbered lines with a word in front. */
export function numbered(word: string, count: number, from = 0): string {
  return Array.from({ length: count }, (_, index) => `${word} ${from + index}\n`).join('');
}

/** The same, without their ends. */
export function expected(word: string, count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `${word} ${from + index}`);
}

/** What the check of the definition finds. */
export function problems(options: Record<string, string>): string[] {
  const found = tailInput.check?.(optionsOf(tailInput.options, options), []) ?? [];
  return found.map(({ key, message }) => `${key} ${message}`);
}
