/**
 * OTLP logs as this project holds them: an event is a record and metadata of the shape that Fluent Bit gives them.
 *
 *     record      the body, where that is a map; else {"log": body}
 *     metadata    otlp      observed_timestamp, timestamp, severity_number, severity_text, attributes, dropped_attributes_count,
 *                           trace_id, span_id (hex), trace_flags, event_name
 *                 resource  attributes, dropped_attributes_count, schema_url
 *                 scope     name, version, attributes, dropped_attributes_count, schema_url
 *
 * Fluent Bit keeps resource and scope in a marker in front of a group of records; here each record refers to them.
 *
 * Source: https://github.com/open-telemetry/opentelemetry-proto (logs v1, common v1, resource v1, collector/logs/v1)
 */
import type { LogRecord, ReadonlyRecord, ReadonlyValue } from '../../event/record.ts';

/** What a request says that cannot be read. The message is a clause: "…, which no OTLP request has". */
export class OtlpError extends Error {
  override name = 'OtlpError';
}

/** Values inside each other, the body or attribute itself included; as deep as JSON may nest elsewhere. */
export const MAX_VALUE_DEPTH = 64;

/** Bytes of the two ids. */
export const TRACE_ID_BYTES = 16;
export const SPAN_ID_BYTES = 8;

/** Where log records come from: shared by reference by all records of a group. */
export interface OtlpGroup {
  resource: LogRecord;
  scope: LogRecord;
}

/** One log record as it was read. */
export interface OtlpRecord {
  /** Its time, else the time of its observation, Unix nanoseconds; 0 when there is neither. */
  time: bigint;
  /** JSON text of the body on one line; `null` where there is none. */
  body: string;
  /** The body is a map. */
  isMap: boolean;
  /** The other fields that are set, by Fluent Bit's names. */
  fields: LogRecord;
}

/** Takes log records one after the other. A group that comes back is the same object; it may be filled in until the end. */
export type TakeRecord = (record: OtlpRecord, group: OtlpGroup) => void;

/** A number that is a double though its value is whole: JSON tells 1.0 from 1, JavaScript does not. */
export class Double {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A value to write. */
export type OtlpValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Double
  | readonly OtlpValue[]
  | { readonly [key: string]: OtlpValue };

/** A map to write. */
export type OtlpMap = { readonly [key: string]: OtlpValue };

/** A log record to write. */
export interface OutgoingRecord {
  /** Unix nanoseconds; 0: unknown. */
  time: bigint;
  observedTime: bigint;
  /** 1 to 24; 0: unknown. */
  severityNumber: number;
  severityText: string;
  body: OtlpValue;
  /** Attributes, from several maps. */
  attributes: readonly OtlpMap[];
  droppedAttributesCount: number;
  flags: number;
  /** Hexadecimal; empty: none. */
  traceId: string;
  spanId: string;
  eventName: string;
}

/** Log records of one scope. */
export interface OutgoingScope {
  /** In the shape of the metadata. */
  scope: ReadonlyRecord;
  records: readonly OutgoingRecord[];
}

export interface OutgoingResource {
  /** In the shape of the metadata. */
  resource: ReadonlyRecord;
  scopes: readonly OutgoingScope[];
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Whether an integer is one of OTLP's; others are written as text. */
export function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}

/** The text of a map's key; empty where it has none. */
export function textOf(map: ReadonlyRecord, key: string): string {
  const value = Object.hasOwn(map, key) ? map[key] : undefined;
  return typeof value === 'string' ? value : '';
}

/** The map under a key; undefined where it has none. */
export function mapOf(map: ReadonlyRecord, key: string): ReadonlyRecord | undefined {
  const value: ReadonlyValue | undefined = Object.hasOwn(map, key) ? map[key] : undefined;
  return isMap(value) ? value : undefined;
}

/** The count under a key: a number from 0 to 2^32-1; else 0. */
export function countOf(map: ReadonlyRecord, key: string): number {
  const value = Object.hasOwn(map, key) ? map[key] : undefined;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32 ? value : 0;
}

export function isMap(value: ReadonlyValue | undefined): value is ReadonlyRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
