/**
 * ExportLogsServiceRequest in OTLP/JSON → log records. Names are lowerCamelCase, ids hexadecimal, 64-bit integers texts or numbers, enums
 * numbers; names that are not known do not count, and null is as if it were not there.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import { parseExact } from '../../event/json.ts';
import { getKey, isRecord } from '../../event/record.ts';
import type { LogRecord, ReadonlyValue, Value } from '../../event/record.ts';
import { doubleText, MapText } from './json-values.ts';
import { MAX_VALUE_DEPTH, OtlpError } from './model.ts';
import type { OtlpGroup, TakeRecord } from './model.ts';
import { RecordFields, setCount, setText } from './record-fields.ts';
import { nestsDeeper } from '../../event/json-nesting.ts';

/** A value brings `{"kvlistValue":{"values":[{"value":` along: brackets that may be open where the values are as deep as they may be. */
const MAX_BRACKETS = 5 * MAX_VALUE_DEPTH + 20;
const UINT64 = 2n ** 64n;
/** A number, not a text, that a double may not hold. 64-bit integers are texts in nearly all requests, and reading them exactly is dear. */
const WIDE_NUMBER = /[:,[]\s*-?(?:\d{16}|[\d.]+[eE]\+?\d{3})/;

/** Reads a request. Throws {@link OtlpError}: then what was taken of it is not to be used. */
export function decodeJsonLogs(text: string, take: TakeRecord): void {
  if (nestsDeeper(text, MAX_BRACKETS)) throw tooDeep();
  let request: Value;
  try {
    request = WIDE_NUMBER.test(text) ? parseExact(text) : (JSON.parse(text) as Value);
  } catch {
    throw new OtlpError('is no valid JSON');
  }
  if (!isRecord(request)) throw new OtlpError('is no JSON object');
  for (const resourceLogs of neededList(request, 'resourceLogs')) readResourceLogs(resourceLogs, take);
}

function readResourceLogs(resourceLogs: LogRecord, take: TakeRecord): void {
  const resource = attributed(mapUnder(resourceLogs, 'resource'));
  setText(resource, 'schema_url', textUnder(resourceLogs, 'schemaUrl'));
  for (const scopeLogs of neededList(resourceLogs, 'scopeLogs')) {
    const described = mapUnder(scopeLogs, 'scope');
    const scope: LogRecord = {};
    if (described !== undefined) {
      setText(scope, 'name', textUnder(described, 'name'));
      setText(scope, 'version', textUnder(described, 'version'));
    }
    Object.assign(scope, attributed(described));
    setText(scope, 'schema_url', textUnder(scopeLogs, 'schemaUrl'));
    const group: OtlpGroup = { resource, scope };
    for (const record of listOf(scopeLogs, 'logRecords')) readLogRecord(record, group, take);
  }
}

function attributed(from: LogRecord | undefined): LogRecord {
  const into: LogRecord = {};
  if (from === undefined) return into;
  setCount(into, 'dropped_attributes_count', countUnder(from, 'droppedAttributesCount'));
  const attributes = listOf(from, 'attributes');
  if (attributes.length > 0) into['attributes'] = parseExact(mapText(attributes, 1));
  return into;
}

function readLogRecord(from: LogRecord, group: OtlpGroup, take: TakeRecord): void {
  const into = new RecordFields();
  into.time = timeUnder(from, 'timeUnixNano');
  into.observed = timeUnder(from, 'observedTimeUnixNano');
  into.count('severity_number', countUnder(from, 'severityNumber'));
  into.text('severity_text', textUnder(from, 'severityText'));
  const body = mapUnder(from, 'body');
  if (body !== undefined) into.body(valueText(body, 1), isMapValue(body));
  const attributes = listOf(from, 'attributes');
  if (attributes.length > 0) into.attributes(mapText(attributes, 1));
  into.count('dropped_attributes_count', countUnder(from, 'droppedAttributesCount'));
  into.count('trace_flags', countUnder(from, 'flags'));
  into.traceId(textUnder(from, 'traceId'));
  into.spanId(textUnder(from, 'spanId'));
  into.text('event_name', textUnder(from, 'eventName'));
  take(into.finish(), group);
}

/** JSON text of a list of KeyValue. A value that is missing is an empty text, as in Fluent Bit. */
function mapText(members: readonly LogRecord[], depth: number): string {
  const texts = new MapText();
  for (const member of members) {
    const value = mapUnder(member, 'value');
    texts.set(textUnder(member, 'key'), value === undefined ? '""' : valueText(value, depth));
  }
  return texts.toString();
}

function isMapValue(value: LogRecord): boolean {
  return isRecord(getKey(value, 'kvlistValue')) || isPlainMap(value);
}

/** JSON text of an AnyValue; `null` for one that is not set. */
function valueText(value: LogRecord, depth: number): string {
  if (depth > MAX_VALUE_DEPTH) throw tooDeep();
  for (const kind of Object.keys(value)) {
    const read = KINDS.get(kind);
    const inner = value[kind];
    if (read === undefined || inner === undefined) continue;
    if (inner !== null) return read(inner, kind, depth);
    if (kind === 'stringValue') return '""';
  }
  return isPlainMap(value) ? plainText(value, depth) : 'null';
}

type ReadKind = (inner: Value, kind: string, depth: number) => string;

const KINDS: ReadonlyMap<string, ReadKind> = new Map<string, ReadKind>([
  ['stringValue', (inner, kind) => JSON.stringify(textOf(inner, kind))],
  ['boolValue', booleanText],
  ['intValue', integerText],
  ['doubleValue', (inner) => doubleText(doubleOf(inner))],
  ['bytesValue', (inner, kind) => `"${Buffer.from(textOf(inner, kind), 'base64').toString('base64')}"`],
  ['arrayValue', (inner, kind, depth) => listText(valuesOf(inner, kind), depth + 1)],
  ['kvlistValue', (inner, kind, depth) => mapText(valuesOf(inner, kind), depth + 1)],
]);

function listText(items: readonly LogRecord[], depth: number): string {
  return `[${items.map((item) => valueText(item, depth)).join(',')}]`;
}

function valuesOf(inner: Value, kind: string): LogRecord[] {
  if (!isRecord(inner)) throw wrong(kind, inner);
  return listOf(inner, 'values');
}

/** Whether senders forgot to wrap a map: Fluent Bit takes its members as they are, and here they do not vanish either. */
function isPlainMap(value: LogRecord): boolean {
  const keys = Object.keys(value);
  return keys.length > 0 && !keys.some((key) => KINDS.has(key) || key === 'stringValueStrindex');
}

function plainText(map: LogRecord, depth: number): string {
  const texts = new MapText();
  for (const key of Object.keys(map)) texts.set(key, memberText(map[key] as Value, depth + 1));
  return texts.toString();
}

function memberText(value: Value, depth: number): string {
  if (isRecord(value)) return valueText(value, depth);
  if (!Array.isArray(value)) return JSON.stringify(value);
  if (depth > MAX_VALUE_DEPTH) throw tooDeep();
  return `[${value.map((item) => memberText(item, depth + 1)).join(',')}]`;
}

function booleanText(value: Value, kind: string): string {
  if (typeof value !== 'boolean') throw wrong(kind, value);
  return String(value);
}

function integerText(value: Value, name: string): string {
  const text = digitsOf(value);
  if (!/^-?\d+$/.test(text)) throw wrong(name, value);
  const exact = BigInt(text);
  if (BigInt.asIntN(64, exact) !== exact) throw wrong(name, value);
  return String(exact);
}

/** The text of an integer, which may come as number or text. */
function digitsOf(value: ReadonlyValue): string {
  if (typeof value === 'string') return value.trim();
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : '';
}

function doubleOf(value: Value): number {
  const number = typeof value === 'string' ? Number(value.trim() === '' ? 'x' : value) : value;
  if (typeof number === 'bigint') return Number(number);
  // "NaN" is the one text whose number is none.
  if (typeof number !== 'number' || (Number.isNaN(number) && value !== 'NaN'))
    throw wrong('doubleValue', value);
  return number;
}

function timeUnder(map: LogRecord, key: string): bigint {
  const value = getKey(map, key);
  if (value === undefined || value === null) return 0n;
  const text = digitsOf(value);
  if (!/^\d{1,20}$/.test(text)) throw wrong(key, value);
  const time = BigInt(text);
  if (time >= UINT64) throw wrong(key, value);
  return time;
}

function countUnder(map: LogRecord, key: string): number {
  const value = getKey(map, key);
  if (value === undefined || value === null) return 0;
  const count = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count >= 2 ** 32)
    throw wrong(key, value);
  return count;
}

function textUnder(map: LogRecord, key: string): string {
  const value = getKey(map, key);
  return value === undefined || value === null ? '' : textOf(value, key);
}

function textOf(value: ReadonlyValue, key: string): string {
  if (typeof value !== 'string') throw wrong(key, value);
  return value;
}

function mapUnder(map: LogRecord, key: string): LogRecord | undefined {
  const value = getKey(map, key);
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) throw wrong(key, value);
  return value;
}

/** A list of maps. Where it is missing the request is most likely written otherwise (snake_case), and nothing would be taken of it. */
function neededList(map: LogRecord, key: string): LogRecord[] {
  if (!Object.hasOwn(map, key)) throw new OtlpError(`has no ${key}`);
  return listOf(map, key);
}

/** A list of maps. */
function listOf(map: LogRecord, key: string): LogRecord[] {
  const value = getKey(map, key);
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isRecord))
    throw new OtlpError(`has a ${key} that is no list of objects`);
  return value;
}

function tooDeep(): OtlpError {
  return new OtlpError(`nests deeper than ${MAX_VALUE_DEPTH} values`);
}

function wrong(key: string, value: ReadonlyValue): OtlpError {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  return new OtlpError(`has a ${key} that cannot be read: ${kind === 'a object' ? 'an object' : kind}`);
}
