/**
 * Bodies of bulk requests: a line that says what to do, and the document.
 *
 *     {"create":{"_index":"logs","_id":"Gk3kqk0HTOuBrX2dH8u1xQ.1a9f.2C"}}⏎
 *     {"@timestamp":"2023-11-14T22:13:20.500Z","log":"a"}⏎
 *
 * Documents are the chunk's bytes; a record is decoded only where an option looks into it. Nothing that comes from a record can end a
 * line: names and ids are JSON strings.
 *
 * Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
 */
import { compileAccessor } from '../../../src/plugin.ts';
import type { Accessor, ByteSink, ReadonlyRecord, Rejection, Slice } from '../../../src/plugin.ts';
import { MAX_POSITION_LENGTH, sourcePart, writePosition } from './document-id.ts';
import { DocumentWriter, put } from './document.ts';
import { withoutDots } from './dots.ts';
import { compileIndexName } from './index-name.ts';
import type { IndexName, IndexOptions } from './index-name.ts';

export interface BodyOptions extends IndexOptions {
  write_operation: 'create' | 'index' | 'update' | 'upsert';
  /** Where ids come from unless there is an id_key. */
  id: 'origin' | 'none';
  id_key: string | undefined;
  type: string;
  suppress_type_name: boolean;
  time_key: string;
  time_key_format: string;
  time_key_nanos: boolean;
  include_tag_key: boolean;
  tag_key: string;
  replace_dots: boolean;
  current_time_index: boolean;
  bulk_max_size: number;
}

/** Where in the slices of an attempt the next body begins. */
export interface Cursor {
  slice: number;
  /** Record of that slice. */
  at: number;
  /** The same record through all slices. */
  index: number;
}

/** A record by its slice, and its index through all slices of the attempt. */
export interface Item {
  slice: Slice;
  at: number;
  index: number;
  /** What is sent in its place. */
  text?: Buffer;
}

/** The longest id that the stores take, bytes. */
const MAX_ID = 512;
const NO_RECORD: ReadonlyRecord = {};
const ID_END = Buffer.from('"}}\n');
const NO_ID_END = Buffer.from('}}\n');
/** Names of indexes whose action lines are kept. */
const KEPT_HEADS = 256;

export class BulkBody {
  private readonly options: BodyOptions;
  private readonly index: IndexName;
  private readonly idKey: Accessor | undefined;
  private readonly documents: DocumentWriter;
  private readonly needsRecord: boolean;
  private readonly heads = new Map<string, Buffer>();

  // Of the slice that is written:
  private slice: Slice | undefined;
  private second = Number.NaN;
  private indexText: string | undefined;
  private source = '';
  /** Action line up to the position in the id, or without an id. */
  private head: Buffer = NO_ID_END;
  private headIndex: string | undefined;
  private headSource: string | undefined;

  constructor(options: BodyOptions) {
    this.options = options;
    this.index = compileIndexName(options);
    this.idKey = options.id_key === undefined ? undefined : compileAccessor(options.id_key);
    const { write_operation: operation } = options;
    const wrapped = operation === 'update' || operation === 'upsert';
    this.documents = new DocumentWriter({
      ...options,
      open: wrapped ? `{${operation === 'upsert' ? '"doc_as_upsert":true,' : ''}"doc":` : '',
      close: wrapped ? '}' : '',
    });
    this.needsRecord = this.index.needsRecord || this.idKey !== undefined || options.replace_dots;
  }

  /**
   * Appends records from the cursor on until the next would make the body larger than it may be, and moves the cursor. Answers with the
   * indexes of the records in the body; what cannot be in any goes to `rejected`.
   */
  fill(slices: readonly Slice[], cursor: Cursor, sink: ByteSink, rejected: Rejection[]): number[] {
    const indexes: number[] = [];
    for (; cursor.slice < slices.length; cursor.slice++, cursor.at = 0) {
      const slice = slices[cursor.slice] as Slice;
      for (; cursor.at < slice.length; cursor.at++, cursor.index++) {
        const before = sink.length;
        const reason = this.append(slice, cursor.at, sink) ?? this.sizeProblem(sink.length - before);
        if (reason !== undefined) {
          sink.length = before;
          rejected.push({ index: cursor.index, ...reason });
        } else if (sink.length > this.options.bulk_max_size) {
          sink.length = before;
          return indexes;
        } else {
          indexes.push(cursor.index);
        }
      }
    }
    return indexes;
  }

  /** Appends one record, with another text if it has one, as long as there is room; answers whether there was. */
  add({ slice, at, text }: Item, sink: ByteSink): boolean {
    const before = sink.length;
    if (this.append(slice, at, sink, text) === undefined && sink.length <= this.options.bulk_max_size)
      return true;
    sink.length = before;
    return false;
  }

  private sizeProblem(bytes: number): Omit<Rejection, 'index'> | undefined {
    const { bulk_max_size: most } = this.options;
    if (bytes <= most) return undefined;
    return {
      status: 413,
      reason: `The record takes ${bytes} bytes with its action line, more than bulk_max_size (${most}).`,
    };
  }

  /** Appends a record; answers why it cannot be sent. */
  private append(
    slice: Slice,
    at: number,
    sink: ByteSink,
    text?: Buffer,
  ): Omit<Rejection, 'index'> | undefined {
    if (slice !== this.slice) this.enter(slice);
    const record = this.needsRecord ? slice.record(at) : NO_RECORD;
    const index = this.indexOf(slice, at, record);
    if (index === undefined)
      return { reason: 'Nothing is left of the name of its index: see index and logstash_prefix.' };
    const problem = this.writeAction(index, slice, at, record, sink);
    if (problem !== undefined) return { reason: problem };
    if (text !== undefined) this.documents.writeText(text, slice, at, sink);
    else if (this.options.replace_dots) this.documents.writeText(withoutDots(record), slice, at, sink);
    else this.documents.write(slice, at, sink);
    return undefined;
  }

  private enter(slice: Slice): void {
    this.slice = slice;
    this.second = Number.NaN;
    const { sourceId } = slice.chunk;
    this.source = sourceId === undefined || this.options.id === 'none' ? '' : sourcePart(sourceId);
    this.documents.enter(slice);
  }

  /** Forgets the slice, whose memory may be another's when the next one comes. */
  leave(): void {
    this.slice = undefined;
  }

  private indexOf(slice: Slice, at: number, record: ReadonlyRecord): string | undefined {
    if (this.index.fixed) return this.options.index;
    const seconds = this.options.current_time_index ? Math.floor(Date.now() / 1000) : slice.seconds(at);
    if (this.index.needsRecord) return this.index.of(record, slice.tag, seconds, slice.nanos(at));
    if (seconds !== this.second) {
      this.second = seconds;
      this.indexText = this.index.of(record, slice.tag, seconds, slice.nanos(at));
    }
    return this.indexText;
  }

  private writeAction(
    index: string,
    slice: Slice,
    at: number,
    record: ReadonlyRecord,
    sink: ByteSink,
  ): string | undefined {
    const { write_operation: operation, id_key: key } = this.options;
    if (this.idKey !== undefined) {
      const value = idText(this.idKey(record));
      if (value !== undefined) {
        if (Buffer.byteLength(value) > MAX_ID)
          return `Its ${key} is longer than ${MAX_ID} bytes, which no id can be.`;
        sink.text(`${this.actionHead(index, '').toString()},"_id":${JSON.stringify(value)}}}\n`);
        return undefined;
      }
      if (operation === 'update' || operation === 'upsert') {
        return `It has no text or number under id_key ${key}, without which nothing can be updated.`;
      }
    }
    const { source } = this;
    if (index !== this.headIndex || source !== this.headSource) {
      this.head = this.actionHead(index, source);
      this.headIndex = index;
      this.headSource = source;
    }
    const { head } = this;
    sink.reserve(head.length + MAX_POSITION_LENGTH + ID_END.length);
    const { raw } = sink;
    let end = put(head, raw, sink.length);
    if (source === '') {
      sink.length = put(NO_ID_END, raw, end);
      return undefined;
    }
    const { base, columns } = slice.chunk;
    const start = columns.starts[slice.from + at] as number;
    end = writePosition(raw, end, base + start, (columns.stops[slice.from + at] as number) - start);
    sink.length = put(ID_END, raw, end);
    return undefined;
  }

  /** The action line up to where the position in the id follows, or up to its closing braces where there is no source. */
  private actionHead(index: string, source: string): Buffer {
    const key = `${index}\n${source}`;
    let head = this.heads.get(key);
    if (head === undefined) {
      const { write_operation: operation, type, suppress_type_name: noType } = this.options;
      head = Buffer.from(
        `{"${operation === 'upsert' ? 'update' : operation}":{"_index":${JSON.stringify(index)}` +
          `${noType ? '' : `,"_type":${JSON.stringify(type)}`}${source === '' ? '' : `,"_id":"${source}`}`,
      );
      if (this.heads.size >= KEPT_HEADS) this.heads.clear();
      this.heads.set(key, head);
    }
    return head;
  }
}

function idText(value: unknown): string | undefined {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'bigint') return undefined;
  return value === '' ? undefined : String(value).toWellFormed();
}
