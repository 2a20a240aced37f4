/** A followed file: one generation of it, from its first sight until it is read to its end and settled. */
import { constants, fstatSync, openSync } from 'node:fs';
import type { Source, SourceIdentity } from '../../../src/plugin.ts';
import type { TextEncoding } from './encoding.ts';
import { FINGERPRINT_BYTES, fingerprintOf, tailHashAt } from './identity.ts';
import { GzipReader, PlainReader } from './reader.ts';
import type { FileReader } from './reader.ts';

/** Bytes before the read position that are kept, to see whether they are still there when the file grows. */
export const GUARD_BYTES = 64;

/** Opens for reading without ever blocking on a FIFO. Throws what the system says. */
export function openForReading(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
}

export class TailFile {
  /** Where it is now, absolute, as found by the pattern: links unresolved. */
  path: string;
  /** Where its bytes are. */
  realPath: string;
  /** `device:inode`. */
  readonly key: string;
  readonly tag: string;
  /** The path as records show it. */
  readonly shown: string;
  readonly compressed: boolean;
  source: Source;
  identity: SourceIdentity;
  /** Offset of the first byte that was not handed over. */
  offset: number;
  /** Bytes that it is known to have. */
  size: number;
  encoding: TextEncoding | undefined;
  /** It is not at the path of its pattern any more: nothing but late writers add to it. Monotonic milliseconds. */
  rotatedAt: number | undefined;
  /** It has no name any more, as far as we know. */
  deleted = false;
  /** The rest of an over-long line is being passed over. */
  skipping = false;
  /** Read to its end; when, monotonic milliseconds. */
  caughtUpAt: number | undefined;
  /** The generation before it, which is read first. */
  predecessor: TailFile | undefined;
  /** Reading failed for good. */
  broken = false;
  /** The last bytes before `offset`. */
  guard: Buffer = Buffer.alloc(0);
  private reader: FileReader | undefined;

  constructor(options: {
    path: string;
    realPath: string;
    key: string;
    tag: string;
    shown: string;
    source: Source;
    identity: SourceIdentity;
    offset: number;
    size: number;
    compressed: boolean;
    descriptor: number | undefined;
  }) {
    this.path = options.path;
    this.realPath = options.realPath;
    this.key = options.key;
    this.tag = options.tag;
    this.shown = options.shown;
    this.source = options.source;
    this.identity = options.identity;
    this.offset = options.offset;
    this.size = options.size;
    this.compressed = options.compressed;
    if (options.descriptor !== undefined) this.useDescriptor(options.descriptor);
  }

  get isOpen(): boolean {
    return this.reader !== undefined;
  }

  useDescriptor(descriptor: number): void {
    this.reader = this.compressed ? new GzipReader(descriptor) : new PlainReader(descriptor);
  }

  /** The open reader; throws if the file is closed. */
  get bytes(): FileReader {
    if (this.reader === undefined) throw new Error('Reading a file that is closed.');
    return this.reader;
  }

  close(): void {
    this.reader?.close();
    this.reader = undefined;
  }

  /** Hash of the bytes before an offset, and the size, for the state; nothing of what cannot be looked at. */
  describe(position: number): { tailHash: string; size: number } | undefined {
    if (this.compressed || this.reader === undefined) return undefined;
    try {
      return { tailHash: tailHashAt(this.reader.descriptor, position), size: this.size };
    } catch {
      return undefined;
    }
  }

  /** The size now, of an open file. */
  refreshSize(): void {
    if (!this.compressed && this.reader !== undefined) this.size = fstatSync(this.reader.descriptor).size;
  }

  /** True when a longer fingerprint can be taken than the one that is known. */
  get fingerprintGrows(): boolean {
    const { fingerprintLength } = this.identity;
    return !this.compressed && fingerprintLength < FINGERPRINT_BYTES && this.size > fingerprintLength;
  }

  /** Takes the fingerprint anew, over what is there now. */
  takeFingerprint(): SourceIdentity {
    this.identity = { ...this.identity, ...fingerprintOf(this.bytes.descriptor, this.size) };
    return this.identity;
  }

  /** True when there may be something to read. */
  get hasMore(): boolean {
    return !this.broken && this.caughtUpAt === undefined;
  }

  /** Unread and unsettled bytes. */
  get lag(): number {
    return Math.max(0, this.size - this.source.position());
  }
}
