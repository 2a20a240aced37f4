/**
 * Events in Fluent Bit's MessagePack, one after the other: `[[time, metadata], record]`, or `[time, record]` as Fluentd has it.
 *
 *     time   fixext8 of type 0: seconds and nanoseconds, 32 bits each, big-endian; or the seconds as an integer
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#eventtime-ext-format
 */
import type { Slice } from '../event/chunk.ts';
import { valueToJson } from '../event/json.ts';
import type { ReadonlyValue, Value } from '../event/record.ts';
import type { ByteSink } from './bytes.ts';
import { appendJson } from './json-msgpack.ts';
import { putInteger } from './msgpack-write.ts';

export interface EventShape {
  /** Integers are for Fluentd before 0.14; nanoseconds are lost then. */
  time: 'event_time' | 'integer';
  /** Whether events have a place for it always, where they have some, or never: then it is left out. */
  metadata: 'always' | 'present' | 'never';
}

/** Fluent Bit's own. */
const FLUENT_BIT: EventShape = { time: 'event_time', metadata: 'always' };

const SPACE = 0x20;
const TAB = 0x09;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Two heads of lists, a time, and an empty map. */
const LONGEST_FRAME = 16;

/** Appends records `from` to `to` (exclusive) of a slice. */
export function encodeMsgpack(
  slice: Slice,
  from: number,
  to: number,
  sink: ByteSink,
  shape: EventShape = FLUENT_BIT,
): void {
  const { chunk } = slice;
  const { bytes, metadata } = chunk;
  const { seconds, nanos } = chunk.columns;
  const last = slice.from + to;
  let start = chunk.endOf(slice.from + from - 1);
  for (let index = slice.from + from; index < last; index++) {
    const own = shape.metadata === 'never' ? undefined : metadata?.[index];
    const nested = shape.metadata === 'always' || own !== undefined;
    sink.reserve(LONGEST_FRAME);
    const { raw } = sink;
    let at = sink.length;
    raw[at++] = 0x92;
    if (nested) raw[at++] = 0x92;
    if (shape.time === 'integer') {
      at = putInteger(raw, at, seconds[index] as number);
    } else {
      raw[at++] = 0xd7;
      raw[at++] = 0;
      // Seconds beyond 32 bits wrap: the format has no room for them.
      at = raw.writeUInt32BE((seconds[index] as number) >>> 0, at);
      at = raw.writeUInt32BE(nanos[index] as number, at);
    }
    if (nested && own === undefined) raw[at++] = 0x80;
    sink.length = at;
    if (own !== undefined) {
      const text = Buffer.from(JSON.stringify(own));
      appendJson(text, 0, text.length, sink);
    }
    const end = chunk.endOf(index);
    appendJson(bytes, start, end, sink);
    start = end;
  }
}

/** Appends the record at `index` as a map alone, with `first` in front of its fields (an event's time, say); a field of that name wins. */
export function encodeMsgpackMap(
  slice: Slice,
  index: number,
  first: { key: string; value: ReadonlyValue } | undefined,
  sink: ByteSink,
): void {
  const json = slice.jsonBytes(index);
  const key = first === undefined ? '' : JSON.stringify(first.key);
  const own = first !== undefined && json.includes(key) && Object.hasOwn(slice.record(index), first.key);
  if (first === undefined || own) {
    appendJson(json, 0, json.length, sink);
    return;
  }
  // Behind the brace; what begins with another one has no field.
  let open = json.indexOf(OPEN_BRACE) + 1;
  while (json[open] === SPACE || json[open] === TAB) open++;
  const comma = json[open] === CLOSE_BRACE ? '' : ',';
  const text = Buffer.concat([
    Buffer.from(`{${key}:${valueToJson(first.value as Value)}${comma}`),
    json.subarray(open),
  ]);
  appendJson(text, 0, text.length, sink);
}
