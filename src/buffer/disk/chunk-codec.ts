/**
 * A chunk as the payload of a frame: the same bytes and columns as in memory.
 *
 *   seconds  8 bytes each, IEEE 754    nanos, starts, stops, ends  4 bytes each    records  NDJSON    metadata  NDJSON, empty lines
 *
 * All little-endian, which is what every machine that Node.js runs on has in memory: columns are written and read as they are.
 */
import { Chunk } from '../../event/chunk.ts';
import { chunkBytes } from '../../event/byte-pool.ts';
import { parseExact, recordToJson } from '../../event/json.ts';
import type { LogRecord } from '../../event/record.ts';
import type { Description } from './frame.ts';

const ROW_BYTES = 8 + 4 + 4 + 4 + 4;
/** Where the ends stand, in bytes per record. */
const ENDS_AT = ROW_BYTES - 4;
const LINE_FEED = 10;

/** Offset of the first byte of the chunk's source and of the one behind the last. */
export function byteRange(chunk: Chunk): { start: number; stop: number } {
  const { base, columns, length } = chunk;
  return { start: base + (columns.starts[0] ?? 0), stop: base + (columns.stops[length - 1] ?? 0) };
}

function view(column: Float64Array | Int32Array | Uint32Array): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

/** The parts of a payload, in order; views of the chunk's memory. */
export function encodePayload(chunk: Chunk): { parts: Buffer[]; metadata: number } {
  const { seconds, nanos, starts, stops } = chunk.columns;
  // A chunk of which no output reads the bytes has no ends either.
  const ends = chunk.ends.length === chunk.length ? chunk.ends : new Uint32Array(chunk.length);
  const parts = [view(seconds), view(nanos), view(starts), view(stops), view(ends), chunk.bytes];
  if (chunk.metadata === undefined) return { parts, metadata: 0 };
  const lines = chunk.metadata.map((entry) => (entry === undefined ? '\n' : `${recordToJson(entry)}\n`));
  const metadata = Buffer.from(lines.join(''));
  return { parts: [...parts, metadata], metadata: metadata.length };
}

/** Whether a description can be that of a payload of so many bytes. */
export function fitsPayload({ records, bytes, metadata }: Description, payloadBytes: number): boolean {
  return records * ROW_BYTES + bytes + metadata === payloadBytes;
}

/** Whether a payload without a checksum can be one: its records end where its column says. Finds zeros and torn writes. */
export function looksWhole({ records, bytes }: Description, payload: Buffer): boolean {
  let end = 0;
  for (let index = 0; index < records; index++) {
    const next = payload.readUInt32LE(records * ENDS_AT + index * 4);
    if (next < end || next > bytes) return false;
    if (next > end && payload[records * ROW_BYTES + next - 1] !== LINE_FEED) return false;
    end = next;
  }
  return end === bytes;
}

/** Memory to read a payload into. */
export class PayloadBuffers {
  /** From the pool, as `memory`; what is beyond what was asked for is not used. */
  readonly columns: Buffer;
  readonly memory: Buffer;
  readonly metadata: Buffer;
  /** All of it, in the payload's order. */
  readonly parts: Buffer[];
  private readonly description: Description;

  constructor(description: Description) {
    this.description = description;
    const columnBytes = description.records * ROW_BYTES;
    this.columns = chunkBytes.take(columnBytes);
    this.memory = chunkBytes.take(description.bytes);
    this.metadata = Buffer.allocUnsafe(description.metadata);
    this.parts = [
      this.columns.subarray(0, columnBytes),
      this.memory.subarray(0, description.bytes),
      this.metadata,
    ];
  }

  /** The chunk that was read. `arrivedAt`: monotonic milliseconds. */
  chunk(arrivedAt: number): Chunk {
    const { description } = this;
    const { buffer } = this.columns;
    const { tag, input, base, bytes: size, records: n, source } = description;
    return new Chunk({
      tag,
      memory: this.memory,
      size,
      ends: new Uint32Array(buffer, n * ENDS_AT, n),
      columns: {
        seconds: new Float64Array(buffer, 0, n),
        nanos: new Int32Array(buffer, n * 8, n),
        starts: new Int32Array(buffer, n * 12, n),
        stops: new Int32Array(buffer, n * 16, n),
      },
      columnMemory: this.columns,
      metadata: description.metadata === 0 ? undefined : readMetadata(this.metadata),
      sourceId: source,
      base,
      input,
      arrivedAt,
    });
  }

  /** Gives the memory back: the payload is damaged. */
  free(): void {
    chunkBytes.give(this.memory);
    chunkBytes.give(this.columns);
  }
}

function readMetadata(bytes: Buffer): (LogRecord | undefined)[] {
  const lines = bytes.toString().split('\n');
  lines.pop();
  return lines.map((line) => (line === '' ? undefined : (parseExact(line) as LogRecord)));
}
