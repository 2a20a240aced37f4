/** The formats of standard output. */
import {
  ByteSink,
  epochNanos,
  escapeBreaks,
  escapeForTerminal,
  escapeLine,
  hashText,
  jsonEncoder,
  prettyLine,
  valueToJson,
} from '../../../src/plugin.ts';
import type { JsonDateFormat, LogRecord, Slice } from '../../../src/plugin.ts';

export interface FormatOptions {
  format: 'msgpack' | 'json' | 'json_lines' | 'json_stream' | 'pretty';
  dateKey: string | undefined;
  dateFormat: JsonDateFormat;
  color: boolean;
  /** Escape what a terminal would obey. */
  escape: boolean;
}

/** Appends the records of all slices to the sink. */
export type Writer = (slices: readonly Slice[], sink: ByteSink) => void;

const LINE_FEED = 10;

export function makeWriter(options: FormatOptions): Writer {
  const { format, escape, color } = options;
  switch (format) {
    case 'msgpack':
      return hashWriter(escape);
    case 'pretty':
      return prettyWriter(color, escape);
    case 'json':
    case 'json_lines':
    case 'json_stream':
      return jsonWriter(options, format);
  }
}

/** `[0] app.web: [[1700000000.500000000, {}], {"log"=>"hello"}]`, counted from 0 for each chunk. */
function hashWriter(escape: boolean): Writer {
  return (slices, sink) => {
    for (const slice of slices) {
      const tag = escapeBreaks(slice.tag);
      for (let index = 0; index < slice.length; index++) {
        const time = epochNanos(slice.seconds(index), slice.nanos(index));
        const metadata = slice.metadata(index);
        const shownMetadata = metadata === undefined ? '{}' : hashText(valueToJson(metadata as LogRecord));
        const line = `[${index}] ${tag}: [[${time}, ${shownMetadata}], ${hashText(slice.json(index))}]`;
        sink.text(escape ? escapeLine(line) : line);
        sink.byte(LINE_FEED);
      }
    }
  };
}

function prettyWriter(color: boolean, escape: boolean): Writer {
  return (slices, sink) => {
    for (const slice of slices) {
      for (let index = 0; index < slice.length; index++) {
        sink.text(
          prettyLine(slice.record(index), slice.seconds(index), slice.nanos(index), {
            color,
            prefix: slice.tag,
            raw: !escape,
          }),
        );
        sink.byte(LINE_FEED);
      }
    }
  };
}

function jsonWriter(options: FormatOptions, layout: 'json' | 'json_lines' | 'json_stream'): Writer {
  const encode = jsonEncoder({ layout, dateKey: options.dateKey, dateFormat: options.dateFormat });
  const write: Writer = (slices, sink) => {
    encode(slices, sink);
    // A JSON array or stream has no end of its own.
    if (layout !== 'json_lines') sink.byte(LINE_FEED);
  };
  if (!options.escape) return write;
  return (slices, sink) => {
    const plain = new ByteSink();
    write(slices, plain);
    sink.text(escapeForTerminal(plain.bytes.toString('utf8')));
  };
}
