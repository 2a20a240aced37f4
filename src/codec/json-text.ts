/**
 * Records as JSON text for outputs: the event's time is spliced in front of what the chunk holds, nothing is serialised again.
 *
 *     json         [{"date":1700000000.5,"log":"a"},{"date":…}]
 *     json_lines   {"date":1700000000.5,"log":"a"}⏎{"date":…}⏎
 *     json_stream  {"date":1700000000.5,"log":"a"}{"date":…}
 */
import type { Slice } from '../event/chunk.ts';
import type { ReadonlyRecord } from '../event/record.ts';
import type { ByteSink } from './bytes.ts';
import { jsonDate, MAX_DATE_LENGTH } from './json-date.ts';
import type { JsonDateFormat } from './json-date.ts';

export type JsonLayout = 'json' | 'json_lines' | 'json_stream';

export interface JsonTextOptions {
  layout: JsonLayout;
  /** Key of the event's time; undefined for none. */
  dateKey: string | undefined;
  dateFormat: JsonDateFormat;
}

/** Appends the records of all slices to the sink. */
export type JsonEncoder = (slices: readonly Slice[], sink: ByteSink) => void;

const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const COMMA = 44;
const LINE_FEED = 10;
/** Brace, two commas and separator around a record. */
const BRACKETS = 4;

/**
 * Makes an encoder. Metadata goes into `__internal__`, as in Fluent Bit. A record that has the date's key already keeps its
 * own value and gets no date (Fluent Bit writes the key twice, and readers take the second).
 */
export function jsonEncoder(options: JsonTextOptions): JsonEncoder {
  const { layout, dateKey, dateFormat } = options;
  const quotedKey = dateKey === undefined ? undefined : JSON.stringify(dateKey);
  const member = quotedKey === undefined ? undefined : Buffer.from(`${quotedKey}:`);
  const date = jsonDate(dateFormat);
  const separator = layout === 'json' ? COMMA : layout === 'json_lines' ? LINE_FEED : undefined;

  const plain = (slice: Slice, sink: ByteSink): void => {
    const start = sink.length;
    sink.copy(slice.bytes, 0, slice.bytes.length);
    if (separator === LINE_FEED) return;
    // Every record ends in a line feed, and no JSON text holds another.
    for (
      let at = sink.raw.indexOf(LINE_FEED, start);
      at !== -1 && at < sink.length;
      at = sink.raw.indexOf(LINE_FEED, at + 1)
    ) {
      sink.raw[at] = COMMA;
    }
  };

  const spliced = (slice: Slice, sink: ByteSink): void => {
    const { chunk, from, length } = slice;
    const { bytes } = chunk;
    const { seconds, nanos } = chunk.columns;
    const own = quotedKey !== undefined && slice.bytes.includes(quotedKey);
    const headLength = (member?.length ?? 0) + MAX_DATE_LENGTH + BRACKETS;
    sink.reserve(slice.bytes.length + length * headLength);
    let start = chunk.endOf(from - 1);
    for (let index = 0; index < length; index++) {
      const end = chunk.endOf(from + index);
      const metadata = slice.metadata(index);
      const internal = metadata === undefined ? '' : internalMember(metadata);
      sink.reserve(internal.length * 3 + headLength + end - start);
      const { raw } = sink;
      // The text may have arrived with white space around its brace.
      while (bytes[start] !== OPEN_BRACE) start++;
      start++;
      let rest = start;
      while (isSpace(bytes[rest])) rest++;
      const empty = bytes[rest] === CLOSE_BRACE;
      let at = sink.length;
      raw[at++] = OPEN_BRACE;
      if (member !== undefined && !(own && hasKey(slice, index, dateKey as string))) {
        for (let byte = 0; byte < member.length; byte++) raw[at++] = member[byte] as number;
        at = date(raw, at, seconds[from + index] as number, nanos[from + index] as number);
        if (!empty || internal !== '') raw[at++] = COMMA;
      }
      if (internal !== '') {
        at += raw.write(internal, at, 'utf8');
        if (!empty) raw[at++] = COMMA;
      }
      at += bytes.copy(raw, at, start, end - 1);
      if (separator !== undefined) raw[at++] = separator;
      sink.length = at;
      start = end;
    }
  };

  return (slices, sink) => {
    if (layout === 'json') sink.byte(OPEN_BRACKET);
    for (const slice of slices) {
      const simple = member === undefined && slice.chunk.metadata === undefined && layout !== 'json_stream';
      if (simple) plain(slice, sink);
      else spliced(slice, sink);
    }
    if (layout !== 'json') return;
    // The last comma makes room for the bracket.
    if (sink.raw[sink.length - 1] === COMMA) sink.length--;
    sink.byte(CLOSE_BRACKET);
  };
}

function internalMember(metadata: ReadonlyRecord): string {
  const text = JSON.stringify(metadata);
  return text === '{}' ? '' : `"__internal__":{"log_metadata":${text}}`;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 9;
}

function hasKey(slice: Slice, index: number, key: string): boolean {
  return Object.hasOwn(slice.record(index), key);
}
