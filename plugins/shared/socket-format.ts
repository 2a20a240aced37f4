/**
 * What the `tcp` and `udp` outputs share: the formats of what they write, all records in a row or each by itself.
 *
 *     json         [{…},{…}] per attempt; per datagram [{…}]⏎
 *     json_lines   {…}⏎
 *     json_stream  {…}{…}; per datagram {…}⏎
 *     msgpack      [[time, metadata], record], one after the other
 *     raw          the text of raw_message_key⏎
 */
import {
  compileAccessor,
  enumOf,
  escapeBreaks,
  jsonEncoder,
  loadMsgpack,
  Slice,
  string,
} from '../../src/plugin.ts';
import type { ByteSink, JsonDateFormat, OptionProblem, Rejection } from '../../src/plugin.ts';
import { accessorProblems } from './accessor-problems.ts';
import { jsonDateKey, jsonDateOptions } from './json-date-options.ts';
import { valueText } from './value-text.ts';

const FORMATS = ['msgpack', 'json', 'json_lines', 'json_stream', 'raw'] as const;
type Format = (typeof FORMATS)[number];

const LINE_FEED = 10;

/** The options, with the plugin's default format. */
export function socketFormatOptions(format: Format) {
  return {
    format: enumOf(...FORMATS)
      .default(format)
      .describe('Format of the records. `raw` needs raw_message_key.'),
    ...jsonDateOptions,
    raw_message_key: string()
      .optional()
      .describe(
        'Record accessor: this value alone is written, as a line, whatever the format; line ends inside are escaped.',
      ),
  };
}

interface Values {
  format: Format;
  json_date_key: string;
  json_date_format: JsonDateFormat;
  raw_message_key: string | undefined;
}

/** The problems of these options, for `check`. */
export function checkSocketFormat(options: Values): OptionProblem[] {
  const problems: OptionProblem[] = accessorProblems('raw_message_key', options.raw_message_key);
  if (options.format === 'raw' && options.raw_message_key === undefined) {
    problems.push({ key: 'format', message: 'needs raw_message_key: the value that is written' });
  }
  return problems;
}

/** How records become bytes. Both return the records that have none, indexes from 0 through the slices. */
export interface SocketFormat {
  /** Appends all records in a row. */
  write(slices: readonly Slice[], sink: ByteSink): Rejection[];
  /** Appends each record as a message of its own: their ends, and the records they are of, go onto the lists. */
  writeEach(slices: readonly Slice[], sink: ByteSink, ends: number[], records: number[]): Rejection[];
}

const NOTHING_REJECTED: Rejection[] = [];

export async function makeSocketFormat(options: Values): Promise<SocketFormat> {
  const { format, raw_message_key: rawKey } = options;
  if (rawKey !== undefined) return rawFormat(rawKey);
  if (format === 'msgpack') return msgpackFormat();
  return jsonFormat(format === 'raw' ? 'json_lines' : format, options);
}

function jsonFormat(layout: 'json' | 'json_lines' | 'json_stream', options: Values): SocketFormat {
  const date = { dateKey: jsonDateKey(options.json_date_key), dateFormat: options.json_date_format };
  const encode = jsonEncoder({ layout, ...date });
  const lines = jsonEncoder({ layout: 'json_lines', ...date });
  return {
    write(slices, sink) {
      encode(slices, sink);
      return NOTHING_REJECTED;
    },
    writeEach(slices, sink, ends, records) {
      if (layout === 'json') {
        eachRecord(slices, (slice, at, index) => {
          encode([new Slice(slice.chunk, slice.from + at, slice.from + at + 1)], sink);
          sink.byte(LINE_FEED);
          ends.push(sink.length);
          records.push(index);
        });
        return NOTHING_REJECTED;
      }
      let from = sink.length;
      lines(slices, sink);
      // A JSON text holds no line feed.
      const { bytes } = sink;
      for (let end = bytes.indexOf(LINE_FEED, from); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
        from = end + 1;
        ends.push(from);
        records.push(records.length);
      }
      return NOTHING_REJECTED;
    },
  };
}

async function msgpackFormat(): Promise<SocketFormat> {
  const { encodeMsgpack } = await loadMsgpack();
  return {
    write(slices, sink) {
      for (const slice of slices) encodeMsgpack(slice, 0, slice.length, sink);
      return NOTHING_REJECTED;
    },
    writeEach(slices, sink, ends, records) {
      eachRecord(slices, (slice, at, index) => {
        encodeMsgpack(slice, at, at + 1, sink);
        ends.push(sink.length);
        records.push(index);
      });
      return NOTHING_REJECTED;
    },
  };
}

function rawFormat(key: string): SocketFormat {
  const value = compileAccessor(key);
  const write = (slices: readonly Slice[], sink: ByteSink, wrote: (index: number) => void): Rejection[] => {
    const rejected: Rejection[] = [];
    eachRecord(slices, (slice, at, index) => {
      const text = valueText(value(slice.record(at)));
      if (text === undefined) {
        rejected.push({ index, reason: `The record has nothing under raw_message_key ${key}.` });
        return;
      }
      sink.text(escapeBreaks(text));
      sink.byte(LINE_FEED);
      wrote(index);
    });
    return rejected;
  };
  return {
    write: (slices, sink) => write(slices, sink, () => {}),
    writeEach: (slices, sink, ends, records) =>
      write(slices, sink, (index) => {
        ends.push(sink.length);
        records.push(index);
      }),
  };
}

/** Calls for every record with its slice, its index there, and its index through all slices. */
function eachRecord(
  slices: readonly Slice[],
  visit: (slice: Slice, at: number, index: number) => void,
): void {
  let index = 0;
  for (const slice of slices) for (let at = 0; at < slice.length; at++) visit(slice, at, index++);
}
