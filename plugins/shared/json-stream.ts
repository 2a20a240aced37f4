/**
 * Finds JSON maps and lists in a stream of lines: one per line, several on a line, or one over several lines. What is no JSON
 * comes out as the lines that it is, at once: a value that goes on is given up with the first token that cannot belong to it.
 */
import { isTooDeep, parseExact } from '../../src/plugin.ts';
import type { Value } from '../../src/plugin.ts';
import { escapeControls } from './lenient-json.ts';

export interface JsonSink {
  /** A whole map or list, and its text; control characters in it, such as tabs, are escaped there. */
  value(value: Value, text: string): void;
  /** A line, or the rest of one, that is no map or list, or nests too deep. */
  text(line: string): void;
}

/** A token with the white space before it, of a string its first quote. Strings do not go over a line end in JSON, so no token does. */
const TOKEN = /[ \t\r]*(?:([{}[\],:])|(")|(-?\d[\d.eE+-]*|true|false|null))/y;
const BLANK = /[ \t\r]*$/y;

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | ':' | ', or end';

export class JsonStream {
  private readonly sink: JsonSink;
  private readonly limit: number;
  /** Lines of a value that is not complete. */
  private held: string[] = [];
  private heldLength = 0;
  private open: ('{' | '[')[] = [];
  private expected: Expected = 'value';

  /** A value longer than `limit` characters, line ends included, is given up. */
  constructor(sink: JsonSink, limit: number) {
    this.sink = sink;
    this.limit = limit;
  }

  /** Takes a line without its end. */
  push(line: string): void {
    let at = 0;
    if (this.held.length === 0 && this.parse(line)) return;
    while (at < line.length || this.held.length > 0) {
      if (this.held.length === 0 && matchAt(BLANK, line, at) !== undefined) return;
      const end = this.scan(line, at);
      if (end === 'more') {
        this.hold(line.slice(at));
        return;
      }
      if (end === 'invalid') {
        const hadLines = this.held.length > 0;
        this.giveUp();
        // What broke the value may begin one of its own.
        if (hadLines) continue;
        this.sink.text(line.slice(at));
        return;
      }
      const text = [...this.held, line.slice(at, end)].join('\n');
      if (!this.parse(text)) {
        this.giveUp();
        this.sink.text(line.slice(at));
        return;
      }
      this.reset();
      at = end;
    }
  }

  /** The stream is over: gives out the lines of an incomplete value. */
  end(): void {
    this.giveUp();
  }

  private parse(text: string): boolean {
    if (!/^[ \t\r]*[{[]/.test(text) || isTooDeep(text)) return false;
    const value = parseOr(text);
    if (value !== undefined) {
      this.sink.value(value, text);
      return true;
    }
    const escaped = escapeControls(text);
    const lenient = escaped === undefined ? undefined : parseOr(escaped);
    if (escaped === undefined || lenient === undefined) return false;
    this.sink.value(lenient, escaped);
    return true;
  }

  private hold(line: string): void {
    this.held.push(line);
    this.heldLength += line.length + 1;
    if (this.heldLength > this.limit) this.giveUp();
  }

  private giveUp(): void {
    const lines = this.held;
    this.reset();
    for (const line of lines) this.sink.text(line);
  }

  private reset(): void {
    this.held = [];
    this.heldLength = 0;
    this.open = [];
    this.expected = 'value';
  }

  /** Goes on with the value that is open, or starts one; returns the offset behind it once it is complete. */
  private scan(line: string, start: number): number | 'more' | 'invalid' {
    let at = start;
    for (;;) {
      TOKEN.lastIndex = at;
      const token = TOKEN.exec(line);
      if (token === null) return matchAt(BLANK, line, at) === undefined ? 'invalid' : 'more';
      at = token[2] === undefined ? TOKEN.lastIndex : stringEnd(line, TOKEN.lastIndex);
      if (at === 0) return 'invalid';
      if (!this.accept(token[1] ?? (token[2] === undefined ? 'scalar' : 'string'))) return 'invalid';
      if (this.open.length === 0) return at;
    }
  }

  /** Steps the grammar; false when the token cannot stand here. */
  private accept(token: string): boolean {
    const { open, expected } = this;
    const inside = open.at(-1);
    const wantsValue = expected === 'value' || expected === 'value or ]';
    switch (token) {
      case '{':
      case '[':
        if (!wantsValue) return false;
        open.push(token);
        this.expected = token === '{' ? 'key or }' : 'value or ]';
        return true;
      case '}':
        if (inside !== '{' || (expected !== 'key or }' && expected !== ', or end')) return false;
        open.pop();
        this.expected = ', or end';
        return true;
      case ']':
        if (inside !== '[' || (expected !== 'value or ]' && expected !== ', or end')) return false;
        open.pop();
        this.expected = ', or end';
        return true;
      case ',':
        if (expected !== ', or end' || inside === undefined) return false;
        this.expected = inside === '{' ? 'key' : 'value';
        return true;
      case ':':
        if (expected !== ':') return false;
        this.expected = 'value';
        return true;
      default:
        if (token === 'string' && (expected === 'key' || expected === 'key or }')) {
          this.expected = ':';
          return true;
        }
        // A text or a number alone is no record.
        if (!wantsValue || inside === undefined) return false;
        this.expected = ', or end';
        return true;
    }
  }
}

/** The offset behind the string that began before `from`; 0 where it does not end. No expression: those have not room for strings of megabytes. */
function stringEnd(line: string, from: number): number {
  for (let end = line.indexOf('"', from); end !== -1; end = line.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (line[end - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
  return 0;
}

/** Undefined for what is no JSON. */
function parseOr(text: string): Value | undefined {
  try {
    return parseExact(text);
  } catch {
    return undefined;
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}
