/**
 * Events as HTTP Event Collector takes them, spliced out of the chunk: an envelope in front, a brace behind.
 *
 *     event    {"time":1700000000.5,"host":"h","sourcetype":"s","fields":{"k":"v"},"event":{"log":"a"}}{"time":…
 *     raw      {"log":"a"}⏎{"log":"b"}⏎
 *
 * Source: https://help.splunk.com/en/splunk-enterprise/get-data-in/collect-http-event-data/format-events-for-http-event-collector
 */
import {
  compileAccessor,
  compileTemplate,
  escapeBreaks,
  isRecord,
  valueToJson,
} from '../../../src/plugin.ts';
import type {
  Accessor,
  ByteSink,
  ReadonlyRecord,
  ReadonlyValue,
  Slice,
  Template,
  Value,
} from '../../../src/plugin.ts';

export interface EventOptions {
  /** `event`: in an envelope; `own`: the record is the envelope; `line`: a line of text each. */
  shape: 'event' | 'own' | 'line';
  /** Without it Splunk looks for the time in the event. */
  withTime: boolean;
  eventKey: string | undefined;
  host: string | undefined;
  source: string | undefined;
  sourcetype: string | undefined;
  sourcetypeKey: string | undefined;
  index: string | undefined;
  indexKey: string | undefined;
  fields: readonly (readonly [name: string, accessor: string])[];
}

/** Appends the events; `ends` takes the offset in the sink behind each. */
export type WriteEvents = (slices: readonly Slice[], sink: ByteSink, ends: number[]) => void;

const LINE_FEED = 10;
const OPEN_TIME = '{"time":';

/** A member of the envelope: its text, undefined where the record has no value for it. */
interface Member {
  fixed: boolean;
  text: (record: ReadonlyRecord, tag: string) => string | undefined;
}

const NO_RECORD: ReadonlyRecord = {};

/** Compiles the options. Throws AccessorSyntaxError. */
export function compileEvents(options: EventOptions): WriteEvents {
  const eventKey = options.eventKey === undefined ? undefined : compileAccessor(options.eventKey);
  if (options.shape !== 'event') return compileLines(eventKey, options.shape === 'own');
  const members = envelope(options);
  const fixed = members.every((part) => part.fixed);
  const head = options.withTime ? OPEN_TIME : '{';

  const textOf = (record: ReadonlyRecord, tag: string): string => {
    let text = '';
    for (const part of members) {
      const own = part.text(record, tag);
      if (own !== undefined) text += `${own},`;
    }
    return `${text}"event":`;
  };

  return (slices, sink, ends) => {
    for (const slice of slices) {
      const common = fixed ? textOf(NO_RECORD, slice.tag) : undefined;
      for (let index = 0; index < slice.length; index++) {
        const record = common === undefined || eventKey !== undefined ? slice.record(index) : NO_RECORD;
        const middle = common ?? textOf(record, slice.tag);
        const time = options.withTime ? `${eventTime(slice.seconds(index), slice.nanos(index))},` : '';
        sink.text(`${head}${time}${middle}`);
        writeEvent(slice, index, record, sink);
        sink.text('}');
        ends.push(sink.length);
      }
    }
  };

  function writeEvent(slice: Slice, index: number, record: ReadonlyRecord, sink: ByteSink): void {
    const value = eventKey?.(record);
    const text = value === undefined ? '' : fieldText(value);
    if (text !== '') sink.text(JSON.stringify(text));
    else copyRecord(slice, index, sink);
  }
}

function compileLines(eventKey: Accessor | undefined, quoted: boolean): WriteEvents {
  return (slices, sink, ends) => {
    for (const slice of slices) {
      for (let index = 0; index < slice.length; index++) {
        const value = eventKey?.(slice.record(index));
        const text = value === undefined ? '' : fieldText(value);
        if (text === '') copyRecord(slice, index, sink);
        else sink.text(quoted ? JSON.stringify(text) : escapeBreaks(text));
        sink.byte(LINE_FEED);
        ends.push(sink.length);
      }
    }
  };
}

function copyRecord(slice: Slice, index: number, sink: ByteSink): void {
  const { chunk, from } = slice;
  sink.copy(chunk.bytes, chunk.endOf(from + index - 1), chunk.endOf(from + index) - 1);
}

/** The members between time and event, in Fluent Bit's order. */
function envelope(options: EventOptions): Member[] {
  const members: Member[] = [];
  const { host, source, fields } = options;
  if (host !== undefined) members.push(templated('host', compileTemplate(host)));
  if (source !== undefined) members.push(templated('source', compileTemplate(source)));
  const sourcetype = keyed('sourcetype', options.sourcetypeKey, options.sourcetype);
  if (sourcetype !== undefined) members.push(sourcetype);
  const index = keyed('index', options.indexKey, options.index);
  if (index !== undefined) members.push(index);
  if (fields.length > 0) members.push(indexedFields(fields));
  return members;
}

function templated(name: string, { fixed, render }: Template): Member {
  return {
    fixed,
    text(record, tag) {
      const value = render(record, tag);
      return value === undefined || value === '' ? undefined : member(name, value);
    },
  };
}

/** The value under a key of the record, else a fixed one. */
function keyed(name: string, key: string | undefined, otherwise: string | undefined): Member | undefined {
  const fallback = otherwise === undefined ? undefined : member(name, otherwise);
  if (key === undefined) return fallback === undefined ? undefined : { fixed: true, text: () => fallback };
  const { fixed, render } = compileTemplate(key);
  return {
    fixed,
    text(record, tag) {
      const value = render(record, tag);
      return value === undefined || value === '' ? fallback : member(name, value);
    },
  };
}

/** Splunk takes texts, numbers, booleans and lists of them; what is nested goes as its JSON text, what is null not at all. */
function indexedFields(fields: EventOptions['fields']): Member {
  const compiled = fields.map(
    ([name, accessor]) => [JSON.stringify(name), compileAccessor(accessor)] as const,
  );
  return {
    fixed: false,
    text(record) {
      const parts: string[] = [];
      for (const [name, read] of compiled) {
        const value = read(record);
        if (value !== undefined && value !== null) parts.push(`${name}:${flat(value)}`);
      }
      return `"fields":{${parts.join(',')}}`;
    },
  };
}

function flat(value: ReadonlyValue): string {
  const json = valueToJson(value as Value);
  const nested = isRecord(value) || (Array.isArray(value) && value.some((item) => typeof item === 'object'));
  return nested ? JSON.stringify(json) : json;
}

function fieldText(value: ReadonlyValue): string {
  return typeof value === 'string' ? value : valueToJson(value as Value);
}

function member(name: string, value: string): string {
  return `"${name}":${JSON.stringify(value)}`;
}

/** Seconds with as many digits as the time has, one at least. */
export function eventTime(seconds: number, nanos: number): string {
  if (nanos === 0) return `${seconds}.0`;
  if (seconds < 0) return (seconds + nanos / 1e9).toFixed(9);
  return `${seconds}.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`;
}
