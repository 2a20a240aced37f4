/**
 * Joins the lines of a container to records: by stream, one record from each line on that the parser of the stream takes.
 *
 *   S1: first line   S2: follows   E1: of the other stream   S3: follows   S4: first line      record: S1 S2 S3
 *
 * The lines are whole: parts of the runtime's were joined before. What comes before any first line goes on as it is. What comes when
 * the record before it went on already (it waited too long, or grew too large) is joined to a record of its own, up to the next first line.
 */
import type { LogRecord, ParsedEvent, Parser, Source } from '../../../../src/plugin.ts';
import type { Assembly } from './assembly.ts';
import type { Part, Parts } from './containers.ts';
import { HeldRecord } from './held.ts';
import type { Content, FileJoin } from './held.ts';

/** By stream, what takes the first line of a record; undefined where each line is one. */
export interface FirstLines {
  stdout: Parser | undefined;
  stderr: Parser | undefined;
}

const KEY = 'log';
const PREFIX = 'lines ';

/** The parser of a stream. A line that names none has one where both streams have the same. */
function firstLineOf({ stdout, stderr }: FirstLines, stream: unknown): Parser | undefined {
  if (stream === 'stdout') return stdout;
  if (stream === 'stderr') return stderr;
  return stdout === stderr ? stdout : undefined;
}

/** Whether the records that are held under a key are of a stream whose lines are joined. */
export function isLinesKey(key: string, firstLines: FirstLines | undefined): boolean {
  if (firstLines === undefined || !key.startsWith(PREFIX)) return false;
  return firstLineOf(firstLines, /std(?:out|err)$/.exec(key)?.[0]) !== undefined;
}

/** The record of the first line, under whose `log` the texts of all stand. */
class Lines implements Content {
  readonly endsByWaiting = true;
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
    const { record, texts, seconds, nanos } = this;
    const last = texts.pop() as string;
    // Those of Docker have their line feed.
    record[KEY] = texts.map((text) => (text.endsWith('\n') ? text : `${text}\n`)).join('') + last;
    return { record, seconds, nanos };
  }
}

export class LineJoiner {
  private readonly firstLines: FirstLines;
  private readonly event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };

  constructor(firstLines: FirstLines) {
    this.firstLines = firstLines;
  }

  firstLineOf(stream: unknown): Parser | undefined {
    return firstLineOf(this.firstLines, stream);
  }

  /**
   * Takes a whole line, or the last part of one: `parts` are those before it. False where it belongs to no record of several lines, and
   * nothing was done.
   */
  take(out: Assembly, line: Part, parts: HeldRecord<Parts> | undefined): boolean {
    if (line.first === undefined) return false;
    const { join } = out;
    const key = PREFIX + line.key;
    if (parts === undefined ? join.isBroken(line.key) : parts.isRest) {
      // Its beginning went on, and what follows belongs to that.
      join.breakOff(key);
      return false;
    }
    const text = parts === undefined ? line.text : parts.content.texts.join('') + line.text;
    const isFirst = line.first.parse(text.replace(/\r?\n$/, ''), this.event);
    let held = join.find(key) as HeldRecord<Lines> | undefined;
    if (!isFirst && held === undefined && !join.isBroken(key)) return false;
    const bytes = line.stop - line.start + (parts?.bytes ?? 0);
    if (held !== undefined && (isFirst || !out.fits(held, bytes))) {
      if (isFirst) out.conclude(held);
      else out.release(held, 'size');
      held = undefined;
    }
    if (isFirst) join.mend(key);
    if (held === undefined) held = begin(out, key, line, parts, text, isFirst);
    else {
      held.content.texts.push(text);
      if (parts !== undefined) out.absorb(parts, held);
      out.extend(held, line.start, line.next);
    }
    const metadata = { ...held.metadata, ...parts?.metadata, ...line.metadata };
    if (Object.keys(metadata).length > 0) held.metadata = metadata;
    out.hold(held, bytes);
    return true;
  }
}

function begin(
  out: Assembly,
  key: string,
  line: Part,
  parts: HeldRecord<Parts> | undefined,
  text: string,
  isFirst: boolean,
): HeldRecord<Lines> {
  const { source, base } = out;
  // The last line alone tells a rest from the record that it would have been a part of, had it come in time.
  const kind = { isRest: !isFirst, isContiguous: isFirst ? undefined : false };
  if (parts === undefined) {
    const place = { source, start: base + line.start, stop: base + line.next };
    return new HeldRecord(key, new Lines(line.record(), line.seconds, line.nanos), place, kind);
  }
  const [{ source: oldest, from }] = parts.spans as [{ source: Source; from: number }];
  const { record, seconds, nanos } = parts.content.finish();
  record[KEY] = text;
  const held = new HeldRecord(
    key,
    new Lines(record, seconds, nanos),
    { source: oldest, start: from, stop: from },
    kind,
  );
  out.absorb(parts, held);
  out.extend(held, line.start, line.next);
  return held;
}

/** While a line comes in parts, the record that it may belong to waits with them, and goes on before them. */
export function keepLines(parts: HeldRecord, join: FileJoin): void {
  const lines = join.find(PREFIX + parts.key);
  if (lines === undefined) return;
  lines.at = parts.at;
  parts.behind = lines;
}
