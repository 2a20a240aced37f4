/**
 * Records that are hard to carry, each with its number, and the judge of what a store has of them: unicode, nesting, nulls, integers of
 * 64 bits, times with nanoseconds.
 */
import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';
import { parseExact } from '../../../src/event/json.ts';
import type { Value } from '../../../src/event/record.ts';

/** Unix seconds of record 0: the last full hour, since stores refuse what is old. */
export const FIRST_SECOND = Math.floor(Date.now() / 3_600_000) * 3600 - 3600;
const RECORDS_PER_SECOND = 100;
const TEXTS = ['plain', 'grüße', '日本語', '😀 \\u2028 \\"quoted\\" \\\\ back', 'tab\\tline\\nbreak', ''];

/** The time of a record: Unix seconds and nanoseconds. */
export function timeOf(n: number): { seconds: number; nanos: number } {
  const seconds = FIRST_SECOND + Math.floor(n / RECORDS_PER_SECOND);
  return { seconds, nanos: (n % RECORDS_PER_SECOND) * 10_000_000 + (n % 997) };
}

/** The time of a record in nanoseconds since 1970. */
export function nanosOf(n: number): bigint {
  const { seconds, nanos } = timeOf(n);
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
}

function isoTime(n: number): string {
  const { seconds, nanos } = timeOf(n);
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(nanos).padStart(9, '0')}Z`;
}

/** The members of a record as JSON text, without braces and without its time. */
function members(n: number): string {
  const text = TEXTS[n % TEXTS.length] ?? '';
  return (
    `"n":${n},"level":"${n % 10 === 0 ? 'error' : 'info'}","text":"${text}",` +
    `"big":${9_007_199_254_740_993n + BigInt(n)},"negative":-9223372036854775808,"float":${n + 0.25},` +
    `"flag":${n % 2 === 0},"nothing":null,"nested":{"a":{"b":[${n},null,{"c":"ü${n}"}]},"empty":{}}`
  );
}

/** The record that a store should have. */
export function recordOf(n: number): Value {
  return parseExact(`{${members(n)}}`);
}

/** The line of the file: the record and its time, which the parser `records` takes out. */
export function lineOf(n: number): string {
  return `{"time":"${isoTime(n)}",${members(n)}}\n`;
}

/** Appends the lines of records `from` to `to` (exclusive) to a file. */
export function appendRecords(path: string, from: number, to: number): void {
  for (let start = from; start < to; start += 1000) {
    let text = '';
    for (let n = start; n < Math.min(to, start + 1000); n++) text += lineOf(n);
    appendFileSync(path, text);
  }
}

/** The parser for these lines, and a tail input of `path`: the beginning of a pipeline file; append `  outputs:` and what follows. */
export function recordsPipeline(path: string, { tag = 'app' }: { tag?: string } = {}): string {
  return `service:
  flush: 0.2
  grace: 30
  scheduler.base: 0.1
  scheduler.cap: 1
parsers:
  - name: records
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%LZ'
pipeline:
  inputs:
    - name: tail
      path: ${path}
      tag: ${tag}
      read_from_head: true
      parser: records
`;
}

/** What a store has: how often each record, and which are not as they should be. */
export class Found {
  readonly counts = new Map<number, number>();
  readonly wrong: { found: unknown; expected: unknown }[] = [];
  total = 0;

  /** Takes what a store has of one record, with the time in nanoseconds where the store keeps it. */
  add(record: Value, nanos?: bigint): void {
    this.total++;
    const n = (record as { n?: unknown } | null)?.n;
    if (typeof n !== 'number') {
      this.wrong.push({ found: record, expected: 'a record with a number' });
      return;
    }
    this.counts.set(n, (this.counts.get(n) ?? 0) + 1);
    const expected = recordOf(n);
    if (!isSame(record, expected)) this.wrong.push({ found: record, expected });
    if (nanos !== undefined && nanos !== nanosOf(n))
      this.wrong.push({ found: `${n} at ${nanos}`, expected: `${n} at ${nanosOf(n)}` });
  }

  /** All of the first `total` records are there as they were; `once`: none of them twice. */
  expectComplete(total: number, { once }: { once: boolean }): void {
    const missing: number[] = [];
    for (let n = 0; n < total; n++) if (!this.counts.has(n)) missing.push(n);
    expect(missing.slice(0, 20), `${missing.length} of ${total} records are missing`).toEqual([]);
    expect(this.wrong.slice(0, 3), `${this.wrong.length} records differ`).toEqual([]);
    expect(this.counts.size).toBe(total);
    if (once) expect(this.total, 'records beyond the first copies').toBe(total);
  }
}

/** Equality of JSON values; far cheaper than a matcher for 100,000 of them. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every(
      (key) =>
        Object.hasOwn(b, key) &&
        isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
    )
  );
}
