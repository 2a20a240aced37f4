/**
 * Takes top-level keys out of a record's bytes without parsing it: what labels and structured metadata mostly are. Whatever is not plain
 * (values that are no texts, escapes, blanks, keys that are there twice) is left to the parser.
 *
 * A quoted key is searched for through the whole chunk, record after record: what is not in a record costs nothing there.
 */
import { setKey } from '../../../src/plugin.ts';
import type { ByteSink, LogRecord } from '../../../src/plugin.ts';

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;

/** Keys that cannot be mistaken for what stands between two texts. */
const PLAIN_KEY = /^[\w.@-]+$/;

/** Where some bytes come next. */
class Search {
  private readonly needle: Buffer;
  private at = -1;

  constructor(needle: Buffer) {
    this.needle = needle;
  }

  reset(): void {
    this.at = -1;
  }

  /** The first place from `from` on; Infinity when there is none. Calls go forward. */
  from(bytes: Buffer, from: number): number {
    if (this.at >= from) return this.at;
    const found = bytes.indexOf(this.needle, from);
    this.at = found === -1 ? Number.POSITIVE_INFINITY : found;
    return this.at;
  }
}

interface Key {
  name: string;
  length: number;
  search: Search;
}

export class FieldCutter {
  /** The texts that were found, by key; of the last {@link cut}. */
  record: LogRecord = {};
  private readonly keys: readonly Key[];
  private readonly escapes = new Search(Buffer.from('\\u'));
  private bytes: Buffer = Buffer.alloc(0);
  /** What stays of the record: from, to, from, to. */
  private pieces: number[] = [];

  private constructor(keys: readonly string[]) {
    this.keys = keys.map((name) => ({
      name,
      length: name.length + 2,
      search: new Search(Buffer.from(`"${name}"`)),
    }));
  }

  /** Undefined when a key is not plain. */
  static for(keys: readonly string[]): FieldCutter | undefined {
    return keys.every((key) => PLAIN_KEY.test(key)) ? new FieldCutter([...new Set(keys)]) : undefined;
  }

  /** The records to come are in these bytes, one behind the other. */
  begin(bytes: Buffer): void {
    this.bytes = bytes;
    this.escapes.reset();
    for (const { search } of this.keys) search.reset();
  }

  /** Cuts the record from `start` to `end`. False when it must be parsed. */
  cut(start: number, end: number): boolean {
    const { bytes } = this;
    // A key could be written with escapes.
    if (this.escapes.from(bytes, start) < end || bytes[start] !== OPEN_BRACE) return false;
    const found: LogRecord = {};
    const cuts: { from: number; to: number }[] = [];
    for (const { name, length, search } of this.keys) {
      const at = search.from(bytes, start);
      if (at >= end) continue;
      const value = at + length + 1;
      if (bytes[value - 1] !== COLON || bytes[value] !== QUOTE) return false;
      let stop = value + 1;
      while (bytes[stop] !== QUOTE) if (bytes[stop++] === BACKSLASH) return false;
      if (search.from(bytes, at + 1) < end) return false;
      setKey(found, name, bytes.toString('utf8', value + 1, stop));
      cuts.push({ from: at, to: stop + 1 });
    }
    this.record = found;
    this.pieces = [start];
    if (cuts.length > 1) cuts.sort((a, b) => a.from - b.from);
    let scanned = start + 1;
    for (const { from, to } of cuts) {
      if (!this.isTopLevel(scanned, from) || !this.take(from, to)) return false;
      scanned = to;
    }
    this.pieces.push(end);
    return true;
  }

  /** Appends the last record that was cut, without its keys. */
  write(sink: ByteSink): void {
    for (let at = 0; at < this.pieces.length; at += 2)
      sink.copy(this.bytes, this.pieces[at] as number, this.pieces[at + 1] as number);
  }

  /** Takes a member out, with one of the commas around it. */
  private take(from: number, to: number): boolean {
    const { bytes, pieces } = this;
    const next = bytes[to];
    if (next !== COMMA && next !== CLOSE_BRACE) return false;
    const before = bytes[from - 1];
    const isFirst = before === OPEN_BRACE || pieces.at(-1) === from;
    if (!isFirst && before !== COMMA) return false;
    pieces.push(isFirst ? from : from - 1, isFirst && next === COMMA ? to + 1 : to);
    return true;
  }

  /** Whether all brackets that open between two places close again; no text is open at the first. */
  private isTopLevel(from: number, to: number): boolean {
    const { bytes } = this;
    let depth = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        for (at++; bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
      else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
    }
    return depth === 0;
  }
}
