/** Makes running plugins out of a checked definition. Nothing is started here. */
import { createHash } from 'node:crypto';
import type { MemoryBuffer } from '../buffer/memory.ts';
import type {
  FilterInstance,
  InputInstance,
  OutputInstance,
  ParserInstance,
  PipelineDefinition,
  RetryLimit,
} from '../config/definition.ts';
import type { DeadLetters } from '../delivery/dead-letters.ts';
import { OutputLedger } from '../delivery/ledger.ts';
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import type { GatheringOptions } from '../delivery/gather/options.ts';
import { GatheringQueue } from '../delivery/gather/queue.ts';
import { OutputQueue } from '../delivery/queue.ts';
import type { QueueOptions } from '../delivery/queue-options.ts';
import { Undeliverable } from '../delivery/undeliverable.ts';
import type { UndeliverableOptions } from '../delivery/undeliverable.ts';
import type { OutputTraits, Parser, PluginContext } from '../plugin.ts';
import { compileMatch } from '../routing/match.ts';
import type { StateStore } from '../state/store.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics, Series } from '../telemetry/metrics.ts';
import type { ChunkBuffer } from './chunk-buffer.ts';
import type { FilterStage } from './filters.ts';
import { InputLedger } from './input-ledger.ts';
import { InputRunner } from './input-runner.ts';
import type { Flow } from './input-runner.ts';

/** One attempt carries no more, unless the plugin says otherwise. Bytes. */
const DEFAULT_ATTEMPT_BYTES = 2_000_000;
/** Where records have no bytes to count, an attempt carries this many: they must not pile up until the next flush. */
const DEFAULT_ATTEMPT_RECORDS = 10_000;

/** Of the memory limit, what is gathered for objects where there is no disk. */
const GATHERED_SHARE = 0.5;

/** An attempt that takes longer is given up: outputs have shorter times of their own. Milliseconds. */
const ATTEMPT_TIMEOUT_MS = 300_000;

/** What plugins are built with; the same for the whole life of an agent. */
export interface Surroundings {
  log: Logger;
  metrics: Metrics;
  memory: MemoryBuffer;
  buffer: ChunkBuffer;
  state: StateStore | undefined;
  deadLetters: DeadLetters | undefined;
  flow: () => Flow;
  /** Whether inputs that say nothing themselves have the disk buffer. */
  serviceFilesystem: () => boolean;
  /** Hands records to another output, by its name. */
  handOver: (output: string) => NonNullable<UndeliverableOptions['handOver']>;
  /** An input is done for good. */
  onFinished: () => void;
  agentVersion: string;
}

type AnyInstance = InputInstance | FilterInstance | OutputInstance;

/** A hash of all that makes an instance what it is: its own text and the parsers that it names. */
export function fingerprintOf(instance: AnyInstance, definition: PipelineDefinition): string {
  const hash = createHash('sha256').update(instance.fingerprint);
  if (instance.definition.kind !== 'output') {
    const { parserOptions = [] } = instance.definition;
    const names = new Set(parserOptions.flatMap((option) => instance.options[option]));
    if (instance.definition.kind === 'input') {
      for (const name of instance.definition.defaultParsers?.(instance.options) ?? []) names.add(name);
    }
    const any = instance.definition.anyParser?.(instance.options) ?? false;
    for (const parser of definition.parsers) {
      if (any || names.has(parser.name)) hash.update(parser.fingerprint);
    }
  }
  return hash.digest('hex');
}

function contextFor(
  kind: 'input' | 'filter' | 'output',
  instance: AnyInstance,
  parsers: readonly ParserInstance[],
  { log, metrics, agentVersion }: Surroundings,
): PluginContext {
  const own = log.child(
    { [kind]: instance.name },
    { level: instance.logLevel, suppressSeconds: instance.logSuppressInterval },
  );
  const findParser = (name: string): Parser | undefined => {
    const found = parsers.find((parser) => parser.name === name);
    return found?.definition.create(found.options, { name, log: own });
  };
  return {
    name: instance.name,
    log: own,
    metrics,
    entries: instance.entries,
    cwd: process.cwd(),
    agentVersion,
    findParser,
    parser(name): Parser {
      const found = findParser(name);
      if (found === undefined) throw new Error(`Looking up parser "${name}": there is none of that name.`);
      return found;
    },
  };
}

export async function buildInput(
  instance: InputInstance,
  definition: PipelineDefinition,
  surroundings: Surroundings,
): Promise<InputRunner> {
  const { metrics, memory, buffer, state, flow, onFinished, serviceFilesystem } = surroundings;
  const runner = new InputRunner({
    instance,
    fingerprint: fingerprintOf(instance, definition),
    ledger: new InputLedger(metrics, instance.name),
    account: memory.open(
      instance.name,
      instance.memBufLimit,
      instance.pauseOnChunks ? definition.service.storage.maxChunksUp : undefined,
    ),
    memory,
    flow,
    serviceFilesystem,
  });
  const db = instance.options['db'];
  runner.input = await instance.definition.create(instance.options, {
    ...contextFor('input', instance, definition.parsers, surroundings),
    tag: instance.tag,
    store: state?.forInput(instance.stateName, typeof db === 'string' ? { file: db } : {}),
    reserve: (bytes) => runner.reserve(bytes),
    largestReservation: () => runner.largestReservation(),
    keep: (bytes) => runner.keep(bytes),
    secure: (source) => buffer.secure(source),
    drop(reason, count) {
      runner.ledger.read.value += count;
      runner.ledger.drop(reason, count);
    },
    finished(options) {
      runner.finished = { exit: options?.exit ?? false, code: options?.code ?? 0 };
      onFinished();
    },
  });
  return runner;
}

export async function buildFilter(
  instance: FilterInstance,
  definition: PipelineDefinition,
  surroundings: Surroundings,
): Promise<FilterStage> {
  const context = contextFor('filter', instance, definition.parsers, surroundings);
  return {
    name: instance.name,
    filter: await instance.definition.create(instance.options, context),
    matches: compileMatch(instance.match, instance.matchRegex),
    log: context.log,
  };
}

function maxRetries(limit: RetryLimit): number {
  if (limit === 'no_limits') return Number.POSITIVE_INFINITY;
  return limit === 'no_retries' ? 0 : limit;
}

/** How the queue has to treat this instance of an output. */
export function traitsOf({ definition, options }: OutputInstance): OutputTraits {
  return definition.traits?.(options) ?? {};
}

/** An output with all that its queue has to know: one that gathers objects, or one that does not. */
export type BuiltOutput = QueueOptions | GatheringOptions;

export async function buildOutput(
  instance: OutputInstance,
  definition: PipelineDefinition,
  surroundings: Surroundings,
): Promise<BuiltOutput> {
  const { metrics, memory, buffer, state, deadLetters, handOver } = surroundings;
  const context = contextFor('output', instance, definition.parsers, surroundings);
  const output = await instance.definition.create(instance.options, context);
  const traits = traitsOf(instance);
  const { service } = definition;
  const ledger = new OutputLedger(metrics, instance.name);
  const common = {
    name: instance.name,
    stateName: instance.stateName,
    order: traits.order ?? 'tag',
    workers: Math.max(1, instance.workers ?? traits.workers ?? 1),
    maxRetries: maxRetries(instance.retryLimit),
    maxAgeMs: instance.retryMaxAge * 1000 || Number.POSITIVE_INFINITY,
    attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
    backoff: { base: service.schedulerBase, cap: service.schedulerCap },
    ledger,
    log: context.log,
    undeliverable: new Undeliverable({
      name: instance.name,
      ledger,
      log: context.log,
      deadLetters,
      handOver: instance.onFailure === undefined ? undefined : handOver(instance.onFailure),
    }),
    writeMarks() {
      buffer.writeProgress();
      state?.writeMarks();
    },
    afterAttempt: () => buffer.afterAttempt(),
  };
  if ('upload' in output) {
    const { gather } = traits;
    if (gather === undefined) throw new Error(`Output ${instance.name} does not say how it gathers objects.`);
    const objects = (kind: 'open' | 'closed'): Series =>
      metrics
        .gauge('tailrace_output_objects', 'Objects that an output gathers: open, or closed and to be sent.')
        .labels({ name: instance.name, state: kind });
    return {
      ...common,
      output,
      gather,
      charge: (bytes) => memory.chargeBeside(bytes),
      shelf: buffer.shelf(instance.stateName, context.log),
      memoryLimit: memory.limit * GATHERED_SHARE,
      series: {
        open: objects('open'),
        closed: objects('closed'),
        uploaded: metrics
          .counter('tailrace_output_objects_uploaded_total', 'Objects that the destination has.')
          .labels({ name: instance.name }),
      },
    };
  }
  return {
    ...common,
    output,
    limits: {
      bytes: traits.limits?.bytes ?? DEFAULT_ATTEMPT_BYTES,
      records:
        traits.limits?.records ??
        (traits.payload === 'none' ? DEFAULT_ATTEMPT_RECORDS : Number.POSITIVE_INFINITY),
    },
    flushMs: service.flush * 1000,
    charge: (bytes) => (bytes > 0 ? memory.charge(bytes) : memory.release(-bytes)),
    extract: (flight) => buffer.rest(flight),
    mayLoad: (bytes) => buffer.mayLoad(bytes),
  };
}

/** The queue of an output. */
export function openQueue(options: BuiltOutput): DeliveryQueue {
  return 'gather' in options ? new GatheringQueue(options) : new OutputQueue(options);
}

/** A queue goes on with another output, or with other options for it. Throws when that is of the other kind. */
export function exchangeOutput(queue: DeliveryQueue, options: BuiltOutput): void {
  if (queue instanceof GatheringQueue && 'gather' in options) queue.exchange(options);
  else if (queue instanceof OutputQueue && !('gather' in options)) queue.exchange(options);
  else throw new Error(`Output ${options.name} cannot take over a queue of the other kind.`);
}

/** What the state has to know of the outputs. */
export function outputNames(definition: PipelineDefinition): { stateName: string; plugin: string }[] {
  return definition.outputs.map(({ stateName, definition: { name } }) => ({ stateName, plugin: name }));
}
