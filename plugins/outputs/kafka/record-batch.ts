/**
 * A batch of records as Kafka stores it (format 2), written from bytes that are there already.
 *
 *     base offset 8 · length 4 · leader epoch 4 · magic 1 · CRC-32C 4 │ attributes 2 · last offset delta 4 · first timestamp 8 ·
 *     max timestamp 8 · producer id 8 · producer epoch 2 · base sequence 4 · count 4 · records (compressed as a whole)
 *     record:  length v · attributes 1 · timestamp delta v · offset delta v · key v+… · value v+… · headers v: (name v+… value v+…)…
 *
 * `v` is a zigzag varint; the CRC is of all that stands behind it.
 * Source: https://kafka.apache.org/documentation/#messageformat
 */
import { ByteSink } from '../../../src/plugin.ts';

const HEADER_BYTES = 61;
const LENGTH_AT = 8;
const MAGIC_AT = 16;
const CRC_AT = 17;
const ATTRIBUTES_AT = 21;
const MAGIC = 2;
/** Of `length` in front of what it counts. */
const LENGTH_END = 12;
/** No varint of ours is longer. */
const MAX_VARINT = 10;
/** Attributes, and the varints of lengths, deltas, key, value and number of headers. */
const RECORD_OVERHEAD = 1 + 6 * MAX_VARINT;

const KEPT_BATCHES = 2;
const KEPT_BYTES = 4 * 1024 * 1024;

export const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** A header of a record: its name, encoded once, and the bytes of its value. */
export interface Header {
  name: Buffer;
  value: Buffer;
}

export interface BatchIdentity {
  /** -1 where the producer is not idempotent. */
  producerId: bigint;
  producerEpoch: number;
  /** Sequence number of the first record in its partition. */
  sequence: number;
}

export class RecordBatch {
  count = 0;
  private readonly sink = new ByteSink();
  private firstTimestamp = 0;
  private maxTimestamp = 0;

  /** Empties it, and keeps its memory. */
  reset(): void {
    this.count = 0;
    this.sink.length = 0;
  }

  /** Bytes of the records so far, uncompressed. */
  get size(): number {
    return HEADER_BYTES + this.sink.length;
  }

  /** Appends a record: time in Unix milliseconds; the value is `source` from `start` to `stop`. */
  add(
    timestamp: number,
    key: Buffer | undefined,
    source: Buffer,
    start: number,
    stop: number,
    headers: readonly Header[],
  ): void {
    if (this.count === 0) this.firstTimestamp = this.maxTimestamp = timestamp;
    else if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp;
    const delta = timestamp - this.firstTimestamp;
    const valueLength = stop - start;
    let length = 1 + varintLength(delta) + varintLength(this.count) + varintLength(valueLength) + valueLength;
    length += key === undefined ? 1 : varintLength(key.length) + key.length;
    length += varintLength(headers.length);
    for (const { name, value } of headers)
      length += varintLength(name.length) + name.length + varintLength(value.length) + value.length;

    const { sink } = this;
    sink.reserve(length + MAX_VARINT + RECORD_OVERHEAD);
    const { raw } = sink;
    let at = writeVarint(raw, sink.length, length);
    raw[at++] = 0;
    at = writeVarint(raw, at, delta);
    at = writeVarint(raw, at, this.count);
    if (key === undefined) at = writeVarint(raw, at, -1);
    else {
      at = writeVarint(raw, at, key.length);
      at += key.copy(raw, at);
    }
    at = writeVarint(raw, at, valueLength);
    at += source.copy(raw, at, start, stop);
    at = writeVarint(raw, at, headers.length);
    for (const { name, value } of headers) {
      at = writeVarint(raw, at, name.length);
      at += name.copy(raw, at);
      at = writeVarint(raw, at, value.length);
      at += value.copy(raw, at);
    }
    sink.length = at;
    this.count++;
  }

  /** The records alone, to be compressed; a view that is good until the next change. */
  get records(): Buffer {
    return this.sink.bytes;
  }

  /** The whole batch in memory of its own. `records`: those of this batch, as the codec left them. */
  finish(
    records: Uint8Array,
    codec: number,
    { producerId, producerEpoch, sequence }: BatchIdentity,
    crc32c: (bytes: Buffer) => number,
  ): Buffer {
    const bytes = Buffer.allocUnsafeSlow(HEADER_BYTES + records.length);
    bytes.writeBigInt64BE(0n, 0);
    bytes.writeInt32BE(bytes.length - LENGTH_END, LENGTH_AT);
    bytes.writeInt32BE(-1, LENGTH_END);
    bytes[MAGIC_AT] = MAGIC;
    let at = bytes.writeInt16BE(codec, ATTRIBUTES_AT);
    at = bytes.writeInt32BE(this.count - 1, at);
    at = bytes.writeBigInt64BE(BigInt(this.firstTimestamp), at);
    at = bytes.writeBigInt64BE(BigInt(this.maxTimestamp), at);
    at = bytes.writeBigInt64BE(producerId, at);
    at = bytes.writeInt16BE(producerEpoch, at);
    at = bytes.writeInt32BE(sequence, at);
    at = bytes.writeInt32BE(this.count, at);
    bytes.set(records, at);
    bytes.writeUInt32BE(crc32c(bytes.subarray(ATTRIBUTES_AT)), CRC_AT);
    return bytes;
  }
}

/** Batches to fill, some of them kept between uses: requests to several leaders are made at the same time. */
export class BatchPool {
  private readonly idle: RecordBatch[] = [];

  take(): RecordBatch {
    const batch = this.idle.pop() ?? new RecordBatch();
    batch.reset();
    return batch;
  }

  /** Nobody reads its records any more. */
  give(batch: RecordBatch): void {
    if (this.idle.length < KEPT_BATCHES && batch.size <= KEPT_BYTES) this.idle.push(batch);
  }
}

/** Zigzag: small numbers of either sign become small. Doubles, since times go beyond 32 bits. */
function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function varintLength(value: number): number {
  let rest = zigzag(value);
  let length = 1;
  for (; rest >= 0x80; length++) rest = Math.floor(rest / 0x80);
  return length;
}

function writeVarint(into: Uint8Array, start: number, value: number): number {
  let rest = zigzag(value);
  let at = start;
  while (rest >= 0x80) {
    into[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  into[at++] = rest;
  return at;
}
