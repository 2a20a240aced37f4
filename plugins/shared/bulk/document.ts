/**
 * The document of a record: the text that the chunk holds, with time and tag spliced in front.
 *
 *     {"@timestamp":"2023-11-14T22:13:20.500Z","flb-key":"app.web","log":"a"}
 *
 * A record that has one of these keys already keeps its own value (written twice, the store would refuse it).
 */
import { formatTime } from '../../../src/plugin.ts';
import type { ByteSink, Slice } from '../../../src/plugin.ts';

export interface DocumentOptions {
  time_key: string;
  time_key_format: string;
  time_key_nanos: boolean;
  include_tag_key: boolean;
  tag_key: string;
  /** What stands around the document: `{"doc":` and `}` for updates. */
  open: string;
  close: string;
}

const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const COMMA = 44;
const LINE_FEED = 10;
const ZERO = 48;
const MILLI_DIGITS = 3;
const NANO_DIGITS = 9;
const NANOS_PER_MILLI = 1_000_000;
/** Braces, commas, digits, line feed. */
const EXTRA = 32;

export class DocumentWriter {
  private readonly options: DocumentOptions;
  private readonly timeKey: string;
  /** The keys as they are looked for: without the quote in front, which is everywhere. */
  private readonly timeNeedle: Buffer;
  private readonly tagNeedle: Buffer;
  private readonly tagKey: string | undefined;
  private readonly open: Buffer;
  private readonly close: Buffer;
  private readonly digits: number;
  /** The format has a fraction of its own. */
  private readonly ownFraction: boolean;
  private readonly timeEnd: Buffer;
  private second = Number.NaN;
  /** The member of the time up to its fraction. */
  private timeHead: Buffer = Buffer.alloc(0);

  // Of the slice that is written:
  private tagMember: Buffer = Buffer.alloc(0);
  private maybeTime = false;
  private maybeTag = false;

  constructor(options: DocumentOptions) {
    this.options = options;
    this.timeKey = JSON.stringify(options.time_key);
    this.timeNeedle = needle(options.time_key);
    this.tagNeedle = needle(options.tag_key);
    this.tagKey = options.include_tag_key ? JSON.stringify(options.tag_key) : undefined;
    this.open = Buffer.from(`${options.open}{`);
    this.close = Buffer.from(options.close);
    this.ownFraction = /%[369]?[LN]/.test(options.time_key_format);
    this.digits = options.time_key_nanos ? NANO_DIGITS : MILLI_DIGITS;
    this.timeEnd = Buffer.from('Z"');
  }

  /** Before the first record of a slice. */
  enter(slice: Slice): void {
    const { bytes } = slice;
    this.maybeTime = bytes.includes(this.timeNeedle);
    if (this.tagKey === undefined) return;
    this.maybeTag = bytes.includes(this.tagNeedle);
    this.tagMember = Buffer.from(`${this.tagKey}:${JSON.stringify(slice.tag)}`);
  }

  /** Appends the document of a record of that slice, a line feed behind it. */
  write(slice: Slice, index: number, sink: ByteSink): void {
    const { chunk } = slice;
    const at = slice.from + index;
    this.append(chunk.bytes, chunk.endOf(at - 1), chunk.endOf(at) - 1, slice, index, sink);
  }

  /** The same with another text in the record's place: a JSON object. */
  writeText(text: Buffer, slice: Slice, index: number, sink: ByteSink): void {
    this.append(text, 0, text.length, slice, index, sink, true);
  }

  private append(
    bytes: Buffer,
    from: number,
    end: number,
    slice: Slice,
    index: number,
    sink: ByteSink,
    changed = false,
  ): void {
    let start = from;
    // The text may have arrived with white space around its brace.
    while (bytes[start] !== OPEN_BRACE) start++;
    start++;
    let rest = start;
    while (bytes[rest] === 32 || bytes[rest] === 9) rest++;
    const empty = bytes[rest] === CLOSE_BRACE;
    const withTime = !this.has(
      changed || this.maybeTime,
      this.timeNeedle,
      this.options.time_key,
      bytes,
      start,
      end,
    );
    const withTag =
      this.tagKey !== undefined &&
      !this.has(changed || this.maybeTag, this.tagNeedle, this.options.tag_key, bytes, start, end);
    if (withTime) this.enterSecond(slice.seconds(index), slice.nanos(index));
    sink.reserve(
      this.open.length +
        this.timeHead.length +
        this.tagMember.length +
        this.close.length +
        end -
        start +
        EXTRA,
    );
    const { raw } = sink;
    let at = put(this.open, raw, sink.length);
    if (withTime) {
      at = put(this.timeHead, raw, at);
      if (!this.ownFraction) {
        at = this.fraction(raw, at, slice.nanos(index));
        at = put(this.timeEnd, raw, at);
      }
      if (withTag || !empty) raw[at++] = COMMA;
    }
    if (withTag) {
      at = put(this.tagMember, raw, at);
      if (!empty) raw[at++] = COMMA;
    }
    at += bytes.copy(raw, at, start, end);
    at = put(this.close, raw, at);
    raw[at++] = LINE_FEED;
    sink.length = at;
  }

  /** Whether the record has the key. Its text is only read where it may. */
  private has(
    maybe: boolean,
    needleOf: Buffer,
    key: string,
    bytes: Buffer,
    start: number,
    end: number,
  ): boolean {
    if (!maybe) return false;
    const found = bytes.indexOf(needleOf, start);
    if (found === -1 || found >= end) return false;
    return Object.hasOwn(JSON.parse(`{${bytes.toString('utf8', start, end)}`) as object, key);
  }

  private enterSecond(seconds: number, nanos: number): void {
    if (seconds === this.second && !this.ownFraction) return;
    this.second = seconds;
    const text = formatTime(this.options.time_key_format, seconds, nanos);
    const value = JSON.stringify(this.ownFraction ? text : `${text}.`);
    this.timeHead = Buffer.from(`${this.timeKey}:${this.ownFraction ? value : value.slice(0, -1)}`);
  }

  private fraction(raw: Buffer, at: number, nanos: number): number {
    const { digits } = this;
    let rest = digits === MILLI_DIGITS ? Math.trunc(nanos / NANOS_PER_MILLI) : nanos;
    for (let index = at + digits - 1; index >= at; index--) {
      const tenth = Math.trunc(rest / 10);
      raw[index] = ZERO + rest - tenth * 10;
      rest = tenth;
    }
    return at + digits;
  }
}

function needle(key: string): Buffer {
  return Buffer.from(JSON.stringify(key).slice(1));
}

/** Copies some dozen bytes: for so few a loop is faster than a call. */
export function put(bytes: Uint8Array, into: Uint8Array, at: number): number {
  for (let index = 0; index < bytes.length; index++) into[at + index] = bytes[index] as number;
  return at + bytes.length;
}
