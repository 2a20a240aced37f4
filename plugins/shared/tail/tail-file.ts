/** A followed file: one generation of it, from its first sight until it is read to its end and settled. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Source, SourceIdentity } from '../../../src/plugin.ts';
import type { TextEncoding } from './encoding.ts';
import { joinOf } from './join/held.ts';
import type { FileJoin } from './join/held.ts';
import { gzipHead, GzipReader } from './gzip.ts';
import { bytesBefore, FINGERPRINT_BYTES, fingerprintOf, tailHashAt } from './identity.ts';
import { PlainReader } from './reader.ts';
import type { FileReader } from './reader.ts';

/** Bytes before the read position that are kept, to see whether they are still there when the file grows. */
export const GUARD_BYTES = 64;

/** Opens for reading without ever blocking on a FIFO. Throws what the system says. */
export function openForReading(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
}

export interface TailFileOptions {
  path: string;
  realPath: string;
  key: string;
  tag: string;
  shown: string;
  source: Source;
  identity: SourceIdentity;
  offset: number;
  size: number;
  mtimeMs: number;
  compressed: boolean;
}

export class TailFile {
  /** The path by which it was found, links unresolved: what its tag and its records speak of, wherever it is renamed to. */
  readonly path: string;
  /** Where its bytes are now. */
  realPath: string;
  /** `device:inode`. */
  readonly key: string;
  readonly tag: string;
  /** The path as records show it. */
  readonly shown: string;
  readonly compressed: boolean;
  /** When it was changed, as seen first, Unix milliseconds: generations of one path are read in this order. */
  readonly mtimeMs: number;
  /** Matching paths that lead to it now. */
  readonly names = new Set<string>();
  source: Source;
  identity: SourceIdentity;
  /** Offset of the first byte that was not handed over. */
  offset: number;
  /** Bytes that it is known to have. */
  size: number;
  encoding: TextEncoding | undefined;
  /** The state of joining its lines, once one was read that is to be joined. */
  join: FileJoin | undefined;
  /** No matching path leads to it any more: nothing but late writers add to it. Monotonic milliseconds. */
  rotatedAt: number | undefined;
  /** The rest of an over-long line is being passed over. */
  skipping = false;
  /** Read to its end; when, monotonic milliseconds. */
  caughtUpAt: number | undefined;
  /** The generation before it, which is read first. */
  predecessor: TailFile | undefined;
  /** Reading failed for good. */
  broken = false;
  /** Compressed, and its end was seen: there will not be more. */
  complete = false;
  /** It is being read: it must stay open. */
  busy = false;
  /** It was seen to have no name any more; when, monotonic milliseconds. */
  deletedAt: number | undefined;
  /** The last bytes before `offset`. */
  guard: Buffer = Buffer.alloc(0);
  private reader: FileReader | undefined;
  private looked: { size: number; mtimeMs: number } | undefined;
  private described: { position: number; tailHash: string } | undefined;

  constructor(options: TailFileOptions) {
    this.path = options.path;
    this.realPath = options.realPath;
    this.key = options.key;
    this.tag = options.tag;
    this.shown = options.shown;
    this.source = options.source;
    this.identity = options.identity;
    this.offset = options.offset;
    this.size = options.size;
    this.mtimeMs = options.mtimeMs;
    this.compressed = options.compressed;
  }

  get isOpen(): boolean {
    return this.reader !== undefined;
  }

  useDescriptor(descriptor: number): void {
    if (this.compressed) {
      this.reader = new GzipReader(descriptor, this.offset);
      return;
    }
    this.reader = new PlainReader(descriptor);
    // Known from reading, or else taken from the file: it was checked when it was found.
    if (this.guard.length === 0) this.guard = bytesBefore(descriptor, this.offset, GUARD_BYTES);
  }

  /** The open reader; throws if the file is closed. */
  get bytes(): FileReader {
    if (this.reader === undefined) throw new Error('Reading a file that is closed.');
    return this.reader;
  }

  close(): void {
    if (this.reader === undefined) return;
    // The position may still be to be written: its hash can only be taken now.
    this.describe(this.source.position());
    this.reader.close();
    this.reader = undefined;
  }

  /** Hash of the bytes before an offset, and the size, for the state; nothing of what cannot be looked at. */
  describe(position: number): { tailHash: string; size: number } | undefined {
    // Until its end was seen there is more of it than we know.
    if (this.compressed) return { tailHash: '', size: this.complete ? this.size : this.size + 1 };
    if (this.described?.position !== position) {
      if (this.reader === undefined) return undefined;
      try {
        this.described = { position, tailHash: tailHashAt(this.reader.descriptor, position) };
      } catch {
        return undefined;
      }
    }
    return { tailHash: this.described.tailHash, size: this.size };
  }

  /** What {@link describe} said last, for when its bytes cannot be looked at any more; as if it ended where it was read to. */
  get lastDescription(): (position: number) => { tailHash: string; size: number } {
    const { described, offset: size } = this;
    return (position) => ({ tailHash: position === described?.position ? described.tailHash : '', size });
  }

  /** Takes in how big the file is now. A smaller one was truncated: what it had stays known, to be counted. */
  observeSize(size = this.sizeNow): void {
    if (this.compressed || size === undefined) return;
    if (size < this.offset) this.source.gone = true;
    if (size <= this.size) return;
    this.size = size;
    // For the state: what is not read when the file vanishes is counted by it.
    this.source.touch();
  }

  /** Notes what the file is like before it is read: see {@link isChanged}. */
  look(): void {
    const { size, mtimeMs } = fstatSync(this.bytes.descriptor);
    this.looked = { size, mtimeMs };
  }

  /** It was not read after all: it counts as changed. */
  overlook(): void {
    this.looked = undefined;
  }

  /** True when the file is not as it was before it was read last: written to, also with the same number of bytes. */
  isChanged(now: { size: number; mtimeMs: number } | undefined): boolean {
    return now !== undefined && (now.size !== this.looked?.size || now.mtimeMs !== this.looked.mtimeMs);
  }

  /** The size of an open file; undefined when closed. */
  get sizeNow(): number | undefined {
    return this.reader === undefined ? undefined : fstatSync(this.reader.descriptor).size;
  }

  /** Takes in whether it has a name still. True when it has none and is open: nobody else can ever read it. */
  observeDeletion(): boolean {
    if (this.reader === undefined) return false;
    if (this.deletedAt === undefined) {
      if (fstatSync(this.reader.descriptor).nlink > 0) return false;
      this.deletedAt = performance.now();
    }
    return true;
  }

  /** True when all of it was read and is settled or on disk; a filter may still hold what was read. */
  get isDone(): boolean {
    return this.offset >= this.size && this.source.position() >= this.offset;
  }

  /** The first two bytes, where a byte order mark stands. */
  get byteOrderMark(): Buffer {
    const { descriptor } = this.bytes;
    return this.compressed ? gzipHead(descriptor, 2) : bytesBefore(descriptor, 2, 2);
  }

  /** Whether the first bytes are those that were first seen. */
  get hasItsHead(): boolean {
    const { fingerprint, fingerprintLength } = this.identity;
    if (this.compressed || fingerprintLength === 0) return true;
    return fingerprintOf(this.bytes.descriptor, fingerprintLength).fingerprint === fingerprint;
  }

  /** True when a longer fingerprint can be taken than the one that is known. */
  get fingerprintGrows(): boolean {
    const { fingerprintLength } = this.identity;
    return !this.compressed && fingerprintLength < FINGERPRINT_BYTES && this.offset > fingerprintLength;
  }

  /** Takes the fingerprint anew, over what was read. */
  takeFingerprint(): SourceIdentity {
    this.identity = { ...this.identity, ...fingerprintOf(this.bytes.descriptor, this.offset) };
    return this.identity;
  }

  /** It is at its head again, as a new generation of itself. */
  startOver(source: Source, identity: SourceIdentity, size: number): void {
    this.source = source;
    this.identity = identity;
    this.offset = 0;
    this.size = size;
    this.guard = Buffer.alloc(0);
    this.described = undefined;
    this.skipping = false;
    this.encoding = undefined;
    this.join = undefined;
  }

  /** A record waits for its rest. */
  get isHolding(): boolean {
    return (joinOf(this.source)?.held.length ?? 0) > 0;
  }

  /** True when there may be something to read. */
  get hasMore(): boolean {
    return !this.broken && this.caughtUpAt === undefined;
  }

  /** Unread and unsettled bytes. */
  get lag(): number {
    if (this.hasMore) this.observeSize();
    return Math.max(0, this.size - this.source.position());
  }
}

/** Closes a descriptor that nobody took. */
export function discard(descriptor: number | undefined): void {
  if (descriptor !== undefined) closeSync(descriptor);
}
