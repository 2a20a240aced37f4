/**
 * The formats of the file output.
 *
 *     out_file   app.web: [1700000000.500000000, {"log":"hello"}]
 *     plain      {"log":"hello"}
 *     csv        1700000000.500000000,"hello"
 *     ltsv       "time":1700000000.500000⇥"log":"hello"
 *     template   1700000000.500000 level=info hello
 *     msgpack    [[time, metadata], record]
 *
 * Strings of csv and ltsv stand in quotes and are not escaped, as in Fluent Bit; line ends inside of values are, so that a value
 * cannot begin a record.
 */
import { epochMicros, epochNanos, escapeBreaks, hashFields, loadMsgpack } from '../../../src/plugin.ts';
import type { ByteSink, HashField, Slice } from '../../../src/plugin.ts';

export interface FormatOptions {
  format: 'out_file' | 'plain' | 'csv' | 'ltsv' | 'template' | 'msgpack';
  /** Between fields; undefined for the format's own. */
  delimiter: string | undefined;
  /** Between a label and its value, in ltsv. */
  labelDelimiter: string | undefined;
  template: string;
  csvColumnNames: boolean;
}

export interface FileFormat {
  /** Appends records `from` to `to` (exclusive) of a slice. */
  write(slice: Slice, from: number, to: number, sink: ByteSink): void;
  /** What an empty file begins with, by its first record. */
  header?(slice: Slice, index: number): string;
}

export async function makeFormat(options: FormatOptions): Promise<FileFormat> {
  switch (options.format) {
    case 'out_file':
      return { write: writeLines };
    case 'plain':
      return { write: writePlain };
    case 'csv':
      return csvFormat(options.delimiter ?? ',', options.csvColumnNames);
    case 'ltsv':
      return ltsvFormat(options.delimiter ?? '\t', options.labelDelimiter ?? ':');
    case 'template':
      return templateFormat(options.template);
    case 'msgpack':
      return { write: (await loadMsgpack()).encodeMsgpack };
  }
}

const ZERO = 48;
const NANO_DIGITS = 9;
const COMMA = 44;
const SPACE = 32;
const CLOSE_BRACKET = 93;
const LINE_FEED = 10;
/** `, ` and `]⏎` around a record. */
const FRAME = 4;

/** The default format. The hot path of a pipeline into a file: bytes are copied, no string is made. */
function writeLines(slice: Slice, from: number, to: number, sink: ByteSink): void {
  const { chunk } = slice;
  const { bytes } = chunk;
  const { seconds, nanos } = chunk.columns;
  const tag = escapeBreaks(slice.tag);
  let lastSecond = Number.NaN;
  let head: Buffer = Buffer.alloc(0);
  const first = slice.from + from;
  const last = slice.from + to;
  let start = chunk.endOf(first - 1);
  sink.reserve(chunk.bytesBetween(first, last) + (to - from) * (Buffer.byteLength(tag) + 32));
  for (let at = first; at < last; at++) {
    const second = seconds[at] as number;
    const end = chunk.endOf(at);
    if (second !== lastSecond) {
      lastSecond = second;
      head = Buffer.from(`${tag}: [${second}.`);
    }
    sink.reserve(head.length + NANO_DIGITS + FRAME + end - start + 1);
    if (second < 0) {
      sink.text(`${tag}: [${epochNanos(second, nanos[at] as number)}`);
    } else {
      const { raw } = sink;
      let out = sink.length;
      for (let index = 0; index < head.length; index++) raw[out++] = head[index] as number;
      let rest = nanos[at] as number;
      for (let index = NANO_DIGITS - 1; index >= 0; index--) {
        const tenth = (rest / 10) | 0;
        raw[out + index] = ZERO + rest - tenth * 10;
        rest = tenth;
      }
      sink.length = out + NANO_DIGITS;
    }
    const { raw } = sink;
    raw[sink.length++] = COMMA;
    raw[sink.length++] = SPACE;
    sink.length += bytes.copy(raw, sink.length, start, end - 1);
    raw[sink.length++] = CLOSE_BRACKET;
    raw[sink.length++] = LINE_FEED;
    start = end;
  }
}

function writePlain(slice: Slice, from: number, to: number, sink: ByteSink): void {
  const { chunk } = slice;
  sink.copy(chunk.bytes, chunk.endOf(slice.from + from - 1), chunk.endOf(slice.from + to - 1));
}

type LineOf = (fields: readonly HashField[], seconds: number, nanos: number) => string;

function lineFormat(line: LineOf): FileFormat['write'] {
  return (slice, from, to, sink) => {
    for (let index = from; index < to; index++) {
      sink.text(line(hashFields(slice.json(index)), slice.seconds(index), slice.nanos(index)));
      sink.byte(LINE_FEED);
    }
  };
}

function csvFormat(delimiter: string, columnNames: boolean): FileFormat {
  const write = lineFormat((fields, seconds, nanos) =>
    [epochNanos(seconds, nanos), ...fields.map(({ value }) => value)].join(delimiter),
  );
  if (!columnNames) return { write };
  return {
    write,
    header: (slice, index) =>
      `${['timestamp', ...hashFields(slice.json(index)).map(({ key }) => `"${key}"`)].join(delimiter)}\n`,
  };
}

function ltsvFormat(delimiter: string, labelDelimiter: string): FileFormat {
  return {
    write: lineFormat((fields, seconds, nanos) =>
      [
        `"time"${labelDelimiter}${epochMicros(seconds, nanos)}`,
        ...fields.map(({ key, value }) => `"${key}"${labelDelimiter}${value}`),
      ].join(delimiter),
    ),
  };
}

/** `{key}` is a value of the record, `{time}` the event's time; a key that is not there stays as it is written. */
function templateFormat(template: string): FileFormat {
  const parts = template.split(/\{([^{}]*)\}/);
  return {
    write: lineFormat((fields, seconds, nanos) => {
      let line = '';
      for (let index = 0; index < parts.length; index++) {
        const part = parts[index] as string;
        // Odd parts are what stood in braces.
        if (index % 2 === 0) line += part;
        else if (part === 'time') line += epochMicros(seconds, nanos);
        else line += fields.find(({ key }) => key === part)?.plain ?? `{${part}}`;
      }
      return line;
    }),
  };
}
