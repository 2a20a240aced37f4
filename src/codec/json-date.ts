/**
 * The event's time inside a JSON record: the values of `json_date_format`.
 *
 * A time is written as what the second alone decides, kept for the next record, a number of digits, and an end.
 *
 * Source: https://docs.fluentbit.io/manual/data-pipeline/outputs/stdout
 */
import { epochMicros } from './epoch.ts';

export const JSON_DATE_FORMATS = [
  'double',
  'epoch',
  'epoch_ms',
  'epoch_millis',
  'epoch_milliseconds',
  'iso8601',
  'java_sql_timestamp',
] as const;

/** Those, and the date with nanoseconds that some outputs have. */
export type JsonDateFormat = (typeof JSON_DATE_FORMATS)[number] | 'iso8601_ns';

/** No date is longer. Bytes. */
export const MAX_DATE_LENGTH = 40;

/** Writes the JSON text of a time, a number or a quoted string, at an offset; returns the offset behind it. */
export type JsonDate = (into: Uint8Array, at: number, seconds: number, nanos: number) => number;

interface Shape {
  /** What stands before the digits; undefined for a second that no calendar has. */
  prefix: (seconds: number) => string | undefined;
  /** Digits of the fraction, and nanoseconds per unit of the last one. */
  digits: number;
  unit: number;
  suffix: string;
}

const ZERO = 48;
const NANOS_PER_MICRO = 1000;
const NANOS_PER_MILLI = 1_000_000;
const MICROS_PER_SECOND = 1_000_000;
const MICRO_DIGITS = 6;
const NANO_DIGITS = 9;

/** Makes the writer of a format. */
export function jsonDate(format: JsonDateFormat): JsonDate {
  switch (format) {
    case 'double':
      return doubleDate();
    case 'epoch':
      return shaped({ prefix: String, digits: 0, unit: 1, suffix: '' });
    case 'epoch_ms':
    case 'epoch_millis':
    case 'epoch_milliseconds':
      return milliDate();
    case 'iso8601':
      return shaped({
        prefix: (seconds) => calendar(seconds, 'T'),
        digits: MICRO_DIGITS,
        unit: NANOS_PER_MICRO,
        suffix: 'Z"',
      });
    case 'iso8601_ns':
      return shaped({
        prefix: (seconds) => calendar(seconds, 'T'),
        digits: NANO_DIGITS,
        unit: 1,
        suffix: 'Z"',
      });
    case 'java_sql_timestamp':
      return shaped({
        prefix: (seconds) => calendar(seconds, ' '),
        digits: MICRO_DIGITS,
        unit: NANOS_PER_MICRO,
        suffix: '"',
      });
  }
}

function shaped({ prefix, digits, unit, suffix }: Shape): JsonDate {
  let lastSecond = Number.NaN;
  let head: Uint8Array | undefined;
  const tail = Buffer.from(suffix);
  return (into, at, seconds, nanos) => {
    if (seconds !== lastSecond) {
      lastSecond = seconds;
      const text = prefix(seconds);
      head = text === undefined ? undefined : Buffer.from(text);
    }
    if (head === undefined) return writeText(`"${epochMicros(seconds, nanos)}"`, into, at);
    const afterHead = writeBytes(head, into, at);
    writeDigits(Math.trunc(nanos / unit), digits, into, afterHead);
    return writeBytes(tail, into, afterHead + digits);
  };
}

/** Sixteen significant digits, which leaves microseconds, rounded; a whole second ends in `.0`. */
function doubleDate(): JsonDate {
  const write = shaped({ prefix: (seconds) => `${seconds}.`, digits: MICRO_DIGITS, unit: 1, suffix: '' });
  return (into, at, seconds, nanos) => {
    if (seconds < 0) return writeText(String(Number(epochMicros(seconds, nanos))), into, at);
    const micros = Math.round(nanos / NANOS_PER_MICRO);
    let end =
      micros === MICROS_PER_SECOND ? write(into, at, seconds + 1, 0) : write(into, at, seconds, micros);
    const shortest = end - MICRO_DIGITS + 1;
    while (end > shortest && into[end - 1] === ZERO) end--;
    return end;
  };
}

function milliDate(): JsonDate {
  const write = shaped({ prefix: String, digits: 3, unit: NANOS_PER_MILLI, suffix: '' });
  return (into, at, seconds, nanos) =>
    seconds > 0
      ? write(into, at, seconds, nanos)
      : writeText(String(seconds * 1000 + Math.trunc(nanos / NANOS_PER_MILLI)), into, at);
}

/** UTC to the second: `"2023-11-14T22:13:20.`. */
function calendar(seconds: number, separator: string): string | undefined {
  const date = new Date(seconds * 1000);
  // A record may claim any time.
  if (Number.isNaN(date.getTime())) return undefined;
  return `"${date.toISOString().slice(0, -5).replace('T', separator)}.`;
}

function writeDigits(value: number, digits: number, into: Uint8Array, at: number): void {
  let rest = value;
  for (let index = digits - 1; index >= 0; index--) {
    const tenth = Math.trunc(rest / 10);
    into[at + index] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
}

function writeBytes(bytes: Uint8Array, into: Uint8Array, at: number): number {
  for (let index = 0; index < bytes.length; index++) into[at + index] = bytes[index] as number;
  return at + bytes.length;
}

function writeText(text: string, into: Uint8Array, at: number): number {
  for (let index = 0; index < text.length; index++) into[at + index] = text.charCodeAt(index);
  return at + text.length;
}
