/**
 * One segment on disk: a header and frames, appended to until it is sealed, then only read.
 *
 *   0   8  "TAILRACE"        8   4  version        12  4  CRC-32 of the twelve bytes before
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const MAGIC = Buffer.from('TAILRACE');
export const VERSION = 1;
export const SEGMENT_HEADER_BYTES = 16;
const SUFFIX = '.segment';

/** The name of the segment with this number. */
export function segmentName(number: number): string {
  return `${String(number).padStart(10, '0')}${SUFFIX}`;
}

/** The number of a segment's file; undefined for other files. */
export function segmentNumber(name: string): number | undefined {
  const match = /^(\d{10,15})\.segment$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function segmentHeader(): Buffer {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  MAGIC.copy(header, 0);
  header.writeUInt32LE(VERSION, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 12)), 12);
  return header;
}

/** The version that a segment's header names; undefined when the header is damaged or cut. */
export function readVersion(file: string): number | undefined {
  const header = Buffer.alloc(SEGMENT_HEADER_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    if (readSync(descriptor, header, 0, SEGMENT_HEADER_BYTES, 0) < SEGMENT_HEADER_BYTES) return undefined;
  } finally {
    closeSync(descriptor);
  }
  if (
    MAGIC.compare(header, 0, MAGIC.length) !== 0 ||
    crc32(header.subarray(0, 12)) !== header.readUInt32LE(12)
  )
    return undefined;
  return header.readUInt32LE(8);
}

/** A segment that is written to. */
export class SegmentWriter {
  readonly file: string;
  /** Bytes that are written whole. */
  size = SEGMENT_HEADER_BYTES;
  private readonly handle: FileHandle;
  /** What an append that failed has left may stand behind `size`. */
  private isDirty = false;

  private constructor(file: string, handle: FileHandle) {
    this.file = file;
    this.handle = handle;
  }

  /** Makes a new one; the caller syncs its directory. Throws what the file system throws; then there is no such file. */
  static async create(file: string): Promise<SegmentWriter> {
    const handle = await open(file, 'wx', 0o600);
    const segment = new SegmentWriter(file, handle);
    try {
      await segment.writeAll(segmentHeader(), 0);
    } catch (error) {
      // One would be left behind at every try while the disk is full.
      await segment.discard().catch(() => undefined);
      throw error;
    }
    return segment;
  }

  /** Appends. On an error nothing of it counts and none of it stays, so that no whole frame of it can be found later. */
  async append(bytes: Buffer): Promise<void> {
    if (this.isDirty) await this.cut();
    try {
      await this.writeAll(bytes, this.size);
      this.size += bytes.length;
    } catch (error) {
      this.isDirty = true;
      await this.cut().catch(() => undefined);
      throw error;
    }
  }

  private async cut(): Promise<void> {
    await this.handle.truncate(this.size);
    this.isDirty = false;
  }

  private async writeAll(bytes: Buffer, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.handle.write(bytes, at, bytes.length - at, offset + at);
      at += bytesWritten;
    }
  }

  async sync(): Promise<void> {
    await this.handle.datasync();
  }

  /** Closes and deletes it: nothing counts that was written. */
  async discard(): Promise<void> {
    try {
      await this.handle.close();
    } finally {
      await unlink(this.file);
    }
  }

  /** Cuts off what an append that failed has left, as far as that is possible: recovery cuts it else. */
  async close(): Promise<void> {
    if (this.isDirty) await this.cut().catch(() => undefined);
    await this.handle.close();
  }
}

/** Reads a segment's bytes at once, for a scan. */
export class SegmentBytes {
  readonly size: number;
  private readonly descriptor: number;
  private memory = Buffer.alloc(0);
  private window = Buffer.alloc(0);
  private windowStart = 0;

  constructor(file: string) {
    this.descriptor = openSync(file, 'r');
    this.size = fstatSync(this.descriptor).size;
  }

  /** `length` bytes at an offset, fewer at the end of the file; a view that the next call may change. */
  at(offset: number, length: number): Buffer {
    const from = offset - this.windowStart;
    if (from < 0 || from + length > this.window.length) this.load(offset, length);
    const start = offset - this.windowStart;
    return this.window.subarray(start, start + length);
  }

  private load(offset: number, length: number): void {
    const wanted = Math.max(0, Math.min(Math.max(length, WINDOW), this.size - offset));
    // One memory for all windows: a fresh one for each of thousands of heads would be there until the collector comes.
    if (this.memory.length < wanted) this.memory = Buffer.allocUnsafeSlow(wanted);
    const bytes = this.memory.subarray(0, wanted);
    let filled = 0;
    while (filled < bytes.length) {
      const read = readSync(this.descriptor, bytes, filled, bytes.length - filled, offset + filled);
      if (read === 0) break;
      filled += read;
    }
    this.window = bytes.subarray(0, filled);
    this.windowStart = offset;
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** Bytes that are read at once: the heads of many small frames, not the payloads of large ones. */
const WINDOW = 64 * 1024;
