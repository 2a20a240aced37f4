/** What becomes of a record as the value of a message: its format. */
import {
  compileAccessor,
  getKey,
  jsonEncoder,
  loadGelf,
  loadMsgpack,
  valueToJson,
} from '../../../src/plugin.ts';
import type {
  ByteSink,
  JsonDateFormat,
  ReadonlyRecord,
  ReadonlyValue,
  Rejection,
  Slice,
  Value,
} from '../../../src/plugin.ts';

export type ValueFormat = 'json' | 'msgpack' | 'gelf' | 'raw';
export type TimestampFormat = 'double' | 'iso8601' | 'iso8601_ns';

export interface ValueOptions {
  format: ValueFormat;
  /** Key of the event's time in the record; undefined for none. */
  timestampKey: string | undefined;
  timestampFormat: TimestampFormat;
  /** The field that is the value, in the format raw. */
  rawKey: string;
  gelf: { timestamp: string; host: string; shortMessage: string; fullMessage: string; level: string };
}

/**
 * Appends the values of all records. `ends` takes the offset behind each; a record that the format cannot take is returned as rejected,
 * its value empty.
 */
export type WriteValues = (slices: readonly Slice[], sink: ByteSink, ends: Uint32Array) => Rejection[];

const LINE_FEED = 10;
const NOTHING: Rejection[] = [];

export async function makeValues(options: ValueOptions): Promise<WriteValues> {
  switch (options.format) {
    case 'json':
      return jsonValues(options);
    case 'msgpack':
      return msgpackValues(options);
    case 'gelf':
      return gelfValues(options);
    case 'raw':
      return rawValues(options);
  }
}

/** The chunk's text with the time spliced in; line feeds, which no JSON text holds, tell where a record ends. */
function jsonValues({ timestampKey, timestampFormat }: ValueOptions): WriteValues {
  const dateFormat: JsonDateFormat = timestampFormat;
  const encode = jsonEncoder({ layout: 'json_lines', dateKey: timestampKey, dateFormat });
  return (slices, sink, ends) => {
    encode(slices, sink);
    const { raw } = sink;
    let end = 0;
    for (let index = 0; index < ends.length; index++) {
      end = raw.indexOf(LINE_FEED, end) + 1;
      ends[index] = end;
    }
    return NOTHING;
  };
}

/** Line feeds behind JSON values are not part of them. */
export function separatorOf(format: ValueFormat): number {
  return format === 'json' ? 1 : 0;
}

type WriteOne = (slice: Slice, index: number, sink: ByteSink) => string | undefined;

/** For formats that look at each record: `write` returns why it cannot take one. */
function oneByOne(write: WriteOne): WriteValues {
  return (slices, sink, ends) => {
    const rejected: Rejection[] = [];
    let index = 0;
    for (const slice of slices) {
      for (let at = 0; at < slice.length; at++, index++) {
        const reason = write(slice, at, sink);
        if (reason !== undefined) rejected.push({ index, reason });
        ends[index] = sink.length;
      }
    }
    return rejected;
  };
}

async function msgpackValues({ timestampKey, timestampFormat }: ValueOptions): Promise<WriteValues> {
  const { encodeMsgpackMap } = await loadMsgpack();
  return oneByOne((slice, index, sink) => {
    const first =
      timestampKey === undefined
        ? undefined
        : { key: timestampKey, value: timeValue(slice.seconds(index), slice.nanos(index), timestampFormat) };
    encodeMsgpackMap(slice, index, first, sink);
    return undefined;
  });
}

function timeValue(seconds: number, nanos: number, format: TimestampFormat): ReadonlyValue {
  if (format === 'double') return seconds + nanos / 1e9;
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return seconds;
  const digits = String(nanos)
    .padStart(9, '0')
    .slice(0, format === 'iso8601' ? 6 : 9);
  return `${date.toISOString().slice(0, -5)}.${digits}Z`;
}

async function gelfValues({ gelf }: ValueOptions): Promise<WriteValues> {
  const { gelfText } = await loadGelf();
  return oneByOne((slice, index, sink) => {
    const text = gelfText(slice.record(index), slice.seconds(index), slice.nanos(index), gelf);
    if (text === undefined) return `GELF needs a short message: the record has no "${gelf.shortMessage}".`;
    sink.text(text);
    return undefined;
  });
}

function rawValues({ rawKey }: ValueOptions): WriteValues {
  const read = fieldReader(rawKey);
  return oneByOne((slice, index, sink) => {
    const value = read(slice.record(index));
    if (value === undefined || value === null)
      return `There is nothing to send: the record has no "${rawKey}".`;
    sink.text(textOf(value));
    return undefined;
  });
}

/** Reads a field: by a record accessor where it begins with `$`, else by its name. */
export function fieldReader(key: string): (record: ReadonlyRecord) => ReadonlyValue | undefined {
  if (!key.startsWith('$')) return (record) => getKey(record, key);
  const read = compileAccessor(key);
  return (record) => read(record);
}

/** Text as it is, other values as JSON. */
export function textOf(value: ReadonlyValue): string {
  return typeof value === 'string' ? value : valueToJson(value as Value);
}
