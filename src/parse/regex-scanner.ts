/** A place in a regular expression, and the escapes that stand for one character in and outside of classes. */
import { RegexSyntaxError } from './regex-ast.ts';

const CONTROL: Readonly<Record<string, number>> = {
  a: 0x07,
  e: 0x1b,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  v: 0x0b,
};

export class Scanner {
  /** The next unit to read. */
  at = 0;
  private readonly pattern: string;
  private readonly offset: number;

  /** `offset`: where the pattern begins in what the user wrote; added to the offset of errors. */
  constructor(pattern: string, offset: number) {
    this.pattern = pattern;
    this.offset = offset;
  }

  get done(): boolean {
    return this.at >= this.pattern.length;
  }

  fail(message: string, at: number): never {
    const sentence = message.charAt(0).toUpperCase() + message.slice(1);
    throw new RegexSyntaxError(`${sentence}.`, this.offset + at);
  }

  /** The next unit, without reading it; empty at the end. */
  peek(): string {
    return this.pattern.charAt(this.at);
  }

  /** Reads one character, which may be a surrogate pair. */
  next(): string {
    const code = this.pattern.codePointAt(this.at);
    if (code === undefined) return '';
    const character = String.fromCodePoint(code);
    this.at += character.length;
    return character;
  }

  /** Reads `text` if it stands here. */
  take(text: string): boolean {
    if (!this.pattern.startsWith(text, this.at)) return false;
    this.at += text.length;
    return true;
  }

  /** A match of a sticky expression at a place. Reads nothing. */
  match(expression: RegExp, at: number): RegExpExecArray | null {
    expression.lastIndex = at;
    return expression.exec(this.pattern);
  }

  /** Reads up to and with `end`; false when there is none, then all is read. */
  skipUntil(end: string): boolean {
    const found = this.pattern.indexOf(end, this.at);
    this.at = found === -1 ? this.pattern.length : found + end.length;
    return found !== -1;
  }

  /** The code point of an escape for one character, with the place behind the backslash at `start`. */
  escapedCharacter(start: number): number {
    const letter = this.peek();
    const control = CONTROL[letter];
    if (control !== undefined && Object.hasOwn(CONTROL, letter)) {
      this.at += 1;
      return control;
    }
    if (letter === 'x') return this.hexadecimal(start);
    if (letter === 'u') return this.hexadecimalFour(start);
    if (letter === 'c' || letter === 'C') return this.controlled(start);
    const octal = this.match(/[0-3]?[0-7]{1,2}/y, this.at);
    if (octal !== null) {
      this.at += octal[0].length;
      return Number.parseInt(octal[0], 8);
    }
    return this.next().codePointAt(0) ?? 0;
  }

  private hexadecimal(start: number): number {
    const found = this.match(/x(?:\{([0-9a-fA-F]{1,8})\}|([0-9a-fA-F]{1,2}))/y, this.at);
    if (found === null) this.fail('"\\x" needs hexadecimal digits: "\\x41" or "\\x{1F600}"', start);
    const braced = found[1] !== undefined;
    const code = Number.parseInt(found[1] ?? found[2] ?? '', 16);
    if (code > 0x10ffff) this.fail(`"\\${found[0]}" is beyond the last character, U+10FFFF`, start);
    // Two digits name a byte of the UTF-8 text, not a character.
    if (!braced && code > 0x7f) {
      this.fail(`"\\${found[0]}" is a byte, no character; write the character as "\\x{…}"`, start);
    }
    this.at += found[0].length;
    return code;
  }

  private hexadecimalFour(start: number): number {
    const found = this.match(/u([0-9a-fA-F]{4})/y, this.at);
    if (found === null) this.fail('"\\u" needs four hexadecimal digits; write others as "\\x{…}"', start);
    this.at += 5;
    return Number.parseInt(found[1] ?? '', 16);
  }

  private controlled(start: number): number {
    const found = this.match(/(?:c|C-)([\x21-\x7e])/y, this.at);
    if (found === null) this.fail('a control character is written "\\cA" or "\\C-A"', start);
    if (found[1] === '\\')
      this.fail('a control character of an escape is not supported; write "\\x{…}"', start);
    this.at += found[0].length;
    return found[1] === '?' ? 0x7f : (found[1]?.charCodeAt(0) ?? 0) & 0x1f;
  }
}
