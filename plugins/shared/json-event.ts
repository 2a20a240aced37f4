/** Events as Fluent Bit writes them in JSON: `[time, map]` or `[[time, metadata], map]`. */
import { isRecord } from '../../src/plugin.ts';
import type { LogRecord, Value } from '../../src/plugin.ts';

export interface DecodedEvent {
  /** Unix seconds. */
  seconds: number;
  /** 0 to 999,999,999. */
  nanos: number;
  /** Undefined also where it is empty. */
  metadata: LogRecord | undefined;
  record: LogRecord;
}

/** Reads an event, time in seconds with or without a fraction; undefined when the value is none. */
export function readEvent(value: Value): DecodedEvent | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [header, record] = value;
  const [time, metadata] = Array.isArray(header) && header.length === 2 ? header : [header, undefined];
  if (typeof time !== 'number' || record === undefined || !isRecord(record)) return undefined;
  if (metadata !== undefined && !isRecord(metadata)) return undefined;
  const seconds = Math.floor(time);
  // A double has no exact nanoseconds; rounding may carry into the next second.
  const nanos = Math.min(Math.round((time - seconds) * 1e9), 999_999_999);
  const hasMetadata = metadata !== undefined && Object.keys(metadata).length > 0;
  return { seconds, nanos, metadata: hasMetadata ? metadata : undefined, record };
}
