/**
 * Fluent Bit's way of printing a record: `{"level"=>"info", "took"=>1.500000, "user"=>nil}`, for stdout, csv, ltsv, templates.
 *
 * It reads the JSON text rather than the decoded record, which would no longer know `1.0` from `1` or the digits of a wide
 * integer. Strings are printed raw, as there, but for line ends: a value must not begin a new line.
 */
import { escapeBreaks } from './terminal.ts';

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const SPACE = 32;

/** A top-level member of a record: its key, and its value as printed. */
export interface HashField {
  key: string;
  /** With quotes where it is a string. */
  value: string;
  /** Without. */
  plain: string;
}

/** The text of any JSON value. */
export function hashText(json: string): string {
  return new Reader(json).print();
}

/** The top-level members of a record's JSON text, in order. */
export function hashFields(json: string): HashField[] {
  const reader = new Reader(json);
  const fields: HashField[] = [];
  reader.members((key) => {
    const value = reader.print();
    const isText = value.charCodeAt(0) === QUOTE;
    fields.push({ key, value, plain: isText ? value.slice(1, -1) : value });
  });
  return fields;
}

/** Reads valid JSON from front to back. */
class Reader {
  private readonly json: string;
  private at = 0;

  constructor(json: string) {
    this.json = json;
  }

  /** Prints the value that comes next. */
  print(): string {
    switch (this.peek()) {
      case QUOTE:
        return `"${this.text()}"`;
      case OPEN_BRACE: {
        let text = '';
        this.members((key) => {
          text += `${text === '' ? '' : ', '}"${key}"=>${this.print()}`;
        });
        return `{${text}}`;
      }
      case OPEN_BRACKET:
        return this.list();
      default:
        return this.scalar();
    }
  }

  /** Reads an object; `take` is called behind each key and reads the value. */
  members(take: (key: string) => void): void {
    this.peek();
    this.at++;
    while (this.peek() !== CLOSE_BRACE) {
      const key = this.text();
      this.skip(COLON);
      take(key);
      this.skip(COMMA);
    }
    this.at++;
  }

  private list(): string {
    let text = '';
    this.at++;
    while (this.peek() !== CLOSE_BRACKET) {
      text += `${text === '' ? '' : ', '}${this.print()}`;
      this.skip(COMMA);
    }
    this.at++;
    return `[${text}]`;
  }

  /** A string without its quotes. */
  private text(): string {
    const { json } = this;
    const start = this.at + 1;
    let end = json.indexOf('"', start);
    const escaped = json.indexOf('\\', start);
    if (escaped !== -1 && escaped < end) {
      // A quote counts when an even number of backslashes stands before it.
      for (end = escaped; json.charCodeAt(end) !== QUOTE; end++)
        if (json.charCodeAt(end) === BACKSLASH) end++;
      this.at = end + 1;
      return escapeBreaks(JSON.parse(json.slice(start - 1, end + 1)) as string);
    }
    this.at = end + 1;
    return json.slice(start, end);
  }

  private scalar(): string {
    const { json } = this;
    const start = this.at;
    while (this.at < json.length && !isEnd(json.charCodeAt(this.at))) this.at++;
    const token = json.slice(start, this.at);
    if (token === 'null') return 'nil';
    if (token === 'true' || token === 'false' || !/[.eE]/.test(token)) return token;
    // C's `%f`.
    const value = Number(token);
    return Math.abs(value) < 1e21 ? value.toFixed(6) : token;
  }

  /** The next character that is no white space. */
  private peek(): number {
    while (this.json.charCodeAt(this.at) <= SPACE) this.at++;
    return this.json.charCodeAt(this.at);
  }

  private skip(character: number): void {
    if (this.peek() === character) {
      this.at++;
      this.peek();
    }
  }
}

function isEnd(character: number): boolean {
  return (
    character <= SPACE || character === COMMA || character === CLOSE_BRACE || character === CLOSE_BRACKET
  );
}
