/**
 * From an event to a log record of OTLP, as Fluent Bit's output has it: the body is what `logs_body_key` finds, else the record; the other
 * fields come from the metadata that an OTLP input made, else from keys that are configured.
 *
 * Records that came by OTLP keep what they were: a body that was a map stays whole, and a record without a time of its own gets none.
 */
import { compileAccessor, isRecord, parseAccessor } from '../../../src/plugin.ts';
import type {
  Accessor,
  LogRecord,
  OtlpMap,
  OtlpValue,
  OutgoingRecord,
  PathStep,
  ReadonlyRecord,
  ReadonlyValue,
} from '../../../src/plugin.ts';

/** Keys of records and metadata that fields are read from, as configured. */
export interface FieldKeys {
  observedTimestamp: string;
  timestamp: string;
  severityText: readonly [metadata: string, message: string];
  severityNumber: readonly [metadata: string, message: string];
  traceFlags: string;
  spanId: readonly [metadata: string, message: string];
  traceId: readonly [metadata: string, message: string];
  attributes: string;
}

export interface MappingOptions {
  /** Accessors; the first that finds something gives the body. Undefined: Fluent Bit's, `$log` and `$message`. */
  bodyKeys: readonly string[] | undefined;
  /** The rest of a record whose body was found becomes attributes. */
  restIsAttributes: boolean;
  /** Key of the metadata that an OTLP input made. */
  metadataKey: string;
  keys: FieldKeys;
}

/** An event, as it is read from a slice. */
export interface Event {
  record: OtlpMap;
  metadata: ReadonlyRecord | undefined;
  /** Unix seconds. */
  seconds: number;
  nanos: number;
}

interface BodyKey {
  read: Accessor;
  path: readonly PathStep[];
}

const NANOS = 1_000_000_000n;
const TRACE_ID = /^[0-9a-fA-F]{32}$/;
const SPAN_ID = /^[0-9a-fA-F]{16}$/;
const MOST_SEVERE = 24;

export class Mapping {
  private readonly options: MappingOptions;
  private readonly bodyKeys: readonly BodyKey[];
  /** For records that came by OTLP, whose input puts a body that is no map under `log`. */
  private readonly otlpBodyKeys: readonly BodyKey[];
  private readonly read: { readonly [K in keyof FieldKeys]: readonly Accessor[] };

  constructor(options: MappingOptions) {
    this.options = options;
    this.bodyKeys = (options.bodyKeys ?? ['$log', '$message']).map(bodyKey);
    this.otlpBodyKeys = options.bodyKeys === undefined ? [bodyKey('$log')] : this.bodyKeys;
    const { keys } = options;
    const accessors = (of: string | readonly string[]): Accessor[] => [of].flat().map(compileAccessor);
    this.read = {
      observedTimestamp: accessors(keys.observedTimestamp),
      timestamp: accessors(keys.timestamp),
      severityText: accessors(keys.severityText),
      severityNumber: accessors(keys.severityNumber),
      traceFlags: accessors(keys.traceFlags),
      spanId: accessors(keys.spanId),
      traceId: accessors(keys.traceId),
      attributes: accessors(keys.attributes),
    };
  }

  /** What an OTLP input said of the event; undefined for others. */
  otlpOf(metadata: ReadonlyRecord | undefined): ReadonlyRecord | undefined {
    const found = metadata === undefined ? undefined : own(metadata, this.options.metadataKey);
    return isRecord(found) ? found : undefined;
  }

  recordOf(event: Event): OutgoingRecord {
    const { metadata } = event;
    const otlp = this.otlpOf(metadata);
    const { read } = this;
    const attributes: OtlpMap[] = [];
    const besides = metadata === undefined ? undefined : this.attributesOf(metadata, otlp);
    if (besides !== undefined) attributes.push(besides);
    const body = this.bodyOf(event.record, otlp, attributes);
    const set = field(event, otlp, 'attributes', read.attributes, isRecord);
    if (set !== undefined) attributes.push(set);
    const observedTime = BigInt(
      field(event, otlp, 'observed_timestamp', read.observedTimestamp, isTime) ?? 0,
    );
    const written = field(event, otlp, 'timestamp', read.timestamp, isTime);
    return {
      time: written === undefined ? timeOf(event, otlp, observedTime) : BigInt(written),
      observedTime,
      severityNumber: field(event, otlp, 'severity_number', read.severityNumber, isSeverity) ?? 0,
      severityText: field(event, otlp, 'severity_text', read.severityText, isText) ?? '',
      body,
      attributes,
      droppedAttributesCount: (otlp && numberOf(otlp, 'dropped_attributes_count')) ?? 0,
      flags: field(event, otlp, 'trace_flags', read.traceFlags, isCount) ?? 0,
      traceId: field(event, otlp, 'trace_id', read.traceId, isTraceId) ?? '',
      spanId: field(event, otlp, 'span_id', read.spanId, isSpanId) ?? '',
      eventName: (otlp && textOf(otlp, 'event_name')) ?? '',
    };
  }

  private bodyOf(record: OtlpMap, otlp: ReadonlyRecord | undefined, attributes: OtlpMap[]): OtlpValue {
    const wasMap =
      otlp !== undefined && this.options.bodyKeys === undefined && own(otlp, 'body_type') === 'map';
    if (wasMap) return record;
    for (const { read, path } of otlp === undefined ? this.bodyKeys : this.otlpBodyKeys) {
      const found = read(record as ReadonlyRecord) as OtlpValue | undefined;
      if (found === undefined) continue;
      if (this.options.restIsAttributes) attributes.push(without(record, path));
      return found;
    }
    return record;
  }

  /** Metadata of its own, which becomes attributes; not what an OTLP input put there. */
  private attributesOf(metadata: ReadonlyRecord, otlp: ReadonlyRecord | undefined): LogRecord | undefined {
    let some: LogRecord | undefined;
    for (const key of Object.keys(metadata)) {
      if (key === this.options.metadataKey || (otlp !== undefined && (key === 'resource' || key === 'scope')))
        continue;
      some ??= Object.create(null) as LogRecord;
      some[key] = metadata[key] as LogRecord[string];
    }
    return some;
  }
}

/** A field: what an OTLP input said, else what the metadata holds, else what the record holds; undefined where none of it is right. */
function field<T extends ReadonlyValue>(
  { record, metadata }: Event,
  otlp: ReadonlyRecord | undefined,
  key: string,
  [inMetadata, inRecord]: readonly Accessor[],
  is: (value: ReadonlyValue | undefined) => value is T,
): T | undefined {
  if (metadata !== undefined) {
    const said = otlp === undefined ? undefined : own(otlp, key);
    if (is(said)) return said;
    const besides = inMetadata?.(metadata);
    if (is(besides)) return besides;
  }
  const written = inRecord?.(record as ReadonlyRecord);
  return is(written) ? written : undefined;
}

function bodyKey(text: string): BodyKey {
  return { read: compileAccessor(text), path: parseAccessor(text) };
}

/** The time of an event; none for one that came by OTLP without it, and got that of its observation. */
function timeOf({ seconds, nanos }: Event, otlp: ReadonlyRecord | undefined, observed: bigint): bigint {
  const time = BigInt(seconds) * NANOS + BigInt(nanos);
  if (otlp !== undefined && time === observed) return 0n;
  return time > 0n ? time : 0n;
}

/** A copy of a map without the value at a path; only the maps on the way are copied. */
function without(map: OtlpMap, [step, ...rest]: readonly PathStep[]): OtlpMap {
  const copy = Object.create(null) as { [key: string]: OtlpValue };
  for (const key of Object.keys(map)) {
    const value = map[key] as OtlpValue;
    if (key !== step) copy[key] = value;
    else if (rest.length > 0) copy[key] = isMap(value) ? without(value, rest) : value;
  }
  return copy;
}

function isMap(value: OtlpValue): value is OtlpMap {
  return isRecord(value);
}

function own(map: ReadonlyRecord, key: string): ReadonlyValue | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function textOf(map: ReadonlyRecord, key: string): string | undefined {
  const value = own(map, key);
  return isText(value) ? value : undefined;
}

function numberOf(map: ReadonlyRecord, key: string): number | undefined {
  const value = own(map, key);
  return isCount(value) ? value : undefined;
}

function isText(value: ReadonlyValue | undefined): value is string {
  return typeof value === 'string';
}

function isCount(value: ReadonlyValue | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32;
}

function isSeverity(value: ReadonlyValue | undefined): value is number {
  return isCount(value) && value >= 1 && value <= MOST_SEVERE;
}

/** Unix nanoseconds. */
function isTime(value: ReadonlyValue | undefined): value is number | bigint {
  return typeof value === 'bigint'
    ? value >= 0n && value < 2n ** 64n
    : typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

function isTraceId(value: ReadonlyValue | undefined): value is string {
  return isText(value) && TRACE_ID.test(value);
}

function isSpanId(value: ReadonlyValue | undefined): value is string {
  return isText(value) && SPAN_ID.test(value);
}
