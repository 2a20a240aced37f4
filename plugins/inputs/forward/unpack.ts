/** Decompresses the events of a message, within limits: what it may come to is set aside in the input's memory before. */
import { promisify } from 'node:util';
import { constants, gunzip, zstdDecompress } from 'node:zlib';
import { MsgpackError } from '../../../src/plugin.ts';

const gunzipped = promisify(gunzip);
const unzstd = promisify(zstdDecompress);

/** Nothing that anybody logs shrinks further than to this part. */
const MAX_RATIO = 1000;
const SMALL = 64 * 1024;
/** What is decompressed at a time. Bytes. */
const PIECE = 256 * 1024;
const LEAST_PIECE = 1024;
/** A window that RFC 8878 asks decoders to have; more is memory that a few bytes would allocate. Base-2 logarithm of bytes. */
const ZSTD_WINDOW_LOG = 23;
/** The length of what a gzip member holds stands in its last bytes. */
const GZIP_SIZE_BYTES = 4;
const ZSTD_MAGIC_BYTES = 4;
/** Of the id of a dictionary, by its flag. */
const ZSTD_DICTIONARY_BYTES = [0, 1, 2, 4];

export type Compression = 'none' | 'gzip' | 'zstd';

/** How packed events are compressed: as their message says, else by their first bytes. Throws {@link MsgpackError} for another way. */
export function compressionOf(packed: Buffer, said: string | undefined): Compression {
  if (said === undefined || said === 'text') {
    // No event begins like that.
    if (packed[0] === 0x1f && packed[1] === 0x8b) return 'gzip';
    return packed.length >= 4 && packed.readUInt32LE(0) === 0xfd2f_b528 ? 'zstd' : 'none';
  }
  if (said === 'gzip' || said === 'zstd') return said;
  throw new MsgpackError('Events are compressed in a way that is not taken: gzip and zstd are.');
}

/**
 * Bytes to set aside for decompressing, to be tried one after the other: what the events say of themselves, where that can be, and what they
 * may be at most.
 */
export function unpackedSizes(
  packed: Buffer,
  compression: 'gzip' | 'zstd',
  limit: number,
): readonly number[] {
  const most = Math.min(limit, Math.max(SMALL, packed.length * MAX_RATIO));
  const said = compression === 'gzip' ? gzipSize(packed) : zstdSize(packed);
  // Several members or frames have more in all than one says.
  return said > 0 && said < most ? [said, most] : [most];
}

/** What the last member says; 0 where it is none. */
function gzipSize(packed: Buffer): number {
  return packed.length < GZIP_SIZE_BYTES ? 0 : packed.readUInt32LE(packed.length - GZIP_SIZE_BYTES);
}

/** What the first frame says; 0 where it says nothing. Source: RFC 8878, section 3.1.1.1 */
function zstdSize(packed: Buffer): number {
  const descriptor = packed[ZSTD_MAGIC_BYTES] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const at = ZSTD_MAGIC_BYTES + (isSingle ? 1 : 2) + (ZSTD_DICTIONARY_BYTES[descriptor & 0x03] as number);
  const flag = descriptor >> 6;
  const width = flag === 0 ? Number(isSingle) : 1 << flag;
  if (width === 0 || packed.length < at + width) return 0;
  if (width === 8) return Number(packed.readBigUInt64LE(at));
  return packed.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}

/** Decompresses; undefined when it is more than `size` bytes. Throws {@link MsgpackError} when it is not what it is said to be. */
export async function unpack(
  packed: Buffer,
  compression: 'gzip' | 'zstd',
  size: number,
): Promise<Buffer | undefined> {
  try {
    const options = { maxOutputLength: size, chunkSize: Math.min(PIECE, Math.max(size, LEAST_PIECE)) };
    if (compression === 'gzip') return await gunzipped(packed, options);
    return await unzstd(packed, { ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined;
    throw new MsgpackError(
      `The events of a message cannot be decompressed: they are not whole, or no ${compression}.`,
    );
  }
}
