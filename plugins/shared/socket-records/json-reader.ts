/**
 * Takes JSON maps and lists out of a stream: one after the other, with white space, line ends, commas or nothing between them, however they
 * are cut. What is none comes out as text: the line where it stands, or, where a value breaks off within, the lines up to the one that
 * breaks it, which may begin a value of its own.
 *
 * A value is found by its brackets and strings, once for each byte; whether it is JSON says the parser then.
 */
import { isTooDeep } from '../../../src/plugin.ts';
import type { Value } from '../../../src/plugin.ts';
import { characterEnd } from '../lines.ts';
import type { RecordSink } from './record-sink.ts';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_MAP = 0x7b;
const CLOSE_MAP = 0x7d;

/** What stands at the front: nothing yet, a value, or a line that is none. */
type Front = 'nothing' | 'value' | 'text';

export class JsonReader {
  private readonly sink: RecordSink;
  private readonly limit: number;
  private front: Front = 'nothing';
  /** Of what is shown again, looked at already. */
  private looked = 0;
  /** What stands at the front is too long: it was given out, cut, and is passed over. */
  private isSkipping = false;
  private depth = 0;
  private isInString = false;
  private isEscaped = false;
  /** A value has ended, and no comma or colon came yet. */
  private isBehindValue = false;

  /** `limit`: bytes of a value, or of a line that is none. */
  constructor(sink: RecordSink, limit: number) {
    this.sink = sink;
    this.limit = limit;
  }

  /** In the middle of a value of which nothing is left. */
  get isWithin(): boolean {
    return this.isSkipping;
  }

  read(bytes: Buffer): number {
    let start = 0;
    for (;;) {
      if (this.front === 'nothing') start = this.begin(bytes, start);
      if (start === bytes.length) break;
      const next = this.front === 'value' ? this.readValue(bytes, start) : this.readText(bytes, start);
      if (next === -1) break;
      start = next;
    }
    if (this.front === 'nothing') return start;
    if (!this.isSkipping && bytes.length - start > this.limit) {
      this.giveText(bytes, start, bytes.length);
      this.isSkipping = true;
    }
    if (this.isSkipping) start = bytes.length;
    this.looked = bytes.length - start;
    return start;
  }

  end(rest: Buffer): void {
    if (this.isSkipping || rest.length === 0) return;
    if (this.front === 'value') this.sink.incomplete();
    else this.giveText(rest, 0, rest.length);
  }

  /** Takes the whole of a datagram; a value that does not end is text. */
  readWhole(bytes: Buffer): void {
    const taken = this.read(bytes);
    if (!this.isSkipping) this.giveText(bytes, taken, bytes.length);
    this.reset();
  }

  private reset(): void {
    this.front = 'nothing';
    this.looked = 0;
    this.isSkipping = false;
    this.depth = 0;
    this.isInString = false;
    this.isEscaped = false;
    this.isBehindValue = false;
  }

  /** Where the next value or text begins. */
  private begin(bytes: Buffer, from: number): number {
    let at = from;
    while (at < bytes.length && isBetween(bytes[at] as number)) at++;
    if (at === bytes.length) return at;
    const first = bytes[at];
    this.front = first === OPEN_MAP || first === OPEN_LIST ? 'value' : 'text';
    return at;
  }

  /** Where it goes on behind the line; -1: its end has not come. */
  private readText(bytes: Buffer, start: number): number {
    const end = bytes.indexOf(LINE_FEED, start + this.looked);
    if (end === -1) return -1;
    if (!this.isSkipping) this.giveText(bytes, start, end);
    this.reset();
    return end + 1;
  }

  /** Where it goes on behind the value; -1: its end has not come. */
  private readValue(bytes: Buffer, start: number): number {
    for (let at = start + this.looked; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (this.isInString) {
        if (this.isEscaped) this.isEscaped = false;
        else if (byte === BACKSLASH) this.isEscaped = true;
        else if (byte === QUOTE) {
          this.isInString = false;
          this.isBehindValue = true;
        }
        // A string never goes over a line end.
        if (byte === LINE_FEED) return this.broken(bytes, start, at);
        continue;
      }
      switch (byte) {
        case QUOTE:
          if (this.isBehindValue) return this.broken(bytes, start, at);
          this.isInString = true;
          break;
        case OPEN_MAP:
        case OPEN_LIST:
          if (this.isBehindValue) return this.broken(bytes, start, at);
          this.depth++;
          break;
        case CLOSE_MAP:
        case CLOSE_LIST:
          this.isBehindValue = true;
          if (--this.depth > 0) break;
          if (!this.isSkipping) this.giveValue(bytes, start, at + 1);
          this.reset();
          return at + 1;
        case COMMA:
        case COLON:
          this.isBehindValue = false;
          break;
        default:
      }
    }
    return -1;
  }

  /** The value cannot go on like this. */
  private broken(bytes: Buffer, start: number, at: number): number {
    const line = Math.max(start, bytes.lastIndexOf(LINE_FEED, at - 1) + 1);
    if (line > start && !this.isSkipping) {
      this.giveLines(bytes, start, line);
      this.reset();
      return line;
    }
    // Its own line is none.
    this.front = 'text';
    this.looked = at - start;
    return this.readText(bytes, start);
  }

  private giveValue(bytes: Buffer, start: number, end: number): void {
    const text = end - start > this.limit ? undefined : bytes.toString('utf8', start, end);
    const value = text === undefined ? undefined : valueOf(text);
    if (text === undefined || value === undefined) this.giveText(bytes, start, end);
    else this.sink.json(value, text);
  }

  private giveLines(bytes: Buffer, start: number, end: number): void {
    for (let from = start; from < end;) {
      let to = bytes.indexOf(LINE_FEED, from);
      if (to === -1 || to > end) to = end;
      this.giveText(bytes, from, to);
      from = to + 1;
    }
  }

  private giveText(bytes: Buffer, start: number, end: number): void {
    let length = end - start;
    while (length > 0 && isBlank(bytes[start + length - 1] as number)) length--;
    if (length === 0) return;
    const isCut = length > this.limit;
    const text = bytes.subarray(start, start + length);
    this.sink.noJson(text.toString('utf8', 0, isCut ? characterEnd(text, this.limit) : length), isCut);
  }
}

/** Undefined for what is no JSON, or nests too deep. */
function valueOf(text: string): Value | undefined {
  if (isTooDeep(text)) return undefined;
  try {
    return JSON.parse(text) as Value;
  } catch {
    return undefined;
  }
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === 0x09;
}

/** Blanks, and the commas of Fluent Bit's leniency. */
function isBetween(byte: number): boolean {
  return isBlank(byte) || byte === COMMA;
}
