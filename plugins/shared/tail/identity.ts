/** What tells one file from another (DELIVERY.md, rule 5). */
import { readSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { crc32 } from 'node:zlib';

/** A fingerprint covers the first bytes, up to this many. */
export const FINGERPRINT_BYTES = 1024;
/** The hash before a mark covers this many bytes. */
export const TAIL_BYTES = 256;

export interface Fingerprint {
  fingerprint: string;
  fingerprintLength: number;
}

const scratch = Buffer.allocUnsafeSlow(FINGERPRINT_BYTES);

/** `device:inode`: one file as long as it exists. */
export function keyOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

/** Hash of some bytes, as text. */
export function hashBytes(bytes: Uint8Array): string {
  return `${bytes.length}:${crc32(bytes).toString(16)}`;
}

/** Bytes of a file, fewer at its end; valid until the next call. */
function readFully(descriptor: number, length: number, position: number): Buffer {
  let read = 0;
  while (read < length) {
    const count = readSync(descriptor, scratch, read, length - read, position + read);
    if (count === 0) break;
    read += count;
  }
  return scratch.subarray(0, read);
}

/** Fingerprint of the first `length` bytes; shorter when the file is. */
export function fingerprintOf(descriptor: number, length: number): Fingerprint {
  const bytes = readFully(descriptor, Math.min(length, FINGERPRINT_BYTES), 0);
  return { fingerprint: hashBytes(bytes), fingerprintLength: bytes.length };
}

/** Hash of the bytes before an offset; empty when they are not there. */
export function tailHashAt(descriptor: number, position: number): string {
  const length = Math.min(position, TAIL_BYTES);
  const bytes = readFully(descriptor, length, position - length);
  return bytes.length === length ? hashBytes(bytes) : '';
}

/** A copy of at most `length` bytes before an offset. */
export function bytesBefore(descriptor: number, position: number, length: number): Buffer {
  const count = Math.min(position, length);
  return Buffer.from(readFully(descriptor, count, position - count));
}
