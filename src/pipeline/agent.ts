/**
 * The agent: builds the pipeline from its definition, starts it, keeps its positions, reloads it, and drains it.
 *
 * start   outputs, filters, inputs are made, then the inputs are started
 * reload  (DELIVERY.md, rule 29) unchanged inputs and outputs stay the same running objects; see reload.ts
 * stop    (rule 28) inputs stop, filters flush, queues send for half of `grace`, what is in flight has the rest
 */
import { join } from 'node:path';
import { MemoryBuffer } from '../buffer/memory.ts';
import type { OutputInstance, PipelineDefinition } from '../config/definition.ts';
import { DeadLetters } from '../delivery/dead-letters.ts';
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import { Arrivals } from '../event/arrivals.ts';
import { compileMatch } from '../routing/match.ts';
import type { DirectoryLock } from '../state/lock.ts';
import { findHeirs } from '../state/take-over.ts';
import { openState } from '../state/store.ts';
import type { StateStore } from '../state/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import {
  buildFilter,
  buildInput,
  buildOutput,
  fingerprintOf,
  openQueue,
  outputNames,
  traitsOf,
} from './build.ts';
import type { Surroundings } from './build.ts';
import type { ChunkBuffer } from './chunk-buffer.ts';
import type { BufferedOutput } from './disk-room.ts';
import { Deadline, SAVING_SHARE } from './deadline.ts';
import { FilterChain } from './filters.ts';
import type { FilterStage } from './filters.ts';
import { ABORT_MS, haltQueues } from './halt.ts';
import { InputLedger } from './input-ledger.ts';
import type { Flow, InputRunner } from './input-runner.ts';
import { bufferDirectory, openBuffer, requireDisk } from './open-buffer.ts';
import { reloadPipeline } from './reload.ts';
import type { ReloadResult } from './reload.ts';
import { Router } from './router.ts';
import { readiness, statusOf } from './status.ts';
import type { AgentStatus, Readiness } from './status.ts';
import { StuckWatch } from './stuck.ts';
import { summarize } from './summary.ts';
import type { LeftOver, StopSummary } from './summary.ts';

/** What writing the rest to disk may take at a stop. Milliseconds. */
const SPOOL_MS = 1500;
/** How often positions are synced and holding filters are asked to let go. Milliseconds. */
const TICK_MS = 1000;
/** Of `grace`, after which filters wait for nothing any more. */
const HURRY_SHARE = 0.15;

export interface AgentOptions {
  definition: PipelineDefinition;
  log: Logger;
  metrics: Metrics;
  /** Directory for positions and dead letters; undefined for none. */
  stateDirectory: string | undefined;
  /** Loads the configuration anew; throws when it has errors. */
  load: () => Promise<PipelineDefinition>;
  version: string;
}

/** A running output. */
export interface OutputRunner {
  instance: OutputInstance;
  fingerprint: string;
  queue: DeliveryQueue;
}

export class Agent {
  definition: PipelineDefinition;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly memory: MemoryBuffer;
  readonly buffer: ChunkBuffer;
  inputs: InputRunner[] = [];
  outputs: OutputRunner[] = [];
  /** Outputs that a reload took away and that send what they still have; each with the end of that. */
  readonly leaving = new Map<OutputRunner, Promise<void>>();
  flow: Flow;
  surroundings: Surroundings;
  /**
   * Resolves when every input that ends by itself has ended and everything is delivered; never, if there is no such input. With what the
   * process is to exit with: of several inputs that say something, the first.
   */
  readonly done: Promise<number>;
  /** Successful reloads. */
  reloads = 0;
  private readonly options: AgentOptions;
  private readonly state: StateStore | undefined;
  private bufferLock: DirectoryLock | undefined;
  private readonly stuck: StuckWatch;
  private readonly arrivals = new Arrivals();
  private resolveDone: (code: number) => void = () => undefined;
  private startedAt = performance.now();
  private running = false;
  private ticker: NodeJS.Timeout | undefined;
  private stopping: Promise<StopSummary> | undefined;
  private readonly deadline: Deadline[] = [];
  private reloading: Promise<ReloadResult> | undefined;
  private ticking: Promise<void> | undefined;

  /** Opens the state directory. Throws StateLockedError when another agent holds it. */
  constructor(options: AgentOptions) {
    const { definition, log, metrics, stateDirectory } = options;
    this.options = options;
    this.definition = definition;
    this.log = log;
    this.metrics = metrics;
    this.stuck = new StuckWatch(log);
    this.memory = new MemoryBuffer(definition.service.memoryLimit);
    this.memory.onPressure = () => this.relieve();
    this.state =
      stateDirectory === undefined
        ? undefined
        : openState({ directory: stateDirectory, outputs: outputNames(definition), log, metrics });
    this.buffer = this.openBuffer();
    this.surroundings = {
      log,
      metrics,
      memory: this.memory,
      buffer: this.buffer,
      state: this.state,
      deadLetters:
        stateDirectory === undefined
          ? undefined
          : new DeadLetters({
              directory: join(stateDirectory, 'dead-letters'),
              log,
              metrics,
              limit: definition.service.deadLettersLimit,
              maxAgeMs: definition.service.deadLettersMaxAge * 1000 || Number.POSITIVE_INFINITY,
            }),
      flow: () => this.flow,
      serviceFilesystem: () => this.definition.service.storage.filesystem,
      handOver: (output) => (parcels) => {
        const target = this.outputs.find(({ instance }) => instance.name === output);
        return target === undefined ? undefined : this.buffer.handOver(parcels, target.queue);
      },
      onFinished: () => void this.checkDone(),
      agentVersion: options.version,
    };
    this.flow = { filters: this.chain([]), router: this.route([]) };
    this.done = new Promise((resolve) => {
      this.resolveDone = resolve;
    });
    this.observe();
  }

  private openBuffer(): ChunkBuffer {
    const { definition, log, metrics, stateDirectory } = this.options;
    const directory = bufferDirectory(definition, stateDirectory);
    try {
      const { buffer, lock } = openBuffer({
        definition,
        directory,
        // The folder below the state path is held by the lock on that.
        lock: stateDirectory === undefined || definition.service.storage.path !== undefined,
        memory: this.memory,
        log,
        metrics,
        limits: () => this.definition.service.storage,
        outputs: () => this.bufferedOutputs(),
        account: (input) => this.runner(input)?.account,
      });
      this.bufferLock = lock;
      this.state?.useRecovered(buffer.origins);
      return buffer;
    } catch (error) {
      this.closeStores();
      throw error;
    }
  }

  /** Throws when an input of a new configuration wants a disk buffer and there is no place for one. */
  requireDisk(definition: PipelineDefinition): void {
    requireDisk(definition, bufferDirectory(this.options.definition, this.options.stateDirectory));
  }

  private closeStores(): void {
    this.state?.close();
    this.bufferLock?.close();
  }

  /** All queues, also of outputs that a reload took away, as the buffer sees them. */
  private bufferedOutputs(): BufferedOutput[] {
    const { whenFull } = this.definition.service.storage;
    return [...this.outputs, ...this.leaving.keys()].map(({ instance, queue }) => ({
      queue,
      plugin: instance.definition.name,
      diskLimit: instance.diskLimit || Number.POSITIVE_INFINITY,
      whenFull: instance.whenFull ?? whenFull,
    }));
  }

  /** What is on disk for outputs that are gone goes to those that take their place; the rest is reported (rule 7). */
  private adopt(): void {
    const present = new Map(outputNames(this.definition).map(({ stateName, plugin }) => [stateName, plugin]));
    const { buffer } = this;
    const renamed = this.state?.renamed ?? new Map<string, string>();
    buffer.rename(findHeirs(buffer.storedOutputs(), present, renamed, buffer.knownOutputs()));
    buffer.rememberOutputs();
    for (const [output, records] of this.buffer.orphans(present)) {
      this.log.warn(
        { output, records },
        'The disk buffer has records for an output that is not there any more; they stay there until it is back',
      );
    }
  }

  /** Hands outputs what is on disk for them. */
  recover(outputs: readonly OutputRunner[]): void {
    for (const { queue } of outputs) {
      this.buffer.recover(queue, (input, records) => {
        const ledger = this.runner(input)?.ledger ?? new InputLedger(this.metrics, input);
        ledger.recovered.value += records;
        ledger.routed.value += records;
      });
    }
  }

  private runner(name: string): InputRunner | undefined {
    return this.inputs.find((input) => input.name === name);
  }

  /** A filter chain over these stages. */
  chain(stages: readonly FilterStage[]): FilterChain {
    return new FilterChain({
      stages,
      metrics: this.metrics,
      ledgerOf: (input) => this.runner(input)?.ledger,
      charge: (bytes) => (bytes > 0 ? this.memory.charge(bytes) : this.memory.release(-bytes)),
    });
  }

  /** A router over these outputs. */
  route(outputs: readonly OutputRunner[]): Router {
    return new Router(
      outputs.map(({ instance, queue }) => ({
        stateName: instance.stateName,
        queue,
        matches: compileMatch(instance.match, instance.matchRegex),
        wantsBytes: traitsOf(instance).payload !== 'none',
      })),
      this.buffer,
      this.log,
      this.arrivals,
    );
  }

  /** Builds and starts everything. Throws when a plugin cannot be made or an input cannot start; then nothing runs. */
  async start(): Promise<void> {
    this.startedAt = performance.now();
    const { definition, surroundings } = this;
    try {
      for (const instance of definition.outputs) {
        const options = await buildOutput(instance, definition, surroundings);
        const fingerprint = fingerprintOf(instance, definition);
        this.outputs.push({ instance, fingerprint, queue: openQueue(options) });
      }
      const stages: FilterStage[] = [];
      for (const instance of definition.filters)
        stages.push(await buildFilter(instance, definition, surroundings));
      this.flow = { filters: this.chain(stages), router: this.route(this.outputs) };
      for (const instance of definition.inputs) {
        this.inputs.push(await buildInput(instance, definition, surroundings));
      }
      this.adopt();
      this.recover(this.outputs);
      for (const runner of this.inputs) await runner.input?.start(runner.emit);
    } catch (error) {
      await this.stop({ force: true });
      throw error;
    }
    this.running = true;
    this.ticker = setInterval(() => void this.tick(), TICK_MS);
    this.ticker.unref();
    void this.checkDone();
  }

  /** Stops everything within `grace`; a second call, or one with `force`, ends all waits. */
  stop({ force = false }: { force?: boolean } = {}): Promise<StopSummary> {
    const deadline = new Deadline();
    this.deadline.push(deadline);
    if (this.stopping !== undefined || force) for (const each of this.deadline) each.force();
    this.stopping ??= this.shutDown(deadline);
    return this.stopping;
  }

  private async shutDown(deadline: Deadline): Promise<StopSummary> {
    this.running = false;
    clearInterval(this.ticker);
    if (this.reloading !== undefined) await deadline.wait(this.reloading, this.graceMs);
    await this.ticking;
    await this.stopInputs(deadline);
    await deadline.wait(this.flushFilters(), this.graceMs / 2);

    const outputs = [...this.outputs, ...this.leaving.keys()];
    for (const { queue } of outputs) queue.drain();
    await deadline.wait(Promise.all(outputs.map(({ queue }) => queue.idle())), this.graceMs / 2);
    const queues = outputs.map(({ queue }) => queue);
    const inDoubt = await haltQueues(queues, deadline, this.graceMs);
    // What cannot be read again goes to disk, however short the time is (rule 12).
    await new Deadline().wait(this.buffer.spool(), SPOOL_MS);
    const left = outputs.map(({ instance, queue }): LeftOver => {
      const { dropped, onDisk, gathered } = queue.abandon('shutdown');
      return { output: instance.name, inSource: queue.state.records - onDisk, onDisk, gathered, dropped };
    });
    await this.letGo(outputs);
    return this.summary(left, inDoubt, deadline.forced);
  }

  private get graceMs(): number {
    return this.definition.service.grace * 1000;
  }

  private async stopInputs(deadline: Deadline): Promise<void> {
    const over = new AbortController();
    const stops = this.inputs.map(async ({ name, input }) => {
      try {
        await input?.stop(over.signal);
      } catch (error) {
        this.log.error({ input: name, error }, 'The input failed to stop');
      }
    });
    this.memory.releaseAll();
    // Records that are still in a filter when the outputs have stopped would get nowhere.
    const hurry = setTimeout(() => this.flow.filters.hurry(), this.graceMs * HURRY_SHARE);
    await deadline.wait(Promise.all(stops), this.graceMs * SAVING_SHARE);
    over.abort();
    await deadline.wait(Promise.all(stops), this.graceMs / 2);
    await deadline.wait(Promise.all(this.inputs.map((runner) => runner.settle())), this.graceMs / 2);
    clearTimeout(hurry);
    for (const runner of this.inputs) runner.close();
  }

  private async letGo(outputs: readonly OutputRunner[]): Promise<void> {
    this.state?.writeMarks();
    const closing: [string, (() => Promise<void> | void) | undefined][] = [
      ...this.inputs.map(({ name, input }): [string, (() => Promise<void> | void) | undefined] => [
        name,
        () => input?.close?.(),
      ]),
      ...outputs.map(({ instance, queue }): [string, () => Promise<void> | void] => [
        instance.name,
        () => queue.output.close?.(),
      ]),
    ];
    const closed = Promise.all(
      closing.map(async ([plugin, close]) => {
        try {
          await close?.();
        } catch (error) {
          this.log.error({ plugin, error }, 'The plugin failed to close');
        }
      }),
    );
    await new Deadline().wait(closed, ABORT_MS);
    // What inputs gave up as they closed is forgotten.
    this.state?.writeMarks();
    await this.flow.filters.close();
    await new Deadline().wait(this.buffer.close(), SPOOL_MS);
    this.state?.sync();
    this.closeStores();
  }

  private summary(left: readonly LeftOver[], inDoubt: number, forced: boolean): StopSummary {
    const sum = (name: string): number => {
      const family = this.metrics.families.get(name);
      return family !== undefined && 'sum' in family ? family.sum() : 0;
    };
    const filtered = sum('tailrace_filter_dropped_records_total');
    return summarize({
      seconds: (performance.now() - this.startedAt) / 1000,
      read: sum('tailrace_input_read_records_total'),
      delivered: sum('tailrace_output_delivered_records_total'),
      filtered,
      dropped:
        sum('tailrace_input_dropped_records_total') - filtered + sum('tailrace_output_dropped_records_total'),
      deadLettered: sum('tailrace_output_dead_lettered_records_total'),
      left,
      inDoubt,
      forced,
    });
  }

  /** Loads the configuration anew and changes over to it; keeps the running one when anything is wrong. One at a time. */
  reload(): Promise<ReloadResult> {
    if (this.stopping !== undefined) return Promise.resolve({ ok: false, error: 'The agent is stopping.' });
    this.reloading ??= reloadPipeline(this, this.options.load).finally(() => {
      this.reloading = undefined;
    });
    return this.reloading;
  }

  /** True while a reload is under way. */
  get isReloading(): boolean {
    return this.reloading !== undefined;
  }

  /** Everything that filters hold goes on to the outputs. */
  async flushFilters(reason: 'timer' | 'pressure' | 'reload' | 'stop' = 'stop'): Promise<void> {
    const { filters, router } = this.flow;
    if (!filters.holds) return;
    await filters.flush(reason, (tag, batch) => {
      const runner = this.runner(batch.input);
      if (runner !== undefined) router.route(tag, batch, runner, undefined);
    });
  }

  private relieve(): void {
    for (const { queue } of [...this.outputs, ...this.leaving.keys()]) queue.hurry();
    this.buffer.relieve();
    void this.flushFilters('pressure');
  }

  private async tick(): Promise<void> {
    this.stuck.look(this);
    this.state?.writeMarks();
    this.state?.sync();
    void this.buffer.tick();
    this.surroundings.deadLetters?.tick();
    this.ticking ??= this.flushFilters('timer').finally(() => {
      this.ticking = undefined;
    });
    await this.ticking;
  }

  private async checkDone(): Promise<void> {
    if (!this.running) return;
    const finite = this.inputs.filter(
      (runner) => runner.input?.finite === true || runner.finished?.exit === true,
    );
    if (finite.length === 0 || finite.some((runner) => runner.finished === undefined)) return;
    await this.flushFilters('stop');
    for (const { queue } of this.outputs) queue.complete();
    await Promise.all(this.outputs.map(({ queue }) => queue.idle()));
    this.resolveDone(finite.find(({ finished }) => finished?.code !== 0)?.finished?.code ?? 0);
  }

  /** What the agent does, for `/api` and the control socket. */
  status(): AgentStatus {
    return statusOf(this);
  }

  /** Whether everything flows, and what does not. */
  ready(): Readiness {
    return readiness(this, this.running);
  }

  private observe(): void {
    this.metrics.gauge(
      'tailrace_buffer_bytes',
      'Bytes that records take in memory, request bodies included.',
      (family) => {
        family.labels().value = this.memory.total;
      },
    );
    this.metrics
      .gauge('tailrace_buffer_limit_bytes', 'Upper bound of tailrace_buffer_bytes (memory_limit).')
      .labels().value = this.memory.limit;
    this.metrics.gauge(
      'tailrace_input_paused',
      '1 while the input waits for room in the buffer.',
      (family) => {
        for (const { name, account } of this.inputs)
          family.labels({ name }).value = account.pausedAt === undefined ? 0 : 1;
      },
    );
    this.metrics.gauge('tailrace_uptime_seconds', 'Seconds since the agent started.', (family) => {
      family.labels().value = (performance.now() - this.startedAt) / 1000;
    });
  }
}
