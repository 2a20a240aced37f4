/** The words of the `--where` language (grammar in expression.ts). */

/** Thrown for an expression that cannot be read. */
export class ExpressionError extends Error {
  override name = 'ExpressionError';
  /** The character that it is about, from 1. */
  readonly column: number;

  /** `offset` counts from 0. */
  constructor(message: string, offset: number) {
    super(message);
    this.column = offset + 1;
  }
}

export type Token = { offset: number; end: number } & (
  | { kind: 'string'; value: string }
  | { kind: 'number'; value: number | bigint }
  | { kind: 'regex'; value: string }
  /** A keyword or the first name of a path. */
  | { kind: 'word'; value: string }
  | { kind: 'symbol'; value: string }
  | { kind: 'end' }
);

/** Longest first: `>=` must not be read as `>` and `=`. */
const SYMBOLS = [
  '&&',
  '||',
  '==',
  '!=',
  '>=',
  '<=',
  '=~',
  '!~',
  '=',
  '!',
  '>',
  '<',
  '(',
  ')',
  '[',
  ']',
  ',',
  '.',
  '$',
];
const NUMBER = /-?(?:\d+\.\d+|\d+)(?:[eE][+-]?\d+)?(?![\p{L}\p{N}_])/uy;
const WORD = /[\p{L}_@][\p{L}\p{N}_@-]*/uy;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };

export class Lexer {
  readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Goes on at an offset: behind something that was read by other rules. */
  seek(offset: number): void {
    this.at = offset;
  }

  /** The next token. A `/` starts a regular expression only where `wantsRegex` says so. */
  next(wantsRegex = false): Token {
    while (/\s/.test(this.text.charAt(this.at))) this.at++;
    const offset = this.at;
    const char = this.text.charAt(offset);
    if (char === '') return { kind: 'end', offset, end: offset };
    if (char === '"' || char === "'") return this.string(char);
    if (char === '/' && wantsRegex) return this.regex();
    const number = this.take(NUMBER);
    if (number !== undefined) {
      const integer = /^-?\d+$/.test(number) && !Number.isSafeInteger(Number(number));
      return { kind: 'number', value: integer ? BigInt(number) : Number(number), offset, end: this.at };
    }
    const word = this.take(WORD);
    if (word !== undefined) return { kind: 'word', value: word, offset, end: this.at };
    const symbol = SYMBOLS.find((candidate) => this.text.startsWith(candidate, offset));
    if (symbol === undefined) {
      throw new ExpressionError(`"${char}" means nothing here. Put text in quotes: "${char}…".`, offset);
    }
    this.at += symbol.length;
    return { kind: 'symbol', value: symbol, offset, end: this.at };
  }

  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  private string(quote: string): Token {
    const offset = this.at;
    let value = '';
    for (let at = offset + 1; at < this.text.length; at++) {
      const char = this.text.charAt(at);
      if (char === quote) {
        this.at = at + 1;
        return { kind: 'string', value, offset, end: this.at };
      }
      const escaped = this.text.charAt(at + 1);
      if (char !== '\\' || escaped === '') {
        value += char;
        continue;
      }
      at++;
      // Any other escape stays as it is, so that "\d+" is the regular expression that it looks like.
      if (escaped === quote || escaped === '\\') value += escaped;
      else value += ESCAPES[escaped] ?? `\\${escaped}`;
    }
    throw new ExpressionError(`The text has no closing ${quote}.`, offset);
  }

  /** `/pattern/` with flags, slashes included. */
  private regex(): Token {
    const offset = this.at;
    for (let at = offset + 1; at < this.text.length; at++) {
      if (this.text[at] === '\\') {
        at++;
      } else if (this.text[at] === '/') {
        const flags = /^[a-z]*/.exec(this.text.slice(at + 1))?.[0] ?? '';
        this.at = at + 1 + flags.length;
        return { kind: 'regex', value: this.text.slice(offset, this.at), offset, end: this.at };
      }
    }
    throw new ExpressionError('The regular expression has no closing /.', offset);
  }
}
