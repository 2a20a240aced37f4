/** What the tests of plugins share: options read as from a configuration, a context, and slices of records. */
import { Batch } from '../../src/event/batch.ts';
import { Chunk, encodeBatch, Slice } from '../../src/event/chunk.ts';
import { parseExact } from '../../src/event/json.ts';
import type { LogRecord } from '../../src/event/record.ts';
import type {
  ObjectOutput,
  OptionFields,
  OptionValues,
  OutputContext,
  OutputDefinition,
  Output,
} from '../../src/plugin.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLog } from '../delivery/harness.ts';

/** Values of options as a configuration would give them: texts by key, defaults for the rest. */
export function optionsOf<F extends OptionFields>(
  fields: F,
  written: Record<string, string | string[]>,
): OptionValues<F> {
  const values: Record<string, unknown> = {};
  for (const [key, { spec }] of Object.entries(fields)) {
    const given = written[key];
    if (given === undefined) {
      values[key] = spec.defaultValue;
      continue;
    }
    const reading = spec.read([given].flat());
    if (!reading.ok) throw new Error(`${key}: ${reading.problems.map(({ message }) => message).join(', ')}`);
    values[key] = reading.value;
  }
  for (const key of Object.keys(written)) if (!(key in fields)) throw new Error(`There is no option ${key}.`);
  return values as OptionValues<F>;
}

export interface TestContext extends OutputContext {
  readonly log: ReturnType<typeof recordingLog>;
}

export function contextIn(cwd: string): TestContext {
  return {
    name: 'out',
    log: recordingLog(),
    metrics: new Metrics(),
    entries: [],
    cwd,
    agentVersion: '1.2.3',
    parser: (name) => {
      throw new Error(`There is no parser ${name}.`);
    },
    findParser: () => undefined,
  };
}

/** Creates an output from options as written. */
export async function createOutput<F extends OptionFields>(
  definition: OutputDefinition<F>,
  written: Record<string, string | string[]>,
  context: OutputContext,
): Promise<Output> {
  const output = await definition.create(optionsOf(definition.options, written), context);
  if (!('deliver' in output)) throw new Error(`${definition.name} gathers objects.`);
  return output;
}

/** Creates an output that gathers objects. */
export async function createObjectOutput<F extends OptionFields>(
  definition: OutputDefinition<F>,
  written: Record<string, string | string[]>,
  context: OutputContext,
): Promise<ObjectOutput> {
  const output = await definition.create(optionsOf(definition.options, written), context);
  if (!('upload' in output)) throw new Error(`${definition.name} gathers no objects.`);
  return output;
}

/** The problems that a definition's check finds. */
export function problemsOf<F extends OptionFields>(
  definition: OutputDefinition<F>,
  written: Record<string, string | string[]>,
): string[] {
  const problems = definition.check?.(optionsOf(definition.options, written), []) ?? [];
  return problems.map(({ key, message }) => `${key} ${message}`);
}

export interface Event {
  /** A record, or its JSON text. */
  record: LogRecord | string;
  seconds?: number;
  nanos?: number;
  metadata?: LogRecord;
}

/** A slice over a whole chunk of these events. */
export function sliceOf(tag: string, events: readonly (Event | string)[]): Slice {
  const batch = new Batch();
  batch.input = 'in';
  for (const event of events) {
    const {
      record,
      seconds = 1_700_000_000,
      nanos = 500_000_000,
      metadata,
    } = typeof event === 'string' ? { record: event } : event;
    if (metadata !== undefined) {
      batch.metadata ??= [];
      batch.metadata[batch.length] = metadata;
    }
    if (typeof record === 'string') batch.push(undefined, record, seconds, nanos);
    else batch.push(record, undefined, seconds, nanos);
  }
  return new Slice(encodeBatch(tag, batch, true, 0), 0, batch.length);
}

/** A part of a slice's chunk, so that `from` is not 0. */
export function partOf(slice: Slice, from: number, to: number): Slice {
  return new Slice(slice.chunk, from, to);
}

/** A signal that never fires. */
export function noAbort(): AbortSignal {
  return new AbortController().signal;
}

export { Chunk, parseExact };
