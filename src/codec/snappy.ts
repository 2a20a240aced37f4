/**
 * Snappy's block format: the length of the whole as a varint, then literals and copies of what came before.
 *
 *     literal   LLLLLL00 [length - 1, 1 or 2 bytes] bytes      length - 1 in the six bits, 60 and 61: in the bytes behind
 *     copy 1    OOOLLL01 offset                                4 to 11 bytes from 1 to 2,047 back
 *     copy 2    LLLLLL10 offset offset                         1 to 64 bytes from 1 to 65,535 back
 *     copy 4    LLLLLL11 offset offset offset offset           read, never written
 *
 * Source: https://github.com/google/snappy/blob/main/format_description.txt
 */
import type { ByteSink } from './bytes.ts';

/** Input is taken in blocks of this: offsets stay within two bytes, positions within 16 bits. */
const BLOCK = 65_536;
const HASH_BITS = 13;
const HASH_SHIFT = 32 - HASH_BITS;
const HASH_FACTOR = 0x1e35_a7bd;
/** Left at a block's end without a look for copies, so that four bytes can always be read. */
const MARGIN = 15;
const LONGEST_COPY = 64;
const MAX_VARINT = 5;

/** Of the block in work: where four bytes with a hash were last seen, relative to its start. One for all: it is used synchronously. */
const table = new Uint16Array(1 << HASH_BITS);

/** The most that `length` bytes become. */
function worstSize(length: number): number {
  return MAX_VARINT + length + Math.ceil(length / 6) + 32;
}

/** Appends `source` compressed. */
export function compressSnappy(source: Buffer, sink: ByteSink): void {
  sink.reserve(worstSize(source.length));
  const { raw } = sink;
  let to = sink.length;
  let rest = source.length;
  for (; rest > 127; rest >>>= 7) raw[to++] = (rest & 127) | 128;
  raw[to++] = rest;
  for (let start = 0; start < source.length; start += BLOCK) {
    to = compressBlock(source, start, Math.min(start + BLOCK, source.length), raw, to);
  }
  sink.length = to;
}

function compressBlock(from: Buffer, start: number, end: number, raw: Buffer, at: number): number {
  let to = at;
  let literal = start;
  const limit = end - MARGIN;
  if (start < limit) {
    table.fill(0);
    let position = start + 1;
    let misses = 32;
    let word = wordAt(from, position);
    while (position < limit) {
      const slot = Math.imul(word, HASH_FACTOR) >>> HASH_SHIFT;
      const candidate = start + (table[slot] as number);
      table[slot] = position - start;
      if (wordAt(from, candidate) !== word) {
        const step = misses++ >> 5;
        position += step;
        word = step === 1 ? (word >>> 8) | ((from[position + 3] as number) << 24) : wordAt(from, position);
        continue;
      }
      misses = 32;
      if (literal < position) to = writeLiteral(from, literal, position, raw, to);
      let match = candidate + 4;
      let next = position + 4;
      while (next < end && from[next] === from[match]) {
        next++;
        match++;
      }
      to = writeCopy(position - candidate, next - position, raw, to);
      literal = next;
      if (next >= limit) break;
      word = wordAt(from, next - 1);
      table[Math.imul(word, HASH_FACTOR) >>> HASH_SHIFT] = next - 1 - start;
      position = next;
      word = (word >>> 8) | ((from[next + 3] as number) << 24);
    }
  }
  return literal < end ? writeLiteral(from, literal, end, raw, to) : to;
}

function wordAt(from: Buffer, at: number): number {
  return (
    (from[at] as number) |
    ((from[at + 1] as number) << 8) |
    ((from[at + 2] as number) << 16) |
    ((from[at + 3] as number) << 24)
  );
}

function writeLiteral(from: Buffer, start: number, end: number, raw: Buffer, at: number): number {
  let to = at;
  const length = end - start - 1;
  if (length < 60) {
    raw[to++] = length << 2;
    // A copy by the engine costs more than a few bytes by hand.
    if (length < 24) {
      for (let byte = start; byte < end; byte++) raw[to++] = from[byte] as number;
      return to;
    }
  } else if (length < 256) {
    raw[to++] = 60 << 2;
    raw[to++] = length;
  } else {
    raw[to++] = 61 << 2;
    raw[to++] = length & 255;
    raw[to++] = length >>> 8;
  }
  return to + from.copy(raw, to, start, end);
}

function writeCopy(offset: number, length: number, raw: Buffer, at: number): number {
  let to = at;
  let rest = length;
  // What is left must be at least four for the short form.
  for (; rest >= LONGEST_COPY + 4; rest -= LONGEST_COPY) to = writeLongCopy(offset, LONGEST_COPY, raw, to);
  if (rest > LONGEST_COPY) {
    to = writeLongCopy(offset, LONGEST_COPY - 4, raw, to);
    rest -= LONGEST_COPY - 4;
  }
  if (rest >= 12 || offset >= 2048) return writeLongCopy(offset, rest, raw, to);
  raw[to++] = ((offset >>> 8) << 5) | ((rest - 4) << 2) | 1;
  raw[to++] = offset & 255;
  return to;
}

function writeLongCopy(offset: number, length: number, raw: Buffer, at: number): number {
  raw[at] = ((length - 1) << 2) | 2;
  raw[at + 1] = offset & 255;
  raw[at + 2] = offset >>> 8;
  return at + 3;
}

/** What is no snappy, or more than the receiver wants. */
export class SnappyError extends Error {
  override name = 'SnappyError';
}

/**
 * Decompresses a block. Throws {@link SnappyError} for what is damaged, and before anything is allocated for what would be longer than
 * `limit` bytes.
 */
export function decompressSnappy(source: Uint8Array, limit: number): Buffer {
  const { length, at: first } = readLength(source);
  if (length > limit) throw new SnappyError(`The data would be ${length} bytes long; the limit is ${limit}.`);
  // No element makes more than 64 bytes of its two or three: a claim beyond that is not believed.
  if (length > source.length * LONGEST_COPY)
    throw new SnappyError('The data is longer than what came of it can be.');
  const result = Buffer.allocUnsafe(length);
  let to = 0;
  let at = first;
  while (at < source.length) {
    const tag = source[at++] as number;
    if ((tag & 3) === 0) {
      let size = (tag >>> 2) + 1;
      if (size > 60) {
        const bytes = size - 60;
        size = readLittleEndian(source, at, bytes) + 1;
        at += bytes;
      }
      if (at + size > source.length || to + size > length)
        throw new SnappyError('A literal is cut off or too long.');
      result.set(source.subarray(at, at + size), to);
      at += size;
      to += size;
      continue;
    }
    let size = (tag >>> 2) + 1;
    let offset: number;
    if ((tag & 3) === 1) {
      size = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | readLittleEndian(source, at, 1);
      at += 1;
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4;
      offset = readLittleEndian(source, at, bytes);
      at += bytes;
    }
    if (offset === 0 || offset > to || to + size > length)
      throw new SnappyError('A copy points outside of the data.');
    // Byte by byte: a copy may overlap what it makes.
    for (const stop = to + size; to < stop; to++) result[to] = result[to - offset] as number;
  }
  if (to !== length) throw new SnappyError(`The data is ${to} bytes long, not ${length} as it says.`);
  return result;
}

function readLength(source: Uint8Array): { length: number; at: number } {
  let length = 0;
  for (let at = 0; at < MAX_VARINT; at++) {
    const byte = source[at];
    if (byte === undefined) break;
    length += (byte & 127) * 2 ** (7 * at);
    if (byte < 128) return { length, at: at + 1 };
  }
  throw new SnappyError('The length in front cannot be read.');
}

function readLittleEndian(source: Uint8Array, at: number, bytes: number): number {
  if (at + bytes > source.length) throw new SnappyError('The data is cut off.');
  let value = 0;
  for (let index = bytes - 1; index >= 0; index--) value = value * 256 + (source[at + index] as number);
  return value;
}
