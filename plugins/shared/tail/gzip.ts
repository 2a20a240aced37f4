/** Reading gzip files. Offsets and fingerprints are those of the decompressed bytes, so that a file keeps both when it is compressed. */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { constants, createGunzip, gunzipSync } from 'node:zlib';
import type { Gunzip } from 'node:zlib';
import { hashBytes, TAIL_BYTES } from './identity.ts';
import type { Fingerprint } from './identity.ts';
import { readAt } from './reader.ts';
import type { FileReader } from './reader.ts';

/** Decompressed bytes per compressed byte; more is an attack, not a log (deflate's own limit is about 1,030). */
const MAX_RATIO = 500;
/** Below this much output the ratio says nothing. */
const RATIO_FROM = 50_000_000;
/** Compressed bytes that surely hold the fingerprint's; they expand to 2 MB at most. */
const HEAD_BYTES = 2048;
const BLOCK = 65_536;

/** The file expands too far, or is no gzip. */
export class GzipError extends Error {
  override name = 'GzipError';
}

/** Whether an open file is a gzip file by name and content. */
export function isGzip(path: string, descriptor: number): boolean {
  if (!path.endsWith('.gz')) return false;
  const magic = Buffer.alloc(2);
  return readSync(descriptor, magic, 0, 2, 0) === 2 && magic[0] === 0x1f && magic[1] === 0x8b;
}

/** The first `length` decompressed bytes; fewer when there are not that many, none when the data is damaged. */
export function gzipHead(descriptor: number, length: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  const count = readSync(descriptor, head, 0, head.length, 0);
  try {
    return gunzipSync(head.subarray(0, count), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, length);
  } catch {
    return Buffer.alloc(0);
  }
}

/** Fingerprint of the first `length` decompressed bytes; shorter when there are fewer. */
export function gzipFingerprint(descriptor: number, length: number): Fingerprint {
  const bytes = gzipHead(descriptor, length);
  return { fingerprint: hashBytes(bytes), fingerprintLength: bytes.length };
}

/** Hash of the decompressed bytes before an offset, as `tailHashAt`; empty when there are not that many. */
export async function gzipTailHash(descriptor: number, position: number): Promise<string> {
  const from = Math.max(0, position - TAIL_BYTES);
  const reader = new GzipReader(descriptor, from, false);
  const tail = Buffer.alloc(position - from);
  try {
    let filled = 0;
    while (filled < tail.length) {
      const count = await reader.read(tail, filled, tail.length - filled, from + filled);
      if (count === 0) return '';
      filled += count;
    }
    return hashBytes(tail);
  } finally {
    reader.close();
  }
}

async function* blocksOf(descriptor: number): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const block = Buffer.allocUnsafe(BLOCK);
    const { bytesRead } = await readAt(descriptor, block, 0, BLOCK, position);
    if (bytesRead === 0) return;
    yield block.subarray(0, bytesRead);
    position += bytesRead;
  }
}

export class GzipReader implements FileReader {
  readonly descriptor: number;
  private readonly owned: boolean;
  private source!: Readable;
  private stream!: Gunzip;
  private chunks!: AsyncIterator<Buffer>;
  private compressed = 0;
  /** Decompressed bytes from `base` on. Kept until released: a line without its end is read again. */
  private pending: Buffer = Buffer.alloc(0);
  private base = 0;
  private released: number;
  private produced = 0;
  private ended = false;
  isCut = false;

  /** Nothing before offset `start` will be asked for. `owned`: closing the reader closes the descriptor. */
  constructor(descriptor: number, start: number, owned = true) {
    this.descriptor = descriptor;
    this.owned = owned;
    this.released = start;
    this.begin();
  }

  /** Decompresses from the start; what was released is passed over. */
  private begin(): void {
    this.compressed = fstatSync(this.descriptor).size;
    this.pending = Buffer.alloc(0);
    this.base = 0;
    this.produced = 0;
    this.ended = false;
    this.isCut = false;
    const stream = createGunzip({ chunkSize: BLOCK });
    // A read stream would close the descriptor with itself.
    this.source = Readable.from(blocksOf(this.descriptor), { objectMode: false });
    this.source.on('error', (error) => stream.destroy(error));
    this.source.pipe(stream);
    this.stream = stream;
    this.chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  hasMore(): boolean {
    return this.isCut && fstatSync(this.descriptor).size > this.compressed;
  }

  /** Throws GzipError when the data is damaged or expands too far; a file that ends early ends there. */
  async read(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    if (this.ended && this.hasMore()) this.begin();
    while (position >= this.base + this.pending.length) {
      if (this.ended || !(await this.fill())) return 0;
    }
    const from = position - this.base;
    return this.pending.copy(buffer, offset, from, from + length);
  }

  release(position: number): void {
    this.released = Math.max(this.released, position);
  }

  private async fill(): Promise<boolean> {
    let next: IteratorResult<Buffer>;
    try {
      next = await this.chunks.next();
    } catch (error) {
      this.ended = true;
      this.isCut = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR';
      if (this.isCut) return false;
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
    const done = Math.min(this.pending.length, Math.max(0, this.released - this.base));
    this.base += done;
    const rest = this.pending.subarray(done);
    this.pending = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
    return true;
  }

  close(): void {
    this.source.destroy();
    this.stream.destroy();
    if (this.owned) closeSync(this.descriptor);
  }
}
