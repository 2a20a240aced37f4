/** A parser's `types`: what the text of a field is made into. Texts are read as C reads them: as far as they are a number. */
import type { Value } from '../event/record.ts';

export type Cast = (text: string) => Value;

const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;

function exact(value: bigint): Value {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Reads the digits that a text begins with; 0 for none, the text itself when they are out of range. */
function integer(text: string): Value {
  const digits = /^\s*([+-]?\d{1,40})/.exec(text)?.[1];
  if (digits === undefined) return 0;
  if (digits.length <= 15) return Number(digits) + 0;
  const value = BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
  return value > MAX_INT64 || value < MIN_INT64 ? text : exact(value);
}

function hexadecimal(text: string): Value {
  const digits = /^\s*(?:0[xX])?([0-9a-fA-F]{1,40})/.exec(text)?.[1];
  if (digits === undefined) return 0;
  const value = BigInt(`0x${digits}`);
  return value > MAX_UINT64 ? text : exact(value);
}

function float(text: string): Value {
  // parseFloat takes "Infinity" too, which JSON has no number for.
  const value = Number.parseFloat(text);
  if (Number.isNaN(value)) return 0;
  return Number.isFinite(value) ? value : text;
}

function bool(text: string): Value {
  if (/^true/i.test(text)) return true;
  return /^false/i.test(text) ? false : text;
}

const CASTS: Readonly<Record<string, Cast | undefined>> = {
  string: undefined,
  int: integer,
  integer,
  hex: hexadecimal,
  float,
  bool,
  boolean: bool,
};

/** `types` that cannot be read. */
export class CastError extends Error {
  override name = 'CastError';
}

/**
 * Reads `types`: `field:type` pairs with blanks or commas between them.
 *
 * @throws CastError for a pair that is none or a type that is not known.
 */
export function compileCasts(types: string): ReadonlyMap<string, Cast> {
  const casts = new Map<string, Cast>();
  for (const pair of types.split(/[\s,]+/)) {
    if (pair === '') continue;
    const colon = pair.lastIndexOf(':');
    const name = pair.slice(colon + 1).toLowerCase();
    if (colon < 1) throw new CastError(`"${pair}" names no type; write field:type, such as code:integer.`);
    if (!Object.hasOwn(CASTS, name)) {
      throw new CastError(`"${name}" is no type; there are string, integer, float, bool and hex.`);
    }
    const cast = CASTS[name];
    if (cast !== undefined) casts.set(pair.slice(0, colon), cast);
  }
  return casts;
}
