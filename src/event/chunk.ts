/**
 * A chunk: a batch encoded once, as newline-delimited JSON plus columns. Memory and disk hold the same bytes; outputs splice
 * text out of them, or decode single records when they need fields.
 *
 * One chunk is shared by all outputs that its tag is routed to; nobody changes it.
 */
import type { Arrivals } from './arrivals.ts';
import type { Batch } from './batch.ts';
import { chunkBytes } from './byte-pool.ts';
import { parseExact } from './json.ts';
import { metadataCost } from './metadata-cost.ts';
import type { LogRecord, ReadonlyRecord } from './record.ts';
import type { Source } from './source.ts';

/** What a chunk costs beside its bytes and columns: objects and bookkeeping, rounded up. */
const CHUNK_OVERHEAD = 640;
const COLUMN_BYTES = 8 + 4 + 4 + 4 + 4;
const LINE_FEED = 10;

/** Where a record came from; with it a destination can write idempotently. */
export interface Origin {
  /** Id of the source; of the process for what cannot be read again (src/event/arrivals.ts). */
  source: string;
  /** First byte in the source; the running number of a record that cannot be read again. */
  start: number;
  /** First byte after it. */
  stop: number;
}

export interface ChunkColumns {
  /** Unix seconds. */
  seconds: Float64Array;
  nanos: Int32Array;
  /** Origins relative to `base`. */
  starts: Int32Array;
  stops: Int32Array;
}

export class Chunk {
  readonly tag: string;
  readonly length: number;
  /** NDJSON, a line feed after every record. Empty where no output wants it. */
  readonly bytes: Buffer;
  /** Offset behind each record's line feed. */
  readonly ends: Uint32Array;
  readonly columns: ChunkColumns;
  readonly metadata: readonly (LogRecord | undefined)[] | undefined;
  /** What it was read from and can be read from again; absent for what came back from the disk buffer. */
  readonly source: Source | undefined;
  /** Id of that source. */
  readonly sourceId: string | undefined;
  readonly base: number;
  /** Name of the input that it came from. */
  readonly input: string;
  /** When the batch was handed over, milliseconds of the monotonic clock. */
  readonly arrivedAt: number;
  /** What holding it costs, bytes. */
  readonly cost: number;

  /** What `bytes` is a part of. */
  private readonly memory: Buffer;
  /** What the columns are views of, where that came from the pool. */
  private readonly columnMemory: Buffer | undefined;

  /** The records' bytes are the first `size` of `memory`. */
  constructor(parts: {
    tag: string;
    memory: Buffer;
    size: number;
    ends: Uint32Array;
    columns: ChunkColumns;
    columnMemory?: Buffer | undefined;
    metadata?: readonly (LogRecord | undefined)[] | undefined;
    source?: Source | undefined;
    /** Where there is no source any more; else its id. */
    sourceId?: string | undefined;
    base: number;
    input: string;
    arrivedAt: number;
  }) {
    this.tag = parts.tag;
    this.memory = parts.memory;
    this.columnMemory = parts.columnMemory;
    this.bytes = parts.memory.subarray(0, parts.size);
    this.ends = parts.ends;
    this.columns = parts.columns;
    this.metadata = parts.metadata;
    this.source = parts.source;
    this.sourceId = parts.source?.id ?? parts.sourceId;
    this.base = parts.base;
    this.input = parts.input;
    this.arrivedAt = parts.arrivedAt;
    this.length = parts.columns.seconds.length;
    const columnBytes = this.columnMemory?.length ?? this.length * COLUMN_BYTES;
    const metadataBytes = this.metadata === undefined ? 0 : metadataCost(this.metadata);
    this.cost = this.memory.length + columnBytes + metadataBytes + CHUNK_OVERHEAD;
  }

  /** Bytes of the records from index `from` to `to`. */
  bytesBetween(from: number, to: number): number {
    return this.endOf(to - 1) - this.endOf(from - 1);
  }

  /** Offset behind record `index`; 0 for -1. */
  endOf(index: number): number {
    return index < 0 || this.ends.length === 0 ? 0 : (this.ends[index] as number);
  }

  /** Gives the memory back: every output has settled every record, and nobody may look at the bytes any more. */
  free(): void {
    chunkBytes.give(this.memory);
    if (this.columnMemory !== undefined) chunkBytes.give(this.columnMemory);
  }

  /** The same records, of which this process is the only holder: their source is not asked to keep them. */
  detach(): Chunk {
    const { tag, memory, bytes, ends, columns, metadata, sourceId, base, input, arrivedAt } = this;
    return new Chunk({
      tag,
      memory,
      size: bytes.length,
      ends,
      columns,
      metadata,
      sourceId,
      base,
      input,
      arrivedAt,
    });
  }

  /** A chunk of its own with some of the records, so that the rest can be freed. */
  extract(ranges: readonly (readonly [number, number])[]): Chunk {
    const indexes: number[] = [];
    for (const [from, to] of ranges) for (let i = from; i < to; i++) indexes.push(i);
    const parts = ranges.map(([from, to]) => this.bytes.subarray(this.endOf(from - 1), this.endOf(to - 1)));
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const memory = chunkBytes.take(size);
    let at = 0;
    for (const part of parts) at += part.copy(memory, at);
    const ends = new Uint32Array(this.ends.length === 0 ? 0 : indexes.length);
    let end = 0;
    for (let i = 0; i < ends.length; i++) {
      const index = indexes[i] as number;
      end += this.endOf(index) - this.endOf(index - 1);
      ends[i] = end;
    }
    const { seconds, nanos, starts, stops } = this.columns;
    return new Chunk({
      tag: this.tag,
      memory,
      size,
      ends,
      columns: {
        seconds: Float64Array.from(indexes, (i) => seconds[i] as number),
        nanos: Int32Array.from(indexes, (i) => nanos[i] as number),
        starts: Int32Array.from(indexes, (i) => starts[i] as number),
        stops: Int32Array.from(indexes, (i) => stops[i] as number),
      },
      metadata: this.metadata && indexes.map((i) => this.metadata?.[i]),
      source: this.source,
      sourceId: this.sourceId,
      base: this.base,
      input: this.input,
      arrivedAt: this.arrivedAt,
    });
  }
}

/**
 * Encodes a batch. With `wantBytes` false (no output reads them) only the columns are made. `arrivals` gives origins to records that have no
 * source.
 */
export function encodeBatch(
  tag: string,
  batch: Batch,
  wantBytes: boolean,
  arrivedAt: number,
  arrivals?: Arrivals,
): Chunk {
  const { memory, size, ends } = wantBytes ? encodeRecords(batch) : NOTHING;
  const own = batch.source === undefined ? arrivals : undefined;
  const { base, starts, stops } = own?.number(batch) ?? {
    base: batch.base,
    starts: batch.starts.slice(),
    stops: batch.stops.slice(),
  };
  return new Chunk({
    tag,
    memory,
    size,
    ends,
    columns: {
      seconds: batch.seconds.slice(),
      nanos: batch.nanos.slice(),
      starts,
      stops,
    },
    metadata: batch.metadata?.some((entry) => entry !== undefined) ? batch.metadata : undefined,
    source: batch.source,
    sourceId: own?.id,
    base,
    input: batch.input,
    arrivedAt,
  });
}

const NOTHING = { memory: Buffer.alloc(0), size: 0, ends: new Uint32Array(0) };

/** Text is put together in pieces of about this many characters: larger strings would leave the young generation. */
const PIECE = 32_768;

function encodeRecords(batch: Batch): { memory: Buffer; size: number; ends: Uint32Array } {
  const ends = new Uint32Array(batch.length);
  const pieces: string[] = [];
  let piece = '';
  let characters = 0;
  for (let index = 0; index < batch.length; index++) {
    piece += batch.json(index);
    piece += '\n';
    ends[index] = characters + piece.length;
    if (piece.length < PIECE) continue;
    pieces.push(piece);
    characters += piece.length;
    piece = '';
  }
  pieces.push(piece);
  characters += piece.length;

  let size = 0;
  for (const text of pieces) size += Buffer.byteLength(text);
  const memory = chunkBytes.take(size);
  const encoding = size === characters ? 'latin1' : 'utf8';
  let at = 0;
  for (const text of pieces) at += memory.write(text, at, encoding);
  if (size !== characters) {
    // Beyond ASCII a character takes several bytes: the ends are where the line feeds are, of which a JSON text holds none.
    let end = 0;
    for (let index = 0; index < batch.length; index++) {
      end = memory.indexOf(LINE_FEED, end) + 1;
      ends[index] = end;
    }
  }
  return { memory, size, ends };
}

/** A run of a chunk's records, as an output sees them: read-only, indexes from 0. */
export class Slice {
  readonly chunk: Chunk;
  readonly from: number;
  readonly length: number;

  /** Records `from` to `to` (exclusive) of the chunk. */
  constructor(chunk: Chunk, from: number, to: number) {
    this.chunk = chunk;
    this.from = from;
    this.length = to - from;
  }

  get tag(): string {
    return this.chunk.tag;
  }

  /** All records as NDJSON, a line feed after each. A view: copy it if it must outlive the attempt. */
  get bytes(): Buffer {
    return this.chunk.bytes.subarray(
      this.chunk.endOf(this.from - 1),
      this.chunk.endOf(this.from + this.length - 1),
    );
  }

  /** One record's JSON without its line feed; a view. */
  jsonBytes(index: number): Buffer {
    const at = this.from + index;
    return this.chunk.bytes.subarray(this.chunk.endOf(at - 1), this.chunk.endOf(at) - 1);
  }

  json(index: number): string {
    const at = this.from + index;
    return this.chunk.bytes.toString('utf8', this.chunk.endOf(at - 1), this.chunk.endOf(at) - 1);
  }

  /** One record, decoded at each call. */
  record(index: number): ReadonlyRecord {
    return parseExact(this.json(index)) as ReadonlyRecord;
  }

  /** Unix seconds. */
  seconds(index: number): number {
    return this.chunk.columns.seconds[this.from + index] as number;
  }

  nanos(index: number): number {
    return this.chunk.columns.nanos[this.from + index] as number;
  }

  metadata(index: number): ReadonlyRecord | undefined {
    return this.chunk.metadata?.[this.from + index];
  }

  origin(index: number): Origin | undefined {
    const { sourceId, base, columns } = this.chunk;
    if (sourceId === undefined) return undefined;
    return {
      source: sourceId,
      start: base + (columns.starts[this.from + index] as number),
      stop: base + (columns.stops[this.from + index] as number),
    };
  }
}
