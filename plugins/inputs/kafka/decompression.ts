/**
 * A bound on what batches are decompressed to: a producer's megabyte may claim to be gigabytes.
 *
 * The library decompresses while it reads an answer, and an error there would be one of the whole answer, again and again. So in place of a
 * batch that is too large, or damaged, it gets zeros: it reads them as records of length 0, which no record has, and the batch can be passed
 * over by its own offsets.
 */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { KafkaLibrary } from '../../shared/kafka/client.ts';

/** Of one batch. Bytes. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Enough for the records of any batch. Bytes. */
const ZEROS = 8 * 1024 * 1024;
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER = 16;
const LZ4_BLOCK_BITS = 0x80_00_00_00;

const bounded = new WeakSet<KafkaLibrary>();

/** Whether the records of a batch are the zeros. */
export function isPassedOver(records: readonly { length: number }[]): boolean {
  return records[0]?.length === 0;
}

/** Bounds the library's codecs, once. */
export function boundDecompression(library: KafkaLibrary): void {
  if (bounded.has(library)) return;
  bounded.add(library);
  const { gzip, snappy, lz4, zstd } = library.compressionsAlgorithms;
  const snappyAll = snappy.decompressSync;
  const lz4All = lz4.decompressSync;
  const options = { maxOutputLength: MOST_BYTES };
  // The library has no option for it; its table of codecs is what it looks them up in.
  const bound = (codec: object, decompressSync: Decompress): void => {
    Object.assign(codec, { decompressSync });
  };
  bound(
    gzip,
    orZeros((data) => gunzipSync(data, options)),
  );
  bound(
    zstd,
    orZeros((data) => zstdDecompressSync(data, options)),
  );
  bound(
    snappy,
    orZeros((data) => (snappySize(data) > MOST_BYTES ? undefined : snappyAll(data))),
  );
  bound(
    lz4,
    orZeros((data) => (lz4Size(data) > MOST_BYTES ? undefined : lz4All(data))),
  );
}

type Decompress = KafkaLibrary['compressionsAlgorithms']['gzip']['decompressSync'];

function orZeros(decompress: (data: Buffer) => Buffer | undefined): Decompress {
  return (data) => {
    try {
      return decompress(Buffer.isBuffer(data) ? data : data.buffer) ?? Buffer.alloc(ZEROS);
    } catch {
      return Buffer.alloc(ZEROS);
    }
  };
}

/** What a snappy text says that it holds; for the framing of Java the sum of its parts. */
export function snappySize(data: Buffer): number {
  if (!data.subarray(0, XERIAL.length).equals(XERIAL)) return snappyLength(data, 0);
  let size = 0;
  for (let at = XERIAL_HEADER; at + 4 <= data.length; at += 4 + data.readUInt32BE(at))
    size += snappyLength(data, at + 4);
  return size;
}

function snappyLength(data: Buffer, start: number): number {
  let length = 0;
  for (let at = start, factor = 1; at < start + 5; at++, factor *= 128) {
    const byte = data[at] ?? 0;
    length += (byte & 127) * factor;
    if (byte < 128) break;
  }
  return length;
}

/** The most that an LZ4 frame can hold, by the number of its blocks. Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md */
export function lz4Size(data: Buffer): number {
  const flags = data[4] ?? 0;
  const blockSize = 1 << (8 + 2 * (((data[5] ?? 0) >> 4) & 7));
  const checksum = (flags & 16) === 0 ? 0 : 4;
  let size = 0;
  let at = 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4);
  while (at + 4 <= data.length) {
    const stored = data.readUInt32LE(at) % LZ4_BLOCK_BITS;
    if (stored === 0) break;
    size += blockSize;
    at += 4 + stored + checksum;
  }
  return size;
}
