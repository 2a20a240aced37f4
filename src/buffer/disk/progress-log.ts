/**
 * Which records of the stored chunks are settled at which output, as lines of text, each with a checksum:
 *
 *   tailrace-progress 1 5e0c7a12
 *   1c291ca3 1795044000000001 es 0 512        records 0 to 511 of that frame are settled at output `es`
 *   9be03a11 1795044000000002 es *            the whole frame is
 *   5f1d2c40 1795044000000003 * *             at every output
 *   77aa0c31 1795044000000009 es > search     what frames with smaller ids keep for `es` is for `search` from here on
 *   a0b1c2d3 1795044000000009 * 0 0           nothing; no smaller id is given any more
 *
 * Lines are written as settling happens and are not synced by themselves: what a power cut takes is sent again. A damaged line is
 * skipped and counted; its records are sent again.
 */
import {
  closeSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Range } from '../../event/ranges.ts';
import { syncDirectory } from './sync-directory.ts';

const NAME = 'progress.log';
const VERSION = 1;
const TITLE = 'tailrace-progress';
const LINE = /^([0-9a-f]{8}) ((\d+) (\S+) (?:\*|(\d+) (\d+)|> (\S+)))$/;
const datasync = promisify(fdatasync);

export interface Settled {
  id: number;
  /** Undefined: every output. */
  output: string | undefined;
  /** Undefined: the whole frame. */
  range: Range | undefined;
}

export interface Renamed {
  /** Frames with smaller ids. */
  below: number;
  from: string;
  to: string;
}

export type ProgressEntry = Settled | Renamed;

export interface ReadProgress {
  /** In the order in which they were written. */
  entries: ProgressEntry[];
  damaged: number;
  /** Of another version; undefined when it is ours or there is none. */
  foreign?: number;
}

function line(entry: ProgressEntry): string {
  const body = 'below' in entry ? renamedText(entry) : settledText(entry);
  return `${checksum(body)} ${body}\n`;
}

function settledText({ id, output, range }: Settled): string {
  return `${id} ${output === undefined ? '*' : encode(output)} ${range === undefined ? '*' : range.join(' ')}`;
}

function renamedText({ below, from, to }: Renamed): string {
  return `${below} ${encode(from)} > ${encode(to)}`;
}

function encode(output: string): string {
  return encodeURIComponent(output.toWellFormed()).replaceAll('*', '%2A');
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

function parse(text: string): ProgressEntry | undefined {
  const match = LINE.exec(text);
  if (match === null || checksum(match[2] as string) !== match[1]) return undefined;
  const [, , , id, output = '*', from, to, renamed] = match;
  try {
    if (renamed !== undefined)
      return { below: Number(id), from: decodeURIComponent(output), to: decodeURIComponent(renamed) };
    return {
      id: Number(id),
      output: output === '*' ? undefined : decodeURIComponent(output),
      range: from === undefined ? undefined : [Number(from), Number(to)],
    };
  } catch {
    return undefined;
  }
}

/** Reads the log of a directory. Throws what the file system throws. */
export function readProgress(directory: string): ReadProgress {
  const file = join(directory, NAME);
  if (!existsSync(file)) return { entries: [], damaged: 0 };
  const lines = readFileSync(file, 'utf8').split('\n');
  // What stands behind the last line feed was cut short.
  const torn = lines.pop() === '' ? 0 : 1;
  const [title = '', ...rest] = lines;
  const version = /^tailrace-progress (\d+) ([0-9a-f]{8})$/.exec(title);
  const isTitle = version !== null && checksum(`${TITLE} ${version[1]}`) === version[2];
  if (isTitle && Number(version[1]) !== VERSION)
    return { entries: [], damaged: 0, foreign: Number(version[1]) };
  const entries: ProgressEntry[] = [];
  let damaged = torn + (isTitle || lines.length === 0 ? 0 : 1);
  for (const text of rest) {
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
  private descriptor: number | undefined;
  private pending: string[] = [];
  private unsynced = false;
  private syncFailed = false;
  /** The descriptor of which a sync is under way; it is closed when that is over. */
  private syncing: number | undefined;
  private closed = false;

  /** Of a directory in which {@link rewrite} begins the log; the one that is there counts until then. */
  constructor(directory: string) {
    this.directory = directory;
  }

  /** Nothing can be appended: {@link rewrite} has to begin anew. */
  get isStale(): boolean {
    return this.descriptor === undefined || this.syncFailed;
  }

  /** All that was taken in is durable. */
  get isSynced(): boolean {
    return this.pending.length === 0 && !this.unsynced && this.syncing === undefined && !this.isStale;
  }

  /** Takes an entry in; {@link write} writes it. */
  add(entry: ProgressEntry): void {
    // A log that is begun anew says all there is to say.
    if (!this.isStale && !this.closed) this.pending.push(line(entry));
  }

  /** Writes what was taken in. Throws what the file system throws; then all of it is written the next time, over what came of it. */
  write(): void {
    if (this.pending.length === 0 || this.descriptor === undefined) return;
    const bytes = Buffer.from(this.pending.join(''));
    writeAll(this.descriptor, bytes, this.size);
    this.size += bytes.length;
    this.pending = [];
    this.unsynced = true;
  }

  /**
   * Begins anew with only these entries, which say all that is still needed. Throws what the file system throws; then the old one
   * goes on.
   */
  rewrite(entries: Iterable<ProgressEntry>): void {
    if (this.closed) return;
    const old = this.descriptor;
    const title = `${TITLE} ${VERSION}`;
    let text = `${title} ${checksum(title)}\n`;
    for (const entry of entries) text += line(entry);
    const bytes = Buffer.from(text);
    this.descriptor = this.begin(bytes);
    this.size = bytes.length;
    this.pending = [];
    this.unsynced = false;
    this.syncFailed = false;
    if (old !== undefined) this.letGo(old);
  }

  private begin(bytes: Buffer): number {
    const file = join(this.directory, NAME);
    const descriptor = openSync(`${file}.new`, 'w', 0o600);
    try {
      writeAll(descriptor, bytes, 0);
      fdatasyncSync(descriptor);
      renameSync(`${file}.new`, file);
      syncDirectory(this.directory);
      return descriptor;
    } catch (error) {
      closeSync(descriptor);
      // It would take the room that a full disk lacks.
      rmSync(`${file}.new`, { force: true });
      throw error;
    }
  }

  /** Makes durable what is written. Throws what the file system throws; then the log has to be begun anew. */
  async sync(): Promise<void> {
    const { descriptor } = this;
    if (!this.unsynced || descriptor === undefined || this.syncing !== undefined) return;
    this.unsynced = false;
    this.syncing = descriptor;
    try {
      await datasync(descriptor);
    } catch (error) {
      // The kernel may have dropped the pages and forgotten the error.
      if (this.descriptor === descriptor) this.syncFailed = true;
      throw error;
    } finally {
      this.syncing = undefined;
      if (this.descriptor !== descriptor) closeSync(descriptor);
    }
  }

  close(): void {
    this.closed = true;
    const { descriptor } = this;
    this.descriptor = undefined;
    if (descriptor !== undefined) this.letGo(descriptor);
  }

  private letGo(descriptor: number): void {
    if (this.syncing !== descriptor) closeSync(descriptor);
  }
}

function writeAll(descriptor: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length;) {
    at += writeSync(descriptor, bytes, at, bytes.length - at, position + at);
  }
}
