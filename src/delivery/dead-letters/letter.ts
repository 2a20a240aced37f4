/**
 * A dead letter as a line of NDJSON, `record` last, so that what is about the record stands before it:
 *
 *   {"time":"2026-11-20T20:00:00.123456789Z","tag":"app","output":"es","status":400,"reason":"…","attempts":1,
 *    "first_attempt":"…","last_attempt":"…","origin":{"source":"…","start":0,"stop":120},"metadata":{…},"record":{…}}
 *
 * `status`, `origin` and `metadata` are there only if known. A time that is no date is the number of seconds as text.
 */
import type { Origin, Slice } from '../../event/chunk.ts';
import { parseExact } from '../../event/json.ts';
import { isRecord } from '../../event/record.ts';
import type { LogRecord, Value } from '../../event/record.ts';
import { memberText } from '../../codec/member-text.ts';

/** One record and why it is here. */
export interface DeadLetter {
  /** A slice of one record. */
  slice: Slice;
  status: number | undefined;
  reason: string;
  /** Attempts of this run through the queue. */
  attempts: number;
  /** Monotonic milliseconds. */
  firstTriedAt: number;
}

/** What a letter that was sent again knows of its first life. */
export interface EarlierLife {
  attempts: number;
  /** RFC 3339; undefined when the letter did not say it. */
  firstAttempt: string | undefined;
  origin: Origin | undefined;
}

/** A letter as read back. */
export interface StoredLetter {
  /** As written. */
  time: string;
  /** Unix seconds; not finite when the record had no time. */
  seconds: number;
  nanos: number;
  tag: string;
  output: string;
  status: number | undefined;
  reason: string;
  attempts: number;
  firstAttempt: string | undefined;
  lastAttempt: string | undefined;
  origin: Origin | undefined;
  metadata: LogRecord | undefined;
  record: LogRecord;
  /** The record's JSON, byte for byte as it was refused. */
  text: string;
}

/** The line with its end. `now` is Unix milliseconds. */
export function writeLetter(
  output: string,
  letter: DeadLetter,
  earlier: EarlierLife | undefined,
  now: number,
): string {
  const { slice, status, reason, attempts, firstTriedAt } = letter;
  const first = new Date(now - (performance.now() - firstTriedAt)).toISOString();
  const head = JSON.stringify({
    time: timeText(slice.seconds(0), slice.nanos(0)),
    tag: slice.tag,
    output,
    status,
    reason,
    attempts: attempts + (earlier?.attempts ?? 0),
    first_attempt: earlier?.firstAttempt ?? first,
    last_attempt: new Date(now).toISOString(),
    origin: earlier === undefined ? slice.origin(0) : earlier.origin,
    metadata: slice.metadata(0),
  });
  return `${head.slice(0, -1)},"record":${slice.json(0)}}\n`;
}

/** Reads a line without its end; undefined when it is no letter. Takes lines that a person has edited. Never throws. */
export function readLetter(line: string): StoredLetter | undefined {
  let letter: Value;
  try {
    letter = parseExact(line);
  } catch {
    return undefined;
  }
  if (!isRecord(letter)) return undefined;
  const { time, tag, output, record, metadata } = letter;
  if (typeof time !== 'string' || typeof tag !== 'string' || typeof output !== 'string') return undefined;
  if (!isRecord(record)) return undefined;
  return {
    time,
    ...readTime(time),
    tag,
    output,
    status: typeof letter['status'] === 'number' ? letter['status'] : undefined,
    reason: asText(letter['reason']) ?? '',
    attempts: isCount(letter['attempts']) ? letter['attempts'] : 0,
    firstAttempt: asText(letter['first_attempt']),
    lastAttempt: asText(letter['last_attempt']),
    origin: readOrigin(letter['origin']),
    metadata: isRecord(metadata) ? metadata : undefined,
    record,
    text: memberText(line, 'record') ?? JSON.stringify(record),
  };
}

/** RFC 3339 with nanoseconds; the number itself where there is no such date. */
function timeText(seconds: number, nanos: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return String(seconds);
  return `${date.toISOString().slice(0, -5)}.${String(nanos).padStart(9, '0')}Z`;
}

function readTime(text: string): { seconds: number; nanos: number } {
  const [, date, fraction = ''] = /^(.+T\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  if (date === undefined) return { seconds: Number(text), nanos: 0 };
  return { seconds: Date.parse(`${date}Z`) / 1000, nanos: Number(fraction.padEnd(9, '0')) };
}

function readOrigin(value: Value | undefined): Origin | undefined {
  if (value === undefined || !isRecord(value)) return undefined;
  const { source, start, stop } = value;
  if (typeof source !== 'string' || !isCount(start) || !isCount(stop) || stop < start) return undefined;
  return { source, start, stop };
}

function isCount(value: Value | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function asText(value: Value | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
