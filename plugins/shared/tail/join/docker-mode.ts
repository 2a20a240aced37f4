/**
 * Fluent Bit's old `docker_mode`: lines of Docker's json-file driver that are JSON texts with a `log` key. A text that does not end in a
 * line feed is a part; with `docker_mode_parser`, lines belong to the last one that this parser takes. The joined line is the last one
 * with the texts of all under `log`, and goes to the input's parser.
 *
 * Source: fluent-bit 5.1.1, plugins/in_tail/tail_dockermode.c.
 */
import { isRecord, isTooDeep } from '../../../../src/plugin.ts';
import type { LogRecord, ParsedEvent, Parser } from '../../../../src/plugin.ts';
import type { Assembly } from './assembly.ts';
import { HeldRecord } from './held.ts';
import type { Content } from './held.ts';
import type { BlockLines, Joiner, JoinPlan } from './joiner.ts';

export interface DockerModeOptions {
  /** Takes the first line of a record. */
  first: Parser | undefined;
  /** Takes the joined line. */
  parser: Parser | undefined;
  /** Key of a joined line that no parser takes. */
  key: string;
  waitMs: number;
  onUnparsed: (reason: string) => void;
}

export class DockerModePlan implements JoinPlan {
  readonly waitMs: number;
  private readonly options: DockerModeOptions;

  constructor(options: DockerModeOptions) {
    this.options = options;
    this.waitMs = options.waitMs;
  }

  takes(key: string): boolean {
    return key === KEY;
  }

  joiner(lines: BlockLines): Joiner {
    return new DockerModeJoiner(lines, this.options);
  }
}

class DockerLines implements Content {
  readonly endsByWaiting = true;
  text = '';
  lastLine = '';
  isComplete = false;
  private readonly options: DockerModeOptions;

  constructor(options: DockerModeOptions) {
    this.options = options;
  }

  finish(): { record: LogRecord; text: string | undefined; seconds: number; nanos: number } {
    const value = findLog(this.lastLine);
    const line =
      value === undefined
        ? this.lastLine
        : `${this.lastLine.slice(0, value.start)}${this.text}${this.lastLine.slice(value.stop)}`;
    return parseWith(line, this.options);
  }
}

/** The record of a line by the parser, or under the key. */
function parseWith(
  line: string,
  { parser, key, onUnparsed }: Pick<DockerModeOptions, 'parser' | 'key' | 'onUnparsed'>,
): { record: LogRecord; text: string | undefined; seconds: number; nanos: number } {
  const event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  if (parser !== undefined) {
    if (parser.parse(line, event)) return event;
    onUnparsed(parser.failure());
  }
  return { record: { [key]: line }, text: undefined, seconds: Number.NaN, nanos: 0 };
}

const KEY = 'docker_mode';
/** Noted of files of which a first line was seen: from then on, whole lines wait for the next. */
const STARTED = 'docker_mode started';

class DockerModeJoiner implements Joiner {
  readonly shape = undefined;
  private readonly lines: BlockLines;
  private readonly options: DockerModeOptions;
  private readonly event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };

  constructor(lines: BlockLines, options: DockerModeOptions) {
    this.lines = lines;
    this.options = options;
  }

  take(out: Assembly, start: number, stop: number, next: number, metadata: LogRecord | undefined): void {
    const { options } = this;
    const { notes } = out.join;
    const line = this.lines.copy(start, stop);
    let held = out.join.find(KEY) as HeldRecord<DockerLines> | undefined;
    if (options.first !== undefined) {
      const isFirst = options.first.parse(line, this.event);
      if (isFirst) notes.add(STARTED);
      if (held?.content.isComplete === true && (isFirst || !notes.has(STARTED))) {
        out.conclude(held);
        held = undefined;
      }
    }
    const value = findLog(line);
    if (value === undefined) {
      if (held !== undefined) out.conclude(held);
      const { record, text, seconds, nanos } = parseWith(line, options);
      out.record(record, text, seconds, nanos, start, next, metadata);
      return;
    }
    const { source, base } = out;
    const place = { source, start: base + start, stop: base + next };
    if (held === undefined) {
      held = new HeldRecord(KEY, new DockerLines(options), place, { isRest: false, isContiguous: true });
    } else held.extend(source, place.start, place.stop);
    const { content } = held;
    content.text += line.slice(value.start, value.stop);
    content.lastLine = line;
    content.isComplete = endsLine(line, value.start, value.stop);
    if (metadata !== undefined) held.metadata = { ...held.metadata, ...metadata };
    out.hold(held, stop - start);
    if (content.isComplete && options.first === undefined && out.join.find(KEY) === held) out.conclude(held);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where the text of the outermost `log` key stands between its quotes; undefined where the line is no JSON object with such a text. */
export function findLog(line: string): { start: number; stop: number } | undefined {
  if (line.charCodeAt(0) !== 0x7b || isTooDeep(line)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value['log'] !== 'string') return undefined;
  let depth = 0;
  let expectsKey = false;
  for (let at = 0; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
    if (code === 0x7b && depth === 1) expectsKey = true;
    else if (code === 0x2c && depth === 1) expectsKey = true;
    if (code !== QUOTE) continue;
    const end = textEnd(line, at);
    if (expectsKey && depth === 1) {
      expectsKey = false;
      if (line.slice(at + 1, end) === 'log') {
        const open = line.indexOf('"', end + 1);
        // A value that is no text: of several such keys, the first counts.
        if (!/^\s*:\s*$/.test(line.slice(end + 1, open))) return undefined;
        return { start: open + 1, stop: textEnd(line, open) };
      }
    }
    at = end;
  }
  return undefined;
}

/** The closing quote of the text that opens here. */
function textEnd(line: string, open: number): number {
  for (let at = open + 1; at < line.length; at++) {
    const code = line.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at;
  }
  return line.length;
}

/** Whether an escaped text ends in a line feed. */
function endsLine(line: string, start: number, stop: number): boolean {
  if (stop - start < 2 || line.charCodeAt(stop - 1) !== 0x6e) return false;
  let backslashes = 0;
  for (let at = stop - 2; at >= start && line.charCodeAt(at) === BACKSLASH; at--) backslashes++;
  return backslashes % 2 === 1;
}
