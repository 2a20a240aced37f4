/**
 * Record accessors: how a configuration names a value inside a record.
 *
 *     key                a plain name: exactly this top-level key, dots and all
 *     $key               the same
 *     $key['sub']['x']   keys of nested maps; a quote inside a key is doubled ('it''s')
 *     $key['list'][0]    an index of a list, from 0
 *
 * Fluent Bit ends the name behind a `$` at the first dot and ignores the rest: `$a.b` reads `a`. Here that is an error.
 *
 * Source: https://docs.fluentbit.io/manual/administration/configuring-fluent-bit/classic-mode/record-accessor
 */
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';

/** One step into a value: a key of a map, or an index of a list. */
export type PathStep = string | number;

/** Finds a value; undefined when some step of the way is not there. Own properties only. */
export type Accessor = (record: ReadonlyRecord) => ReadonlyValue | undefined;

/** Thrown for an accessor that cannot be read; `offset` counts characters of the accessor from 0. */
export class AccessorSyntaxError extends Error {
  override name = 'AccessorSyntaxError';
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Compiles an accessor, plain or with `$`. Throws {@link AccessorSyntaxError}. */
export function compileAccessor(text: string): Accessor {
  return compilePath(parseAccessor(text));
}

/** Reads an accessor, plain or with `$`, into its steps. Throws {@link AccessorSyntaxError}. */
export function parseAccessor(text: string): PathStep[] {
  if (text === '') throw new AccessorSyntaxError('The name of a key is missing.', 0);
  if (!text.startsWith('$')) return [text];
  const { path, end } = scanAccessor(text, 0);
  if (end < text.length) {
    throw new AccessorSyntaxError(
      text[end] === '.'
        ? `A "." cannot follow "${text.slice(0, end)}": write $${String(path[0])}['…'] for a nested key.`
        : `Unexpected "${text[end]}" after "${text.slice(0, end)}": an accessor reads $key['nested'][0].`,
      end,
    );
  }
  return path;
}

/** Characters that end the name behind a `$`. */
const NAME_END = /[\s.,;"'()[\]{}$]/;

/** Whether a text begins with `$` and a name. */
export function startsAccessor(text: string): boolean {
  return text.length > 1 && text.startsWith('$') && !NAME_END.test(text.charAt(1));
}

/**
 * Reads an accessor that starts with the `$` at `start` as far as it goes; `end` is the offset behind it.
 * Throws {@link AccessorSyntaxError}.
 */
export function scanAccessor(text: string, start: number): { path: PathStep[]; end: number } {
  let end = start + 1;
  while (end < text.length && !NAME_END.test(text.charAt(end))) end++;
  if (end === start + 1) throw new AccessorSyntaxError('The name of a key must follow "$".', start);
  const path: PathStep[] = [text.slice(start + 1, end)];
  end = scanSteps(text, end, path);
  return { path, end };
}

/** Reads `['key']` and `[0]` steps as long as there are any, onto `path`; returns the offset behind them. */
export function scanSteps(text: string, start: number, path: PathStep[]): number {
  let at = start;
  while (text[at] === '[') {
    const quote = text[at + 1];
    if (quote === "'" || quote === '"') {
      const key = scanQuoted(text, at + 1, quote);
      path.push(key.value);
      at = key.end;
    } else {
      const digits = /^\d+/.exec(text.slice(at + 1))?.[0];
      if (digits === undefined) {
        throw new AccessorSyntaxError(
          'A key in quotes or an index must follow "[": [\'key\'] or [0].',
          at + 1,
        );
      }
      path.push(Number(digits));
      at += 1 + digits.length;
    }
    if (text[at] !== ']') throw new AccessorSyntaxError('A closing "]" is missing.', at);
    at++;
  }
  return at;
}

/** Reads a quoted key; a doubled quote stands for one. `start` is the opening quote. */
function scanQuoted(text: string, start: number, quote: string): { value: string; end: number } {
  let value = '';
  let at = start + 1;
  for (;;) {
    const close = text.indexOf(quote, at);
    if (close === -1) throw new AccessorSyntaxError(`The closing quote ${quote} is missing.`, start);
    value += text.slice(at, close);
    if (text[close + 1] !== quote) return { value, end: close + 1 };
    value += quote;
    at = close + 2;
  }
}

/** Compiles steps; an empty path is the record itself. */
export function compilePath(path: readonly PathStep[]): Accessor {
  const [first, second] = path;
  if (path.length === 0) return (record) => record;
  if (path.length === 1 && typeof first === 'string' && !isInherited(first)) return (record) => record[first];
  if (path.length === 2 && typeof first === 'string' && typeof second === 'string') {
    return (record) => stepInto(stepInto(record, first), second);
  }
  const steps = [...path];
  return (record) => {
    let value: ReadonlyValue | undefined = record;
    for (const step of steps) {
      value = stepInto(value, step);
      if (value === undefined) return undefined;
    }
    return value;
  };
}

/** Whether every object has a property of this name, so that reading it would find what no record holds. */
function isInherited(key: string): boolean {
  return key in Object.prototype;
}

function stepInto(value: ReadonlyValue | undefined, step: PathStep): ReadonlyValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (typeof step === 'number') return isList(value) ? value[step] : undefined;
  if (isList(value) || !Object.hasOwn(value, step)) return undefined;
  return value[step];
}

// Array.isArray does not narrow a readonly list away from a record.
function isList(value: ReadonlyRecord | readonly ReadonlyValue[]): value is readonly ReadonlyValue[] {
  return Array.isArray(value);
}
