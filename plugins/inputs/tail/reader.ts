/** Reading a file's bytes at offsets: plain files by descriptor, gzip files through a decompressor (offsets of decompressed bytes). */
import { closeSync, createReadStream, fstatSync, read } from 'node:fs';
import { createGunzip } from 'node:zlib';
import type { Gunzip } from 'node:zlib';
import { promisify } from 'node:util';

const readAt = promisify(read);

export interface FileReader {
  readonly descriptor: number;
  /** Reads into `buffer` at `offset`; resolves with the number of bytes, 0 at the end. Positions never go back behind one that was read. */
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<number>;
  /** Bytes that can be read as far as known. */
  size(): number;
  close(): void;
}

export class PlainReader implements FileReader {
  readonly descriptor: number;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const { bytesRead } = await readAt(this.descriptor, buffer, offset, length, position);
    return bytesRead;
  }

  size(): number {
    return fstatSync(this.descriptor).size;
  }

  close(): void {
    closeSync(this.descriptor);
  }
}

/** Decompressed bytes per compressed byte; more is an attack, not a log (deflate's own limit is about 1,030). */
const MAX_RATIO = 500;
/** Below this much output the ratio says nothing. */
const RATIO_FROM = 50_000_000;

/** The file expands too far, or is no gzip. */
export class GzipError extends Error {
  override name = 'GzipError';
}

export class GzipReader implements FileReader {
  readonly descriptor: number;
  private readonly stream: Gunzip;
  private readonly chunks: AsyncIterator<Buffer>;
  private readonly compressed: number;
  /** Decompressed bytes that were not consumed, and the offset of the first. */
  private pending: Buffer = Buffer.alloc(0);
  private base = 0;
  private produced = 0;
  private ended = false;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
    this.compressed = fstatSync(descriptor).size;
    this.stream = createGunzip();
    const source = createReadStream('', { fd: descriptor, autoClose: false, start: 0 });
    source.on('error', (error) => this.stream.destroy(error));
    source.pipe(this.stream);
    this.chunks = this.stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Throws GzipError when the data is damaged or expands too far; a file that ends early ends there. */
  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    for (;;) {
      const skip = Math.min(this.pending.length, position - this.base);
      this.pending = this.pending.subarray(skip);
      this.base += skip;
      if (this.base === position && this.pending.length > 0) {
        const count = this.pending.copy(buffer, offset, 0, length);
        return count;
      }
      if (this.ended || !(await this.fill())) return 0;
    }
  }

  private async fill(): Promise<boolean> {
    let next: IteratorResult<Buffer>;
    try {
      next = await this.chunks.next();
    } catch (error) {
      this.ended = true;
      if ((error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR') return false;
      throw new GzipError(`Decompressing failed: ${error instanceof Error ? error.message : String(error)}.`);
    }
    if (next.done === true) {
      this.ended = true;
      return false;
    }
    this.produced += next.value.length;
    if (this.produced > RATIO_FROM && this.produced > this.compressed * MAX_RATIO) {
      this.ended = true;
      this.stream.destroy();
      throw new GzipError(`The file expands to more than ${MAX_RATIO} times its size.`);
    }
    this.pending = Buffer.concat([this.pending, next.value]);
    return true;
  }

  size(): number {
    return this.base + this.pending.length;
  }

  close(): void {
    this.stream.destroy();
    closeSync(this.descriptor);
  }
}
