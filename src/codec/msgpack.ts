/**
 * Records in Fluent Bit's MessagePack: `[[time, metadata], record]`, one after the other.
 *
 *     time   fixext8 of type 0: seconds and nanoseconds, 32 bits each, big-endian
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#eventtime-ext-format
 */
import { Encoder, ExtData } from '@msgpack/msgpack';
import type { Slice } from '../event/chunk.ts';
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';
import type { ByteSink } from './bytes.ts';

const EVENT_TIME = 0;
const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;
/** Deeper than any record that the pipeline lets in. */
const MAX_DEPTH = 1024;

const encoder = new Encoder({ useBigInt64: true, maxDepth: MAX_DEPTH });

/** Appends records `from` to `to` (exclusive) of a slice. */
export function encodeMsgpack(slice: Slice, from: number, to: number, sink: ByteSink): void {
  for (let index = from; index < to; index++) {
    const record = fitting(slice.record(index));
    const metadata = fitting(slice.metadata(index) ?? {});
    const bytes = encoder.encodeSharedRef([
      [eventTime(slice.seconds(index), slice.nanos(index)), metadata],
      record,
    ]);
    sink.reserve(bytes.length);
    sink.raw.set(bytes, sink.length);
    sink.length += bytes.length;
  }
}

/** Appends the record at `index` as a map alone, with `first` in front of its fields (an event's time, say); a field of that name wins. */
export function encodeMsgpackMap(
  slice: Slice,
  index: number,
  first: { key: string; value: ReadonlyValue } | undefined,
  sink: ByteSink,
): void {
  const record = fitting(slice.record(index)) as ReadonlyRecord;
  const whole =
    first === undefined || Object.hasOwn(record, first.key)
      ? record
      : { [first.key]: first.value, ...record };
  const bytes = encoder.encodeSharedRef(whole);
  sink.reserve(bytes.length);
  sink.raw.set(bytes, sink.length);
  sink.length += bytes.length;
}

/** The time as an extension value. Seconds beyond 32 bits wrap, as the format has no room for them. */
export function eventTime(seconds: number, nanos: number): ExtData {
  const data = new Uint8Array(8);
  const view = new DataView(data.buffer);
  view.setUint32(0, seconds);
  view.setUint32(4, nanos);
  return new ExtData(EVENT_TIME, data);
}

/** The value with integers that 64 bits do not hold as text, so that their digits survive. */
function fitting(value: ReadonlyValue): ReadonlyValue {
  return hasHuge(value) ? (replaceHuge(value) as ReadonlyValue) : value;
}

function hasHuge(value: ReadonlyValue): boolean {
  if (typeof value === 'bigint') return value < MIN_INT64 || value > MAX_UINT64;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasHuge);
}

function replaceHuge(value: ReadonlyValue): unknown {
  if (typeof value === 'bigint') return hasHuge(value) ? value.toString() : value;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((inner) => replaceHuge(inner as ReadonlyValue));
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaceHuge(inner)]));
}
