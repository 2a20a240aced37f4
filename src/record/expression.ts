/**
 * The expression language of `tailrace tail --where`:
 *
 *     level == "error" and status >= 500
 *     msg =~ "timeout" and not path =~ /^\/health/i
 *     service in ["web", "payment"] or exists(error.stack)
 *
 *     expression = term { ("or" | "||") term }
 *     term       = factor { ("and" | "&&") factor }
 *     factor     = ("not" | "!") factor | "(" expression ")" | "exists" "(" path ")" | test
 *     test       = path [ operator value | ["not"] "in" "[" value { "," value } "]" | ("=~" | "!~") pattern ]
 *     operator   = "==" | "=" | "!=" | ">" | ">=" | "<" | "<="
 *     value      = text | number | "true" | "false" | "null" | "$" path
 *     pattern    = text | "/" regular expression "/" flags
 *     path       = ["$"] name { "." name | "['key']" | "[0]" }
 *     text       = "…" or '…', with \" \' \\ \n \t \r
 *
 * Keywords may be in capitals. A path alone is true when the field is there and neither false nor null. `a.b` is the field b in
 * a or, where there is none, the field with the name "a.b".
 *
 * Numbers compare as numbers, also with a text that is one ("500" from an access log); a text compares as text. Values of
 * different kinds, and fields that are missing, are neither equal nor ordered: `!=`, `!~` and `not in` hold for them, all
 * others do not.
 */
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';
import { AccessorSyntaxError, compilePath, scanSteps } from './accessor.ts';
import type { Accessor, PathStep } from './accessor.ts';
import { ExpressionError, Lexer } from './expression-tokens.ts';
import type { Token } from './expression-tokens.ts';
import { textOf } from './text.ts';

export { ExpressionError } from './expression-tokens.ts';

export type Expression = (record: ReadonlyRecord) => boolean;

export interface ExpressionOptions {
  /** Compiles a pattern, or one in slashes with flags; what it throws becomes an {@link ExpressionError}. */
  regex: (pattern: string) => { test(text: string): boolean };
}

/** Compiles an expression. Throws {@link ExpressionError}, which has the column. */
export function compileExpression(text: string, options: ExpressionOptions): Expression {
  return new Parser(text, options).parse();
}

type Literal = string | number | bigint | boolean | null;
type Operand = (record: ReadonlyRecord) => ReadonlyValue | undefined;
type Comparison = '==' | '!=' | '>' | '>=' | '<' | '<=';

class Parser {
  private readonly lexer: Lexer;
  private readonly options: ExpressionOptions;
  private token: Token;

  constructor(text: string, options: ExpressionOptions) {
    this.lexer = new Lexer(text);
    this.options = options;
    this.token = this.lexer.next();
  }

  parse(): Expression {
    if (this.isEnd()) {
      throw new ExpressionError('The expression is empty: write for example level == "error".', 0);
    }
    const expression = this.expression();
    if (!this.isEnd()) this.fail('The expression should end here', 'join two conditions with "and" or "or"');
    return expression;
  }

  private expression(): Expression {
    let left = this.term();
    while (this.takeWord('or') || this.takeSymbol('||')) {
      const first = left;
      const second = this.term();
      left = (record) => first(record) || second(record);
    }
    return left;
  }

  private term(): Expression {
    let left = this.factor();
    while (this.takeWord('and') || this.takeSymbol('&&')) {
      const first = left;
      const second = this.factor();
      left = (record) => first(record) && second(record);
    }
    return left;
  }

  private factor(): Expression {
    if (this.takeWord('not') || this.takeSymbol('!')) {
      const inner = this.factor();
      return (record) => !inner(record);
    }
    if (this.takeSymbol('(')) {
      const inner = this.expression();
      this.require(')');
      return inner;
    }
    if (this.isWord('exists') && /^\s*\(/.test(this.lexer.text.slice(this.token.end))) {
      this.advance();
      this.require('(');
      const access = this.path();
      this.require(')');
      return (record) => access(record) !== undefined;
    }
    return this.test();
  }

  private test(): Expression {
    if (this.token.kind === 'string' || this.token.kind === 'number') {
      this.fail('A condition starts with the name of a field', 'turn it round, as in level == "error"');
    }
    const access = this.path();
    const negated = this.isWord('not') && this.takeWord('not');
    if (negated || this.isWord('in')) {
      if (!this.takeWord('in')) this.fail('"in" must follow "not" here');
      return this.membership(access, negated);
    }
    if (this.isSymbol('=~') || this.isSymbol('!~')) return this.match(access);
    const operator = this.comparison();
    if (operator === undefined) return (record) => isTrue(access(record));
    const value = this.operand();
    return (record) => compare(operator, access(record), value(record));
  }

  private comparison(): Comparison | undefined {
    if (this.takeSymbol('==') || this.takeSymbol('=')) return '==';
    for (const operator of ['!=', '>=', '<=', '>', '<'] as const) {
      if (this.takeSymbol(operator)) return operator;
    }
    return undefined;
  }

  private membership(access: Accessor, negated: boolean): Expression {
    this.require('[');
    const values: Literal[] = [];
    do values.push(this.literal());
    while (this.takeSymbol(','));
    this.require(']');
    return (record) => {
      const value = access(record);
      return values.some((wanted) => equal(value, wanted)) !== negated;
    };
  }

  private match(access: Accessor): Expression {
    const negated = this.isSymbol('!~');
    this.token = this.lexer.next(true);
    const { token } = this;
    if (token.kind !== 'string' && token.kind !== 'regex') {
      this.fail('A regular expression must follow', 'write it in quotes, or as /…/i');
    }
    let regex: { test(text: string): boolean };
    try {
      regex = this.options.regex(token.value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ExpressionError(
        `The regular expression ${token.value} is not valid: ${reason}`,
        token.offset,
      );
    }
    this.advance();
    return (record) => {
      const value = access(record);
      return (value !== undefined && regex.test(textOf(value))) !== negated;
    };
  }

  private operand(): Operand {
    if (this.isSymbol('$')) return this.path();
    const value = this.literal();
    return () => value;
  }

  private literal(): Literal {
    const { token } = this;
    if (token.kind === 'string' || token.kind === 'number') {
      this.advance();
      return token.value;
    }
    if (token.kind === 'word') {
      const name = token.value.toLowerCase();
      if (name === 'true' || name === 'false' || name === 'null') {
        this.advance();
        return name === 'null' ? null : name === 'true';
      }
      this.fail(
        'A value must follow',
        `put text in quotes, "${token.value}", or write $${token.value} for a field`,
      );
    }
    return this.fail('A value must follow', 'a text in quotes, a number, true, false or null');
  }

  private path(): Accessor {
    const start = this.token.offset;
    if (this.isSymbol('$')) this.advance();
    if (this.token.kind !== 'word') this.fail('The name of a field must follow');
    const path: PathStep[] = [this.token.value];
    let end = this.steps(this.token.end, path);
    let dotted = path.length === 1;
    while (this.lexer.text[end] === '.') {
      this.lexer.seek(end + 1);
      this.advance();
      const { token } = this;
      if (token.kind !== 'word' || token.offset !== end + 1) {
        throw new ExpressionError('The name of a field must follow the dot.', end);
      }
      path.push(token.value);
      const length = path.length;
      end = this.steps(token.end, path);
      dotted &&= path.length === length;
    }
    this.lexer.seek(end);
    const name = this.lexer.text.slice(start, end).replace(/^\$\s*/, '');
    this.advance();
    const nested = compilePath(path);
    if (path.length === 1 || !dotted) return nested;
    const flat = compilePath([name]);
    return (record) => nested(record) ?? flat(record);
  }

  private steps(start: number, path: PathStep[]): number {
    try {
      return scanSteps(this.lexer.text, start, path);
    } catch (error) {
      if (error instanceof AccessorSyntaxError) throw new ExpressionError(error.message, error.offset);
      throw error;
    }
  }

  private advance(): void {
    this.token = this.lexer.next();
  }

  private isWord(word: string): boolean {
    return this.token.kind === 'word' && this.token.value.toLowerCase() === word;
  }

  private isSymbol(symbol: string): boolean {
    return this.token.kind === 'symbol' && this.token.value === symbol;
  }

  private takeWord(word: string): boolean {
    const found = this.isWord(word);
    if (found) this.advance();
    return found;
  }

  private takeSymbol(symbol: string): boolean {
    const found = this.isSymbol(symbol);
    if (found) this.advance();
    return found;
  }

  private require(symbol: string): void {
    if (!this.takeSymbol(symbol)) this.fail(`"${symbol}" must follow`);
  }

  private isEnd(): boolean {
    return this.token.kind === 'end';
  }

  private fail(expected: string, advice?: string): never {
    const { token } = this;
    const found = this.isEnd() ? 'the end' : this.lexer.text.slice(token.offset, token.end);
    const rest = advice === undefined ? '' : `: ${advice}`;
    throw new ExpressionError(`${expected}, found ${found}${rest}.`, token.offset);
  }
}

function isTrue(value: ReadonlyValue | undefined): boolean {
  return value !== undefined && value !== null && value !== false;
}

function compare(
  operator: Comparison,
  value: ReadonlyValue | undefined,
  wanted: ReadonlyValue | undefined,
): boolean {
  if (operator === '==') return equal(value, wanted);
  if (operator === '!=') return !equal(value, wanted);
  const [left, right] = alike(value, wanted);
  if (left === undefined || right === undefined) return false;
  if (operator === '>') return left > right;
  if (operator === '>=') return left >= right;
  return operator === '<' ? left < right : left <= right;
}

function equal(value: ReadonlyValue | undefined, wanted: ReadonlyValue | undefined): boolean {
  if (value === undefined || wanted === undefined) return false;
  if (value === wanted) return true;
  if (isNumber(value) !== isNumber(wanted)) {
    const [left, right] = alike(value, wanted);
    return left !== undefined && left === right;
  }
  return false;
}

/** Both as numbers, when one is a number and the other reads as one, else both as texts; undefined for other kinds. */
function alike(
  a: ReadonlyValue | undefined,
  b: ReadonlyValue | undefined,
): [string | number | bigint, string | number | bigint] | [undefined, undefined] {
  if (typeof a === 'string' && typeof b === 'string') return [a, b];
  const left = toNumber(a);
  const right = toNumber(b);
  return left === undefined || right === undefined ? [undefined, undefined] : [left, right];
}

function isNumber(value: ReadonlyValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

function toNumber(value: ReadonlyValue | undefined): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  if (/^-?\d{16,}$/.test(value)) return BigInt(value);
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}
