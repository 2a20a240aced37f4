/** The bytes of an object, made as they are read: its records in the format of its plan, compressed. */
import { pipeline, Readable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import {
  ByteSink,
  compileAccessor,
  getKey,
  JSON_DATE_FORMATS,
  jsonEncoder,
  valueToJson,
} from '../../../src/plugin.ts';
import { parquetFile } from './parquet.ts';
import type {
  JsonDateFormat,
  ObjectPlan,
  ReadonlyRecord,
  ReadonlyValue,
  Rejection,
  Slice,
  Value,
} from '../../../src/plugin.ts';

/** What decides which bytes an object has. */
export interface ContentOptions {
  format: 'json_lines' | 'plain';
  compression: 'none' | 'gzip' | 'zstd' | 'parquet';
  /** Undefined for none. */
  dateKey: string | undefined;
  dateFormat: JsonDateFormat;
  /** Of `plain`: the key, or record accessor, whose value is the line. */
  logKey: string;
}

const LINE_FEED = 10;

/** As an object's plan keeps them. */
export function settingsOf(options: ContentOptions): ObjectPlan['settings'] {
  const { format, compression, dateKey, dateFormat, logKey } = options;
  return {
    format,
    compression,
    ...(format === 'plain'
      ? { log_key: logKey }
      : { date_format: dateFormat, ...(dateKey === undefined ? {} : { date_key: dateKey }) }),
  };
}

/** Reads them back; what another version wrote and this one does not know is as it is configured now. */
export function contentOf(settings: ObjectPlan['settings'], configured: ContentOptions): ContentOptions {
  const { format, compression, date_key: dateKey, date_format: dateFormat, log_key: logKey } = settings;
  return {
    format: oneOf(format, ['json_lines', 'plain']) ?? configured.format,
    compression: oneOf(compression, ['none', 'gzip', 'zstd', 'parquet']) ?? configured.compression,
    dateKey: format === undefined ? configured.dateKey : dateKey,
    dateFormat: oneOf(dateFormat, JSON_DATE_FORMATS) ?? configured.dateFormat,
    logKey: logKey ?? configured.logKey,
  };
}

function oneOf<T extends string>(text: string | undefined, words: readonly T[]): T | undefined {
  return words.find((word) => word === text);
}

export class ObjectBody {
  /** Records that cannot be written, once the body was read. */
  readonly rejected: Rejection[] = [];
  readonly options: ContentOptions;
  private readonly slices: () => AsyncIterable<Slice>;

  constructor(slices: () => AsyncIterable<Slice>, options: ContentOptions) {
    this.slices = slices;
    this.options = options;
  }

  /** A stream of the object's bytes; undefined when there is no record that can be written. To be called once. */
  async open(): Promise<Readable | undefined> {
    const { compression, dateKey, dateFormat } = this.options;
    const encoded =
      compression === 'parquet' ? parquetFile(this.slices, { dateKey, dateFormat }) : this.encoded();
    const first = await encoded.next();
    if (first.done === true) return undefined;
    const source = Readable.from(startingWith(first.value, encoded), { objectMode: false });
    if (compression === 'none' || compression === 'parquet') return source;
    const compressor = compression === 'gzip' ? createGzip() : createZstdCompress();
    // An error of the source ends the compressor with it, and whoever reads that gets to see it.
    return pipeline(source, compressor, () => undefined);
  }

  private async *encoded(): AsyncGenerator<Buffer> {
    const { format, dateKey, dateFormat, logKey } = this.options;
    const sink = new ByteSink();
    const encodeJson = jsonEncoder({ layout: 'json_lines', dateKey, dateFormat });
    const valueOf = format === 'plain' ? lineValue(logKey) : undefined;
    let index = 0;
    for await (const slice of this.slices()) {
      sink.length = 0;
      if (valueOf === undefined) encodeJson([slice], sink);
      else this.writeValues(slice, index, valueOf, sink);
      index += slice.length;
      // The slice's memory goes, and so does the sink's.
      if (sink.length > 0) yield Buffer.from(sink.bytes);
    }
  }

  private writeValues(
    slice: Slice,
    index: number,
    valueOf: (record: ReadonlyRecord) => ReadonlyValue | undefined,
    sink: ByteSink,
  ): void {
    for (let at = 0; at < slice.length; at++) {
      const value = valueOf(slice.record(at));
      if (value === undefined) {
        this.rejected.push({
          index: index + at,
          reason: `The record has no ${this.options.logKey} (log_key).`,
        });
        continue;
      }
      sink.text(typeof value === 'string' ? value : valueToJson(value as Value));
      sink.byte(LINE_FEED);
    }
  }
}

async function* startingWith(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

function lineValue(key: string): (record: ReadonlyRecord) => ReadonlyValue | undefined {
  if (key.startsWith('$')) return compileAccessor(key);
  return (record) => getKey(record, key);
}
