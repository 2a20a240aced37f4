/**
 * Lines that a container runtime wrote, in the formats of CRI (`multiline.parser: cri`) and of Docker's json-file driver (`docker`), as
 * Fluent Bit's parsers of these names take them. A line too long for the runtime comes in parts, one stream's between those of the other.
 *
 * With several formats the line itself decides, in the order in which they are named. One that is of none goes on as it is, and
 * what is held of the file goes before it.
 */
import { compileTimeFormat, CriText, isRecord, isTooDeep, parseExact } from '../../../../src/plugin.ts';
import type { LineShape, LogRecord, Parser, TimeFormat } from '../../../../src/plugin.ts';
import type { Assembly } from './assembly.ts';
import { HeldRecord } from './held.ts';
import type { Content } from './held.ts';
import type { BlockLines, Joiner, JoinPlan } from './joiner.ts';
import { isLinesKey, keepLines, LineJoiner } from './container-lines.ts';
import type { FirstLines } from './container-lines.ts';

export type ContainerFormat = 'cri' | 'docker';

/** What Fluent Bit's parser takes beyond what is ever written: anything may stand where the time does. */
const LOOSE_CRI = /^([^\n]+?) (stdout|stderr) ([FP]) ([^\n]*)$/;
const KEY = 'log';
const OPENING_BRACE = 0x7b;
const LINE_FEED = 10;

export class ContainerPlan implements JoinPlan {
  readonly waitMs: number;
  private readonly formats: readonly ContainerFormat[];
  private readonly onUnmatched: () => void;
  private readonly firstLines: FirstLines | undefined;

  /** `onUnmatched` is called for each line that is of no format. */
  constructor(
    formats: readonly ContainerFormat[],
    waitMs: number,
    onUnmatched: () => void,
    firstLines?: FirstLines,
  ) {
    this.formats = formats;
    this.waitMs = waitMs;
    this.onUnmatched = onUnmatched;
    this.firstLines = firstLines;
  }

  /** The same, which also joins the lines of a stream to records, each from a line on that the parser of the stream takes. */
  withFirstLines(firstLines: FirstLines): ContainerPlan {
    return new ContainerPlan(this.formats, this.waitMs, this.onUnmatched, firstLines);
  }

  joiner(lines: BlockLines): Joiner {
    return new ContainerJoiner(lines, this.formats, this.onUnmatched, this.firstLines);
  }

  takes(key: string): boolean {
    return isPartsKey(key) || isLinesKey(key, this.firstLines);
  }
}

const DOCKER = 'docker ';

function isPartsKey(key: string): boolean {
  return key === 'stdout' || key === 'stderr' || key.startsWith(DOCKER);
}

/** The record of the first part, under whose `log` the texts of all stand. */
export class Parts implements Content {
  readonly endsByWaiting = false;
  readonly texts: string[];
  private readonly record: LogRecord;
  private readonly seconds: number;
  private readonly nanos: number;

  constructor(record: LogRecord, seconds: number, nanos: number) {
    this.record = record;
    this.texts = [record[KEY] as string];
    this.seconds = seconds;
    this.nanos = nanos;
  }

  finish(): { record: LogRecord; seconds: number; nanos: number } {
    const { record, seconds, nanos } = this;
    record[KEY] = this.texts.join('');
    return { record, seconds, nanos };
  }
}

/** A line that a runtime wrote: all of one that the container wrote, or a part of it. */
export interface Part {
  /** Format and stream. */
  key: string;
  /** Takes the first lines of records, where the lines of the stream are joined. */
  first: Parser | undefined;
  partial: boolean;
  text: string;
  record: () => LogRecord;
  seconds: number;
  nanos: number;
  start: number;
  stop: number;
  next: number;
  metadata: LogRecord | undefined;
}

class ContainerJoiner implements Joiner {
  readonly shape: LineShape | undefined;
  private readonly lines: BlockLines;
  private readonly formats: readonly ContainerFormat[];
  private readonly cri: CriText;
  private readonly looseTime = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L%z', { strict: false });
  /** Docker's times are all in UTC. */
  private readonly dockerTime = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L');
  private readonly looseDockerTime = compileTimeFormat('%Y-%m-%dT%H:%M:%S.%L', { strict: false });
  private readonly onUnmatched: () => void;
  /** Where lines are joined, beyond parts of lines. */
  private readonly whole: LineJoiner | undefined;

  constructor(
    lines: BlockLines,
    formats: readonly ContainerFormat[],
    onUnmatched: () => void,
    firstLines: FirstLines | undefined,
  ) {
    this.lines = lines;
    this.whole = firstLines && new LineJoiner(firstLines);
    this.formats = formats;
    this.onUnmatched = onUnmatched;
    this.cri = new CriText(lines);
    this.shape = this.cri;
  }

  take(out: Assembly, start: number, stop: number, next: number, metadata: LogRecord | undefined): void {
    for (const format of this.formats) {
      const taken =
        format === 'cri'
          ? this.takeCri(out, start, stop, next, metadata)
          : this.takeDocker(out, start, stop, next, metadata);
      if (taken) return;
    }
    for (const held of out.join.held) out.release(held, 'interrupted');
    // As in Fluent Bit, a line without a character only comes between.
    if (stop === start) return;
    this.onUnmatched();
    out.record({ [KEY]: this.lines.slice(start, stop) }, undefined, Number.NaN, 0, start, next, metadata);
  }

  private takeCri(
    out: Assembly,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): boolean {
    const { cri, lines } = this;
    if (lines.head === undefined || !cri.read(start, stop))
      return this.takeLooseCri(out, start, stop, next, metadata);
    const first = this.whole?.firstLineOf(cri.stream);
    if (!cri.partial && !out.join.busy && metadata === undefined && first === undefined) {
      out.line(cri, start, stop, next);
      return true;
    }
    const { stream, partial, textAt, seconds, nanos } = cri;
    // Of its own: a slice would keep the block.
    const own = partial || first !== undefined;
    const text = own ? lines.copy(textAt, stop) : lines.slice(textAt, stop);
    const time = own ? lines.copy(start, cri.timeEnd) : lines.slice(start, cri.timeEnd);
    const record = (): LogRecord => ({ time, stream, _p: partial ? 'P' : 'F', log: text });
    this.join(out, {
      key: stream,
      first,
      partial,
      text,
      record,
      seconds,
      nanos,
      start,
      stop,
      next,
      metadata,
    });
    return true;
  }

  private takeLooseCri(
    out: Assembly,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): boolean {
    const line = this.lines.copy(start, stop);
    const [, time, stream, flag, text] = LOOSE_CRI.exec(line) ?? [];
    if (time === undefined || stream === undefined || flag === undefined || text === undefined) return false;
    const { seconds, nanos } = readTime(this.looseTime, time);
    const record = (): LogRecord => ({ time, stream, _p: flag, log: text });
    const partial = flag === 'P';
    const first = this.whole?.firstLineOf(stream);
    this.join(out, {
      key: stream,
      first,
      partial,
      text,
      record,
      seconds,
      nanos,
      start,
      stop,
      next,
      metadata,
    });
    return true;
  }

  private takeDocker(
    out: Assembly,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): boolean {
    const { lines } = this;
    if (lines.head !== undefined && lines.head.charCodeAt(start) !== OPENING_BRACE) return false;
    const line = lines.slice(start, stop);
    const value = parseLine(line);
    if (value === undefined) return false;
    const text = value[KEY];
    if (typeof text !== 'string') return false;
    const { stream, time } = value;
    const { seconds, nanos } =
      typeof time === 'string' ? this.readDockerTime(time) : { seconds: Number.NaN, nanos: 0 };
    const partial = text.charCodeAt(text.length - 1) !== LINE_FEED;
    const first = this.whole?.firstLineOf(stream);
    if (!partial && !out.join.busy && first === undefined) {
      out.record(value, isPlain(line) ? line : undefined, seconds, nanos, start, next, metadata);
      return true;
    }
    const key = `${DOCKER}${typeof stream === 'string' ? stream : ''}`;
    const record = (): LogRecord => parseExact(line) as LogRecord;
    this.join(out, { key, first, partial, text, record, seconds, nanos, start, stop, next, metadata });
    return true;
  }

  private readDockerTime(time: string): { seconds: number; nanos: number } {
    const { dockerTime, looseDockerTime } = this;
    return dockerTime.parse(time) ? dockerTime : readTime(looseDockerTime, time);
  }

  private join(out: Assembly, part: Part): void {
    const { key, partial, text, seconds, nanos, start, stop, next, metadata } = part;
    const { join, source, base } = out;
    const held = join.find(key) as HeldRecord<Parts> | undefined;
    if (!partial && this.whole?.take(out, part, held) === true) return;
    if (held !== undefined) {
      held.content.texts.push(text);
      if (metadata !== undefined) held.metadata = { ...held.metadata, ...metadata };
      if (!partial) {
        out.complete(held, start, next);
        return;
      }
      held.extend(source, base + start, base + next);
      keepLines(held, join);
      out.hold(held, stop - start);
      return;
    }
    const isRest = join.isBroken(key);
    if (partial) {
      const parts = new HeldRecord(
        key,
        new Parts(part.record(), seconds, nanos),
        { source, start: base + start, stop: base + next },
        { isRest, isContiguous: false },
      );
      parts.metadata = metadata;
      keepLines(parts, join);
      out.hold(parts, stop - start);
    } else if (isRest) {
      out.restOf(key, part.record(), undefined, seconds, nanos, start, next, metadata);
    } else out.record(part.record(), undefined, seconds, nanos, start, next, metadata);
  }
}

/** A time by a format, or none. */
function readTime(format: TimeFormat, text: string): { seconds: number; nanos: number } {
  return format.parse(text) ? format : { seconds: Number.NaN, nanos: 0 };
}

function parseLine(line: string): LogRecord | undefined {
  if (isTooDeep(line)) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a line can be kept as the text of its record: an object from end to end, on one line. */
function isPlain(line: string): boolean {
  return (
    line.charCodeAt(0) === OPENING_BRACE &&
    line.charCodeAt(line.length - 1) === 0x7d &&
    !line.includes('\r') &&
    !line.includes('\n')
  );
}
