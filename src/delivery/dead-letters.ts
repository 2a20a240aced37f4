/**
 * Dead letters: records that a destination will never take, kept as NDJSON that a person can read, one file per output:
 *
 *   {"time":"2026-11-20T20:00:00.123456789Z","tag":"app","output":"es","status":400,"reason":"…","attempts":1,
 *    "first_attempt":"…","last_attempt":"…","origin":{"source":"…","start":0,"stop":120},"record":{…}}
 *
 * A file that reaches its bound becomes `<output>.1.ndjson`, replacing the one before: its letters are counted as evicted.
 */
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Slice } from '../event/chunk.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** One record and why it is here. */
export interface DeadLetter {
  /** A slice of one record. */
  slice: Slice;
  status: number | undefined;
  reason: string;
  attempts: number;
  /** Monotonic milliseconds. */
  firstTriedAt: number;
}

/** Bytes of one file; an output has two at most. */
const MAX_FILE_BYTES = 32_000_000;

export class DeadLetters {
  private readonly directory: string;
  private readonly log: Logger;
  private readonly metrics: Metrics;
  private readonly maxBytes: number;

  constructor(options: { directory: string; log: Logger; metrics: Metrics; maxFileBytes?: number }) {
    this.directory = options.directory;
    this.log = options.log;
    this.metrics = options.metrics;
    this.maxBytes = options.maxFileBytes ?? MAX_FILE_BYTES;
  }

  /** Appends letters and syncs them. False when that failed: logged, and the caller counts the records as dropped. */
  write(output: string, letters: readonly DeadLetter[]): boolean {
    const file = join(this.directory, `${encodeURIComponent(output)}.ndjson`);
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      this.rotate(output, file);
      const descriptor = openSync(file, 'a', 0o600);
      try {
        writeAll(descriptor, Buffer.from(letters.map((letter) => line(output, letter)).join('')));
        fdatasyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
      return true;
    } catch (error) {
      this.log.error(
        { file, error, records: letters.length },
        'Cannot write dead letters; the records are dropped',
      );
      return false;
    }
  }

  private rotate(output: string, file: string): void {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < this.maxBytes) return;
    const old = file.replace(/\.ndjson$/, '.1.ndjson');
    if (statSync(old, { throwIfNoEntry: false }) !== undefined) {
      this.metrics
        .counter('tailrace_dead_letters_evicted_total', 'Dead letters that went to make room for newer ones.')
        .labels({ name: output }).value += readFileSync(old).filter((byte) => byte === 10).length;
    }
    renameSync(file, old);
  }
}

function line(output: string, { slice, status, reason, attempts, firstTriedAt }: DeadLetter): string {
  const now = Date.now();
  const first = now - (performance.now() - firstTriedAt);
  const head = JSON.stringify({
    time: timeOf(slice),
    tag: slice.tag,
    output,
    status,
    reason,
    attempts,
    first_attempt: new Date(first).toISOString(),
    last_attempt: new Date(now).toISOString(),
    origin: slice.origin(0),
  });
  return `${head.slice(0, -1)},"record":${slice.json(0)}}\n`;
}

/** RFC 3339 with nanoseconds; the number itself where there is no such date. */
function timeOf(slice: Slice): string {
  const date = new Date(slice.seconds(0) * 1000);
  if (Number.isNaN(date.getTime())) return String(slice.seconds(0));
  return `${date.toISOString().slice(0, -5)}.${String(slice.nanos(0)).padStart(9, '0')}Z`;
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
}
