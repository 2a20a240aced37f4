/**
 * dummy: makes records by itself, for trying out a pipeline and for load.
 *
 * A sample is `copies` records, all with one time. At more than a hundred samples a second those of ten milliseconds go
 * together. When there is no room the schedule waits, and what was missed is not made up for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Batch,
  boolean,
  defineInput,
  ignored,
  integer,
  isRecord,
  parseExact,
  string,
} from '../../src/plugin.ts';
import type { Emit, Input, InputContext, LogRecord, OptionValues } from '../../src/plugin.ts';
import { JsonStream } from '../shared/json-stream.ts';

const options = {
  dummy: string()
    .default('{"message":"dummy"}')
    .describe('The record, JSON; several maps make several records.'),
  metadata: string().default('{}').describe("The event's metadata, a JSON map."),
  rate: integer({ min: 0 }).default(1).describe('Samples per second; 0 is 1.'),
  interval_sec: integer().default(0).describe('Seconds between samples; wins over `rate`.'),
  interval_nsec: integer().default(0).describe('Nanoseconds between samples, added to `interval_sec`.'),
  samples: integer({ min: 0 }).default(0).describe('Samples to make; 0 is without end.'),
  copies: integer({ min: 1 }).default(1).describe('Times that each sample holds the record.'),
  start_time_sec: integer()
    .default(-1)
    .describe('Unix time at which the clock of the records starts; -1 is now.'),
  start_time_nsec: integer().default(-1).describe('Nanoseconds of that time; -1 is 0.'),
  fixed_timestamp: boolean().default(false).describe('All records have the time of the start.'),
  flush_on_startup: boolean()
    .default(false)
    .describe('The first sample comes at once, not after an interval.'),
  test_hang_on_exit: ignored("it is a switch of Fluent Bit's own tests"),
};

export default defineInput({
  name: 'dummy',
  summary: 'Makes records by itself',
  options,
  example: `inputs:
  - name: dummy
    tag: test
    dummy: '{"message":"hello"}'
    rate: 10`,
  check(values) {
    const problems = [];
    if (readMaps(values.dummy) === undefined) {
      problems.push({
        key: 'dummy',
        message: `"${values.dummy}" is no JSON map: write for example {"message":"dummy"}.`,
      });
    }
    if (readMaps(values.metadata)?.length !== 1) {
      problems.push({
        key: 'metadata',
        message: `"${values.metadata}" is no JSON map: write for example {"env":"test"}.`,
      });
    }
    return problems;
  },
  create(values, context) {
    return new Dummy(values, context);
  },
});

/** The maps of a text as JSON, one line each; undefined when there is none or anything else. */
function readMaps(text: string): string[] | undefined {
  const maps: string[] = [];
  let other = false;
  const stream = new JsonStream(
    {
      value(value) {
        if (isRecord(value)) maps.push(JSON.stringify(value));
        else other = true;
      },
      text() {
        other = true;
      },
    },
    Number.POSITIVE_INFINITY,
  );
  for (const line of text.split('\n')) stream.push(line);
  stream.end();
  return other || maps.length === 0 ? undefined : maps;
}

/** Milliseconds that samples are gathered for. */
const GATHER_MS = 10;
/** Records in one batch. */
const MAX_BATCH = 5000;
/** Records between two turns of the event loop. */
const MAX_TURN = 20_000;
/** Milliseconds that the schedule may be late and still make up for it. */
const MAX_LATE_MS = 1000;

class Dummy implements Input {
  private readonly context: InputContext;
  private readonly texts: readonly string[];
  private readonly metadata: string | undefined;
  private readonly intervalMs: number;
  private readonly samples: number;
  private readonly copies: number;
  private readonly fixed: boolean;
  private readonly atOnce: boolean;
  /** Start of the records' clock, milliseconds; undefined for the wall clock. */
  private readonly epochMs: number | undefined;
  private readonly epochNanos: number;
  private startedMs = 0;
  private readonly stopping = new AbortController();

  constructor(values: OptionValues<typeof options>, context: InputContext) {
    this.context = context;
    this.texts = readMaps(values.dummy) ?? [];
    const [metadata] = readMaps(values.metadata) ?? [];
    this.metadata = metadata === '{}' ? undefined : metadata;
    this.intervalMs = intervalOf(values);
    this.samples = values.samples === 0 ? Number.POSITIVE_INFINITY : values.samples;
    this.copies = values.copies;
    this.fixed = values.fixed_timestamp;
    this.atOnce = values.flush_on_startup;
    const { start_time_sec: seconds, start_time_nsec: nanos } = values;
    this.epochMs = seconds < 0 && nanos < 0 ? undefined : Math.max(seconds, 0) * 1000;
    this.epochNanos = Math.max(nanos, 0);
  }

  start(emit: Emit): void {
    this.startedMs = Date.now();
    void this.run(emit);
  }

  stop(): void {
    this.stopping.abort();
  }

  private async run(emit: Emit): Promise<void> {
    const { signal } = this.stopping;
    const perTurn = Math.max(1, Math.floor(MAX_TURN / (this.copies * this.texts.length)));
    let made = 0;
    let next = performance.now() + (this.atOnce ? 0 : this.intervalMs);
    while (made < this.samples) {
      const wait = Math.max(
        next - performance.now(),
        this.intervalMs < GATHER_MS && made > 0 ? GATHER_MS : 0,
      );
      await sleep(wait, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const now = performance.now();
      if (now - next > MAX_LATE_MS) next = now;
      const due = 1 + Math.max(0, Math.floor((now - next) / this.intervalMs));
      const count = Math.min(due, perTurn, this.samples - made);
      await this.make(emit, count);
      if (signal.aborted) return;
      made += count;
      next += count * this.intervalMs;
    }
    this.context.finished();
  }

  /** Hands over a number of samples, in batches. */
  private async make(emit: Emit, samples: number): Promise<void> {
    const [seconds, nanos] = this.time();
    const total = samples * this.copies * this.texts.length;
    for (let made = 0; made < total;) {
      const batch = new Batch();
      const end = Math.min(made + MAX_BATCH, total);
      if (this.metadata !== undefined) batch.metadata = [];
      for (; made < end; made++) {
        // Texts, not objects: a filter may change each record by itself.
        batch.push(undefined, this.texts[made % this.texts.length], seconds, nanos);
        batch.metadata?.push(parseExact(this.metadata as string) as LogRecord);
      }
      await emit(this.context.tag, batch);
      if (this.stopping.signal.aborted) return;
    }
  }

  private time(): [seconds: number, nanos: number] {
    const now = this.fixed ? this.startedMs : Date.now();
    const ms = this.epochMs === undefined ? now : this.epochMs + now - this.startedMs;
    const seconds = Math.floor(ms / 1000);
    const nanos = (ms - seconds * 1000) * 1e6 + this.epochNanos;
    const carry = Math.floor(nanos / 1e9);
    return [seconds + carry, nanos - carry * 1e9];
  }
}

/** Milliseconds between samples. A negative interval counts as none, as in Fluent Bit. */
function intervalOf(values: OptionValues<typeof options>): number {
  const { interval_sec: seconds, interval_nsec: nanos, rate } = values;
  if (seconds >= 0 && nanos >= 0 && seconds + nanos > 0) return seconds * 1000 + nanos / 1e6;
  return 1000 / Math.max(rate, 1);
}
