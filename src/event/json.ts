/**
 * JSON in and out without losing what JavaScript numbers cannot hold.
 *
 * `JSON.parse` rounds integers past 2^53 and turns 1e400 into Infinity, which `JSON.stringify` then writes as null.
 * Texts that hold such a number are rare: they are found by one regular expression and parsed again by source text
 * (`context.source`, https://tc39.es/proposal-json-parse-with-source/).
 */
import type { LogRecord, Value } from './record.ts';

/** Finds texts with a number that a double may not hold. May be wrong in one direction only: digits inside strings. */
const SUSPICIOUS = /\d{16}|\d[eE]\+?\d{3}/;

/** True when the text may hold a number that plain `JSON.parse` would change. */
export function hasWideNumber(text: string): boolean {
  return SUSPICIOUS.test(text);
}

/** Like `JSON.parse`, but integers past 2^53 come as bigint and numbers out of range as their text. */
export function parseExact(text: string): Value {
  if (!SUSPICIOUS.test(text)) return JSON.parse(text) as Value;
  return JSON.parse(text, keepDigits) as Value;
}

function keepDigits(_key: string, value: Value, context?: { source?: string }): Value {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  if (source === undefined) return value;
  if (/^-?\d+$/.test(source)) return BigInt(source);
  return Number.isFinite(value) ? value : source;
}

/** The JSON text of a record on one line; bigint values keep their digits. */
export function recordToJson(record: LogRecord): string {
  return JSON.stringify(record);
}

/** The JSON text of any value. */
export function valueToJson(value: Value): string {
  return JSON.stringify(value);
}

declare global {
  interface JSON {
    rawJSON(text: string): unknown;
  }
  interface BigInt {
    toJSON(): unknown;
  }
}

// JSON.stringify throws on a bigint unless it knows toJSON: give it the digits, unquoted.
if (!Object.hasOwn(BigInt.prototype, 'toJSON')) {
  // oxlint-disable-next-line no-extend-native -- the hook that JSON.stringify offers
  Object.defineProperty(BigInt.prototype, 'toJSON', {
    value(this: bigint) {
      return JSON.rawJSON(this.toString());
    },
    configurable: true,
    writable: true,
  });
}
