/** Numbered lines with a checksum, `S=<stream>:<n>;<crc> <padding>`, and who writes them: what the judge of a test looks for. */
import { closeSync, existsSync, openSync, renameSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { crc32 } from 'node:zlib';

export interface NumberedLine {
  stream: string;
  n: number;
}

/** One line, without its end. */
export function numbered(stream: string, n: number, padding = 0): string {
  const body = `${stream}:${n}`;
  const line = `S=${body};${checksum(body)}`;
  return padding === 0 ? line : `${line} ${'x'.repeat(padding)}`;
}

/** Reads a line; undefined when it is torn or of somebody else. */
export function readNumbered(text: string): NumberedLine | undefined {
  const match = /^S=(([^:]+):(\d+));([0-9a-f]+)(?: x+)?$/.exec(text);
  if (match === null) return undefined;
  const [, body = '', stream = '', n, crc] = match;
  return checksum(body) === crc ? { stream, n: Number(n) } : undefined;
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(8, '0');
}

/** Lines `from` up to before `to`, each with its end. */
export function numberedLines(stream: string, from: number, to: number, padding = 0): string {
  let text = '';
  for (let n = from; n < to; n++) text += `${numbered(stream, n, padding)}\n`;
  return text;
}

/** Renames `path.1` to `path.2` and so on, then `path` to `path.1`. */
export function rotate(path: string): void {
  let last = 0;
  while (existsSync(`${path}.${last + 1}`)) last++;
  for (let index = last; index > 0; index--) renameSync(`${path}.${index}`, `${path}.${index + 1}`);
  renameSync(path, `${path}.1`);
}

export interface WriterOptions {
  path: string;
  stream: string;
  /** Bytes of padding per line. */
  padding?: number;
  /** Lines after which the file is rotated by rename; never without it. */
  rotateEvery?: number;
  /** Asked before a rotation with the number of the file's first line; while it is false the file grows on. */
  mayRotate?: (first: number) => boolean;
}

/** Appends numbered lines to a file as an application would that reopens its log after a rotation. */
export class NumberedWriter {
  /** Number of the next line. */
  next = 0;
  rotations = 0;
  private readonly options: WriterOptions;
  private descriptor: number;
  /** Number of the first line of the file. */
  private first = 0;

  constructor(options: WriterOptions) {
    this.options = options;
    this.descriptor = openSync(options.path, 'a');
  }

  /** Appends `count` lines with one write; rotates if it is time. */
  append(count: number): void {
    const { stream, padding, rotateEvery = Number.POSITIVE_INFINITY, mayRotate } = this.options;
    writeSync(this.descriptor, numberedLines(stream, this.next, this.next + count, padding));
    this.next += count;
    if (this.next - this.first >= rotateEvery && mayRotate?.(this.first) !== false) this.rotate();
  }

  /** Renames the file away and begins a new one. */
  rotate(): void {
    closeSync(this.descriptor);
    rotate(this.options.path);
    this.descriptor = openSync(this.options.path, 'a');
    this.first = this.next;
    this.rotations++;
  }

  /** Writes `total` lines, `count` every `everyMs` milliseconds: the pace of an application, not a wait for anything. */
  async pace(total: number, count: number, everyMs: number, enough?: AbortSignal): Promise<void> {
    while (this.next < total) {
      if (enough?.aborted === true) return;
      this.append(Math.min(count, total - this.next));
      await pause(everyMs);
    }
  }

  close(): void {
    closeSync(this.descriptor);
  }
}
