/**
 * Events in Fluent Bit's MessagePack, one after the other: `[[time, metadata], record]`, or `[time, record]` as Fluentd has it.
 *
 *     time   fixext8 of type 0: seconds and nanoseconds, 32 bits each, big-endian; or the seconds as an integer
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#eventtime-ext-format
 */
import type { Slice } from '../event/chunk.ts';
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
