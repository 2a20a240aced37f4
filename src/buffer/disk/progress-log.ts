/**
 * Which records of the stored chunks are settled at which output, as lines of text, each with a checksum:
 *
 *   tailrace-progress 1
 *   1c291ca3 1795044000000001 es 0 512        records 0 to 511 of that frame are settled at output `es`
 *   9be03a11 1795044000000002 es *            the whole frame is
 *   5f1d2c40 1795044000000003 * *             at every output
 *
 * Lines are written as settling happens and are not synced by themselves: what a power cut takes is sent again. A damaged line is
 * skipped and counted; its records are sent again.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Range } from '../../event/ranges.ts';

const NAME = 'progress.log';
const VERSION = 1;
const TITLE = 'tailrace-progress';

export interface ProgressEntry {
  id: number;
  /** Undefined: every output. */
  output: string | undefined;
  /** Undefined: the whole frame. */
  range: Range | undefined;
}

export interface ReadProgress {
  entries: ProgressEntry[];
  damaged: number;
  /** Of a newer version; undefined when it is ours or there is none. */
  newer?: number;
}

function line({ id, output, range }: ProgressEntry): string {
  const body = `${id} ${output === undefined ? '*' : encodeURIComponent(output).replaceAll('*', '%2A')} ${range === undefined ? '*' : range.join(' ')}`;
  return `${checksum(body)} ${body}\n`;
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

function parse(text: string): ProgressEntry | undefined {
  const match = /^([0-9a-f]{8}) ((\d+) (\S+) (?:\*|(\d+) (\d+)))$/.exec(text);
  if (match === null || checksum(match[2] as string) !== match[1]) return undefined;
  const [, , , id, output = '*', from, to] = match;
  return {
    id: Number(id),
    output: output === '*' ? undefined : decodeURIComponent(output),
    range: from === undefined ? undefined : [Number(from), Number(to)],
  };
}

/** Reads the log of a directory. Throws what the file system throws. */
export function readProgress(directory: string): ReadProgress {
  const file = join(directory, NAME);
  if (!existsSync(file)) return { entries: [], damaged: 0 };
  const lines = readFileSync(file, 'utf8').split('\n');
  // What stands behind the last line feed was cut short.
  const torn = lines.pop() !== '' ? 1 : 0;
  const [title = '', ...rest] = lines;
  const version = /^tailrace-progress (\d+) ([0-9a-f]{8})$/.exec(title);
  const isTitle = version !== null && checksum(`${TITLE} ${version[1]}`) === version[2];
  if (isTitle && Number(version[1]) > VERSION) return { entries: [], damaged: 0, newer: Number(version[1]) };
  const entries: ProgressEntry[] = [];
  let damaged = torn + (isTitle || lines.length === 0 ? 0 : 1);
  for (const text of rest) {
    if (text === '') continue;
    const entry = parse(text);
    if (entry === undefined) damaged++;
    else entries.push(entry);
  }
  return { entries, damaged };
}

export class ProgressLog {
  /** Bytes that are written. */
  size = 0;
  private readonly directory: string;
  private descriptor: number;
  private pending: string[] = [];
  private unsynced = false;
  /** The last write may have left half a line. */
  private cut = false;

  /** Begins a new log with these entries in place of the one that is there. Throws what the file system throws. */
  constructor(directory: string, entries: Iterable<ProgressEntry>) {
    this.directory = directory;
    this.descriptor = this.begin(entries);
  }

  private begin(entries: Iterable<ProgressEntry>): number {
    const file = join(this.directory, NAME);
    const descriptor = openSync(`${file}.new`, 'w', 0o600);
    try {
      const title = `${TITLE} ${VERSION}`;
      let text = `${title} ${checksum(title)}\n`;
      for (const entry of entries) text += line(entry);
      writeAll(descriptor, text);
      fdatasyncSync(descriptor);
      renameSync(`${file}.new`, file);
      syncDirectory(dirname(file));
      this.size = Buffer.byteLength(text);
      this.unsynced = false;
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** Takes an entry in; {@link write} writes it. */
  add(entry: ProgressEntry): void {
    this.pending.push(line(entry));
  }

  /** Writes what was taken in. Throws what the file system throws; then all of it is written the next time. */
  write(): void {
    if (this.pending.length === 0) return;
    const text = `${this.cut ? '\n' : ''}${this.pending.join('')}`;
    this.cut = true;
    writeAll(this.descriptor, text);
    this.cut = false;
    this.size += text.length;
    this.pending = [];
    this.unsynced = true;
  }

  /** Begins anew with only these entries, which say all that is still needed. Throws what the file system throws. */
  rewrite(entries: Iterable<ProgressEntry>): void {
    const old = this.descriptor;
    this.descriptor = this.begin(entries);
    this.pending = [];
    closeSync(old);
  }

  sync(): void {
    if (!this.unsynced) return;
    fdatasyncSync(this.descriptor);
    this.unsynced = false;
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** Makes a new or renamed entry of a directory durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function writeAll(descriptor: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
}
