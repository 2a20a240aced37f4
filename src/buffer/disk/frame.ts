/**
 * A frame of the disk buffer: one chunk, its header protected by one checksum and its payload by another (DELIVERY.md, rule 15).
 *
 *   offset  size  header, little-endian
 *   0       8     marker; starts and ends with 0xF5, which occurs in no UTF-8 text
 *   8       4     CRC-32 of bytes 12 up to the end of the description
 *   12      4     length of the description
 *   16      4     length of the payload
 *   20      4     CRC-32 of the payload; 0 without one
 *   24      8     frame id; ascending in the order in which chunks arrived
 *   32      4     flags: 1 = the payload has a checksum
 *   36            description: JSON
 *   …             payload: see chunk-codec.ts
 *
 * docs/disk-buffer.md draws the whole format.
 */
import { crc32 } from 'node:zlib';
import type { Range } from '../../event/ranges.ts';

export const MARKER = Buffer.from([0xf5, 0x54, 0x52, 0x4c, 0x46, 0x52, 0x4d, 0xf5]);
export const HEADER_BYTES = 36;
const CRC_FROM = 12;
const HAS_PAYLOAD_CRC = 1;
/** Longer ones are not written: a length beyond them is damage, and nothing is allocated for it. Bytes. */
const MAX_DESCRIPTION = 16 * 1024 * 1024;
const MAX_PAYLOAD = 1024 * 1024 * 1024;

/** An output that still needs something of a chunk when it is written. */
export interface FrameTarget {
  /** Name in the state. */
  output: string;
  plugin: string;
  /** Indexes of the records that it needs; absent: all. */
  open?: Range[];
}

/** What a frame says of its chunk. */
export interface Description {
  tag: string;
  /** Name of the input. */
  input: string;
  records: number;
  /** Bytes of the records as NDJSON. */
  bytes: number;
  /** Bytes of the records' metadata; 0 when none has any. */
  metadata: number;
  /** Id of the source and the range of its bytes that the chunk covers; absent where nothing can be read again. */
  source?: string;
  start?: number;
  stop?: number;
  /** Offset that the origins are relative to. */
  base: number;
  /** When the batch arrived, Unix milliseconds. */
  arrived: number;
  /** It came here because memory was short or an answer waited for it, not because its input wants it here. */
  overflow: boolean;
  targets: FrameTarget[];
}

export interface FrameHead {
  id: number;
  description: Description;
  /** Bytes of header and description. */
  headBytes: number;
  payloadBytes: number;
  /** Undefined: the payload has no checksum. */
  payloadCrc: number | undefined;
}

/** Bytes that a frame takes. */
export function frameBytes({ headBytes, payloadBytes }: FrameHead): number {
  return headBytes + payloadBytes;
}

export function encodeHead(
  id: number,
  description: Description,
  payload: { bytes: number; crc: number | undefined },
): Buffer {
  const text = Buffer.from(JSON.stringify(description));
  const head = Buffer.alloc(HEADER_BYTES + text.length);
  MARKER.copy(head, 0);
  head.writeUInt32LE(text.length, 12);
  head.writeUInt32LE(payload.bytes, 16);
  head.writeUInt32LE(payload.crc ?? 0, 20);
  head.writeBigUInt64LE(BigInt(id), 24);
  head.writeUInt32LE(payload.crc === undefined ? 0 : HAS_PAYLOAD_CRC, 32);
  text.copy(head, HEADER_BYTES);
  head.writeUInt32LE(crc32(head.subarray(CRC_FROM)), 8);
  return head;
}

/** How many bytes the head at the start of `bytes` has; undefined when there is none. Needs {@link HEADER_BYTES} bytes. */
export function headLength(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES || MARKER.compare(bytes, 0, MARKER.length) !== 0) return undefined;
  const length = bytes.readUInt32LE(12);
  return length <= MAX_DESCRIPTION && bytes.readUInt32LE(16) <= MAX_PAYLOAD
    ? HEADER_BYTES + length
    : undefined;
}

/** Reads a head that lies in `bytes` as a whole; undefined when it is damaged. */
export function decodeHead(bytes: Buffer): FrameHead | undefined {
  const length = headLength(bytes);
  if (length === undefined || bytes.length < length) return undefined;
  if (crc32(bytes.subarray(CRC_FROM, length)) !== bytes.readUInt32LE(8)) return undefined;
  const description = parseDescription(bytes.toString('utf8', HEADER_BYTES, length));
  if (description === undefined) return undefined;
  return {
    id: Number(bytes.readBigUInt64LE(24)),
    description,
    headBytes: length,
    payloadBytes: bytes.readUInt32LE(16),
    payloadCrc: (bytes.readUInt32LE(32) & HAS_PAYLOAD_CRC) === 0 ? undefined : bytes.readUInt32LE(20),
  };
}

/** Undefined for what no writer of ours made: a checksum of 32 bits may fit by chance, and opening must not fail for it. */
function parseDescription(text: string): Description | undefined {
  try {
    const read = JSON.parse(text) as Partial<Description> | null;
    const sizes = [read?.records, read?.bytes, read?.metadata];
    const valid =
      Array.isArray(read?.targets) &&
      sizes.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
    return valid ? (read as Description) : undefined;
  } catch {
    return undefined;
  }
}
