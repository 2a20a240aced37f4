/**
 * Fluent Bit's old `multiline` mode: a record begins with each line that `parser_firstline` takes. What follows is appended to its last
 * field, unless one of the `parser_N` takes the line: then its fields become fields of the record.
 *
 * Source: fluent-bit 5.1.1, plugins/in_tail/tail_multiline.c.
 */
import { setKey } from '../../../../src/plugin.ts';
import type { LogRecord, ParsedEvent, Parser, Value } from '../../../../src/plugin.ts';
import type { Assembly } from './assembly.ts';
import { HeldRecord } from './held.ts';
import type { Content } from './held.ts';
import type { BlockLines, Joiner, JoinPlan } from './joiner.ts';

export interface FirstLineOptions {
  first: Parser;
  /** The `parser_N`, in their order. */
  others: readonly Parser[];
  /** Key of a line that belongs to nothing. */
  key: string;
  waitMs: number;
  /** Records whose time is older are left out. Milliseconds; 0 for none. */
  ignoreOlderMs: number;
  /** Such a record was left out. */
  onIgnored: () => void;
}

export class FirstLinePlan implements JoinPlan {
  readonly waitMs: number;
  private readonly options: FirstLineOptions;

  constructor(options: FirstLineOptions) {
    this.options = options;
    this.waitMs = options.waitMs;
  }

  takes(key: string): boolean {
    return key === KEY;
  }

  joiner(lines: BlockLines): Joiner {
    return new FirstLineJoiner(lines, this.options);
  }
}

const KEY = 'multiline';
/** Noted of files in which a record is being left out. */
const SKIPPING = 'multiline skipping';

/** The fields of a record, and the lines that follow the last of them. */
class Fields implements Content {
  readonly endsByWaiting = true;
  private readonly record: LogRecord;
  private readonly seconds: number;
  private readonly nanos: number;
  /** What the field that was last added is made of; undefined where it is no text. */
  private last: { key: string; texts: string[] } | undefined;

  constructor({ record, seconds, nanos }: ParsedEvent) {
    this.record = record;
    this.seconds = seconds;
    this.nanos = nanos;
    this.last = lastText(record);
  }

  /** False when there is no text to append to. */
  append(line: string): boolean {
    this.last?.texts.push(line);
    return this.last !== undefined;
  }

  merge(record: LogRecord): void {
    this.join();
    for (const [key, value] of Object.entries(record)) setKey(this.record, key, value);
    this.last = lastText(record);
  }

  private join(): void {
    if (this.last !== undefined) setKey(this.record, this.last.key, this.last.texts.join('\n'));
  }

  finish(): { record: LogRecord; seconds: number; nanos: number } {
    this.join();
    const { record, seconds, nanos } = this;
    return { record, seconds, nanos };
  }
}

function lastText(record: LogRecord): { key: string; texts: string[] } | undefined {
  const key = Object.keys(record).at(-1);
  const value: Value | undefined = key === undefined ? undefined : record[key];
  return key === undefined || typeof value !== 'string' ? undefined : { key, texts: [value] };
}

class FirstLineJoiner implements Joiner {
  readonly shape = undefined;
  private readonly lines: BlockLines;
  private readonly options: FirstLineOptions;

  constructor(lines: BlockLines, options: FirstLineOptions) {
    this.lines = lines;
    this.options = options;
  }

  take(out: Assembly, start: number, stop: number, next: number, metadata: LogRecord | undefined): void {
    const { options } = this;
    const { notes } = out.join;
    const line = this.lines.copy(start, stop);
    const held = out.join.find(KEY) as HeldRecord<Fields> | undefined;
    const first = parse(options.first, line);
    if (first !== undefined) {
      if (held !== undefined) out.conclude(held);
      notes.delete(SKIPPING);
      if (this.isOld(first)) {
        notes.add(SKIPPING);
        options.onIgnored();
        return;
      }
      // The time of a record without one is that of its first line.
      if (Number.isNaN(first.seconds)) {
        first.seconds = out.seconds;
        first.nanos = out.nanos;
      }
      this.begin(out, first, start, stop, next, metadata);
      return;
    }
    if (notes.has(SKIPPING)) return;
    for (const other of options.others) {
      const event = parse(other, line);
      if (event === undefined) continue;
      if (held === undefined) {
        // Fluent Bit loses it.
        out.record(event.record, event.text, event.seconds, event.nanos, start, next, metadata);
        return;
      }
      held.content.merge(event.record);
      this.extend(out, held, start, stop, next, metadata);
      return;
    }
    if (held?.content.append(line) === true) this.extend(out, held, start, stop, next, metadata);
    else out.record({ [options.key]: line }, undefined, Number.NaN, 0, start, next, metadata);
  }

  private isOld({ seconds }: ParsedEvent): boolean {
    const { ignoreOlderMs } = this.options;
    return ignoreOlderMs > 0 && seconds * 1000 < Date.now() - ignoreOlderMs;
  }

  private begin(
    out: Assembly,
    event: ParsedEvent,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): void {
    const { source, base } = out;
    const place = { source, start: base + start, stop: base + next };
    const held = new HeldRecord(KEY, new Fields(event), place, { isRest: false, isContiguous: true });
    held.metadata = metadata;
    out.hold(held, stop - start);
  }

  private extend(
    out: Assembly,
    held: HeldRecord,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): void {
    const { source, base } = out;
    held.extend(source, base + start, base + next);
    if (metadata !== undefined) held.metadata = { ...held.metadata, ...metadata };
    out.hold(held, stop - start);
  }
}

function parse(parser: Parser, line: string): ParsedEvent | undefined {
  const event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  return parser.parse(line, event) ? event : undefined;
}
