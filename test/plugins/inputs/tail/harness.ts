/** A tail input over real files: what it emits is collected line by line, settled or kept back, and it can be stopped or killed. */
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
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

/** A batch on its way to the output; as `src/delivery/flight.ts`, and as small as can be. */
class Sent {
  readonly source: Source;
  readonly batchStart: number;
  private readonly events: readonly TailEvent[];
  private readonly open: Set<TailEvent>;

  constructor(source: Source, events: readonly TailEvent[]) {
    this.source = source;
    this.events = events;
    this.open = new Set(events.filter(({ skipped }) => !skipped));
    this.batchStart = (events[0] as TailEvent).start;
  }

  get landed(): boolean {
    return this.open.size === 0;
  }

  firstOpen(): number {
    return this.events.find((event) => this.open.has(event))?.start ?? Number.POSITIVE_INFINITY;
  }

  *settledRanges(): Iterable<Range> {
    let from: number | undefined;
    for (const [index, event] of this.events.entries()) {
      if (this.open.has(event)) {
        from = undefined;
        continue;
      }
      from ??= event.start;
      const next = this.events[index + 1];
      if (next === undefined || this.open.has(next)) yield [from, event.stop];
    }
  }

  /** Settles those that are picked; returns them. */
  settle(pick: (event: TailEvent) => boolean = () => true): TailEvent[] {
    const picked = [...this.open].filter(pick);
    for (const event of picked) this.open.delete(event);
    if (picked.length > 0) this.source.touch();
    return picked;
  }
}

/** An output that has what it was given, or keeps it open until told. */
class Sink {
  open = false;
  /** What it acknowledged. */
  readonly delivered: TailEvent[] = [];
  private held: Sent[] = [];

  take(batch: Batch, events: readonly TailEvent[]): void {
    const { source } = batch;
    if (source === undefined) return;
    const { stop } = events.at(-1) as TailEvent;
    if (events.some(({ skipped }) => !skipped)) {
      const sent = new Sent(source, events);
      source.launch('out', sent);
      this.held.push(sent);
      if (this.open) this.settleIf((each) => each === sent);
    }
    source.advance(stop);
  }

  private settleIf(pick: (sent: Sent) => boolean): void {
    for (const sent of this.held) if (pick(sent)) this.delivered.push(...sent.settle());
    this.held = this.held.filter(({ landed }) => !landed);
  }

  settle(): void {
    this.settleIf(() => true);
  }

  /** Settles what `pick` says of the batches that it has, by their place. */
  settleSome(pick: (index: number) => boolean): void {
    const all = this.held;
    this.settleIf((sent) => pick(all.indexOf(sent)));
  }

  /** Settles what `pick` says of the records that it has, by their place: as an output that is answered record by record. */
  settleRecords(pick: (index: number) => boolean): void {
    let index = 0;
    for (const sent of this.held) this.delivered.push(...sent.settle(() => pick(index++)));
    this.held = this.held.filter(({ landed }) => !landed);
  }

  settleOf(source: Source): void {
    this.settleIf((sent) => sent.source === source);
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
      largestReservation: () => ({ bytes: Number.POSITIVE_INFINITY, option: 'service.memory_limit' }),
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

  /** Whether the file at a path is followed there. */
  knows(path: string): boolean {
    const inode = String(statSync(path).ino);
    const real = realpathSync(path);
    const known = this.state?.forInput('tail').load() ?? [];
    return known.some(({ identity }) => identity.inode === inode && identity.realPath === real);
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
