/**
 * Objects as Apache Parquet: a column for each top-level key, found by a first reading of the object, written by a second one in row
 * groups that fit into memory.
 *
 *     true, false        BOOLEAN
 *     whole numbers      INT64, where all of a key are such and fit
 *     numbers            DOUBLE
 *     text               STRING
 *     all else           STRING: the JSON text (lists, maps, numbers too wide, a key with several kinds of values)
 *     the event's time   TIMESTAMP in microseconds, UTC; DOUBLE or INT64 where json_date_format says a number
 *
 * What an object has of keys comes from records, which may come from anywhere: beyond a limit they share a column, {@link MORE}.
 */
import type * as Library from 'hyparquet-writer';
import { recordToJson, setKey, valueToJson } from '../../../src/plugin.ts';
import type {
  JsonDateFormat,
  LogRecord,
  ReadonlyRecord,
  ReadonlyValue,
  Slice,
  Value,
} from '../../../src/plugin.ts';

export interface ParquetOptions {
  /** Undefined for none. */
  dateKey: string | undefined;
  dateFormat: JsonDateFormat;
}

/** The column of keys beyond the limit, as JSON. */
const MORE = '_more';
const MAX_COLUMNS = 1000;
/** Of a row group, bytes of JSON: decoded and as columns it takes some times as much. */
const GROUP_BYTES = 4_000_000;
const INT64 = 2n ** 63n;

const BOOLEAN = 1;
const WHOLE = 2;
/** A whole number that a double does not hold. */
const WIDE = 4;
const FRACTION = 8;
const TEXT = 16;
const OTHER = 32;

type Cell = string | number | bigint | boolean | null;
type ColumnType = 'BOOLEAN' | 'INT64' | 'DOUBLE' | 'STRING' | 'TIME';

interface Column {
  name: string;
  /** What is in it: the event's time, a key of records, or all keys that have no column. */
  holds: 'date' | 'key' | 'more';
  type: ColumnType;
  /** Cells of the row group that is being gathered. */
  cells: Cell[];
}

/** The bytes of a file. `slices` is called twice and must give the same both times. */
export async function* parquetFile(
  slices: () => AsyncIterable<Slice>,
  options: ParquetOptions,
): AsyncGenerator<Buffer> {
  const library = await import('hyparquet-writer');
  const columns = await findColumns(slices(), options);
  const file = new ParquetFile(library, columns, options);
  for await (const slice of slices()) {
    for (let index = 0; index < slice.length; index++) {
      file.add(slice.record(index), slice.seconds(index), slice.nanos(index), slice.jsonBytes(index).length);
      if (file.groupBytes >= GROUP_BYTES) yield file.writeGroup();
    }
  }
  yield file.finish();
}

async function findColumns(
  slices: AsyncIterable<Slice>,
  { dateKey, dateFormat }: ParquetOptions,
): Promise<Column[]> {
  const kinds = new Map<string, number>();
  let hasMore = false;
  for await (const slice of slices) {
    for (let index = 0; index < slice.length; index++) {
      const record = slice.record(index);
      for (const key of Object.keys(record)) {
        const known = kinds.get(key);
        if (key === MORE || (known === undefined && kinds.size >= MAX_COLUMNS)) hasMore = true;
        else kinds.set(key, (known ?? 0) | kindOf(record[key]));
      }
    }
  }
  const columns: Column[] = [];
  if (dateKey !== undefined && !kinds.has(dateKey))
    columns.push({ name: dateKey, holds: 'date', type: dateType(dateFormat), cells: [] });
  for (const [name, kind] of kinds) columns.push({ name, holds: 'key', type: typeOf(kind), cells: [] });
  // A file without columns would have no rows either.
  if (hasMore || columns.length === 0) columns.push({ name: MORE, holds: 'more', type: 'STRING', cells: [] });
  return columns;
}

function kindOf(value: ReadonlyValue | undefined): number {
  if (value === null || value === undefined) return 0;
  if (typeof value === 'boolean') return BOOLEAN;
  if (typeof value === 'string') return TEXT;
  // -0 is no whole number, for it would lose its sign.
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? WHOLE : FRACTION;
  return typeof value === 'bigint' && value >= -INT64 && value < INT64 ? WIDE : OTHER;
}

function typeOf(kinds: number): ColumnType {
  if (kinds === BOOLEAN) return 'BOOLEAN';
  if (kinds === WHOLE || kinds === WIDE || kinds === (WHOLE | WIDE)) return 'INT64';
  if (kinds === FRACTION || kinds === (WHOLE | FRACTION)) return 'DOUBLE';
  return 'STRING';
}

function dateType(format: JsonDateFormat): ColumnType {
  if (format === 'double') return 'DOUBLE';
  return format.startsWith('epoch') ? 'INT64' : 'TIME';
}

function dateCell(format: JsonDateFormat, seconds: number, nanos: number): Cell {
  if (format === 'double') return seconds + nanos / 1e9;
  if (format === 'epoch') return BigInt(seconds);
  if (format.startsWith('epoch')) return BigInt(seconds) * 1000n + BigInt(Math.floor(nanos / 1e6));
  return BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanos / 1000));
}

function cellOf(type: ColumnType, value: ReadonlyValue | undefined): Cell {
  if (value === undefined || value === null) return null;
  if (type === 'INT64') return BigInt(value as number | bigint);
  if (type === 'STRING') return typeof value === 'string' ? value : valueToJson(value as Value);
  return value as Cell;
}

class ParquetFile {
  /** Bytes of JSON that are gathered. */
  groupBytes = 0;
  private rows = 0;
  private readonly columns: readonly Column[];
  private readonly named: ReadonlySet<string>;
  private readonly options: ParquetOptions;
  private readonly bytes: Library.ByteWriter;
  private readonly writer: Library.ParquetWriter;

  constructor(library: typeof Library, columns: readonly Column[], options: ParquetOptions) {
    this.columns = columns;
    this.options = options;
    this.named = new Set(columns.filter(({ holds }) => holds === 'key').map(({ name }) => name));
    this.bytes = new library.ByteWriter();
    this.writer = new library.ParquetWriter({
      writer: this.bytes,
      schema: [
        { name: 'root', num_children: columns.length },
        ...columns.map(({ name, type }) => ({
          name,
          repetition_type: 'OPTIONAL' as const,
          ...SCHEMA[type],
        })),
      ],
      createdBy: 'tailrace',
    });
  }

  add(record: ReadonlyRecord, seconds: number, nanos: number, bytes: number): void {
    for (const { name, holds, type, cells } of this.columns) {
      if (holds === 'date') cells.push(dateCell(this.options.dateFormat, seconds, nanos));
      else if (holds === 'more') cells.push(this.moreOf(record));
      else cells.push(cellOf(type, Object.hasOwn(record, name) ? record[name] : null));
    }
    this.rows++;
    this.groupBytes += bytes;
  }

  private moreOf(record: ReadonlyRecord): string | null {
    const rest: LogRecord = {};
    for (const [key, value] of Object.entries(record))
      if (!this.named.has(key)) setKey(rest, key, value as Value);
    return Object.keys(rest).length === 0 ? null : recordToJson(rest);
  }

  /** Writes what is gathered, and returns the bytes that are ready. */
  writeGroup(): Buffer {
    if (this.rows > 0) {
      const columnData = this.columns.map(({ name, cells }) => ({ name, data: cells }));
      // Nothing here is asynchronous: the writer has no flush.
      void this.writer.write({ columnData, rowGroupSize: this.rows });
      for (const column of this.columns) column.cells = [];
    }
    this.rows = 0;
    this.groupBytes = 0;
    return this.take();
  }

  finish(): Buffer {
    const last = this.writeGroup();
    void this.writer.finish();
    return Buffer.concat([last, this.take()]);
  }

  private take(): Buffer {
    const ready = Buffer.from(this.bytes.getBytes());
    // Offsets in the file go on counting.
    this.bytes.index = 0;
    return ready;
  }
}

const SCHEMA = {
  BOOLEAN: { type: 'BOOLEAN' },
  INT64: { type: 'INT64' },
  DOUBLE: { type: 'DOUBLE' },
  STRING: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  TIME: { type: 'INT64', converted_type: 'TIMESTAMP_MICROS' },
} as const;
