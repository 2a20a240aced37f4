/**
 * Log records → ExportLogsServiceRequest in OTLP/JSON: lowerCamelCase, ids hexadecimal, 64-bit integers as text, enums as numbers.
 *
 * Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import type { ReadonlyRecord } from '../../event/record.ts';
import { countOf, Double, isInt64, mapOf, textOf } from './model.ts';
import type { OtlpMap, OtlpValue, OutgoingRecord, OutgoingResource, OutgoingScope } from './model.ts';

/** The text of a request. */
export function encodeJsonLogs(resources: readonly OutgoingResource[]): string {
  return `{"resourceLogs":[${resources.map(resourceText).join(',')}]}`;
}

function resourceText({ resource, scopes }: OutgoingResource): string {
  const described = members([attributesOf(resource), droppedOf(resource)]);
  return members([
    `"resource":${described}`,
    `"scopeLogs":[${scopes.map(scopeText).join(',')}]`,
    textMember('schemaUrl', textOf(resource, 'schema_url')),
  ]);
}

function scopeText({ scope, records }: OutgoingScope): string {
  const described = members([
    textMember('name', textOf(scope, 'name')),
    textMember('version', textOf(scope, 'version')),
    attributesOf(scope),
    droppedOf(scope),
  ]);
  return members([
    `"scope":${described}`,
    `"logRecords":[${records.map(recordText).join(',')}]`,
    textMember('schemaUrl', textOf(scope, 'schema_url')),
  ]);
}

function recordText(record: OutgoingRecord): string {
  return members([
    record.time === 0n ? '' : `"timeUnixNano":"${record.time}"`,
    record.observedTime === 0n ? '' : `"observedTimeUnixNano":"${record.observedTime}"`,
    countMember('severityNumber', record.severityNumber),
    textMember('severityText', record.severityText),
    `"body":${valueText(record.body)}`,
    attributesText(record.attributes),
    countMember('droppedAttributesCount', record.droppedAttributesCount),
    countMember('flags', record.flags),
    textMember('traceId', record.traceId),
    textMember('spanId', record.spanId),
    textMember('eventName', record.eventName),
  ]);
}

/** An object of the members that are there. */
function members(texts: readonly string[]): string {
  return `{${texts.filter((text) => text !== '').join(',')}}`;
}

function textMember(name: string, text: string): string {
  return text === '' ? '' : `"${name}":${JSON.stringify(text)}`;
}

function countMember(name: string, count: number): string {
  return count === 0 ? '' : `"${name}":${count}`;
}

function attributesOf(of: ReadonlyRecord): string {
  const attributes = mapOf(of, 'attributes');
  return attributes === undefined ? '' : attributesText([attributes]);
}

function droppedOf(of: ReadonlyRecord): string {
  return countMember('droppedAttributesCount', countOf(of, 'dropped_attributes_count'));
}

function attributesText(maps: readonly OtlpMap[]): string {
  const texts = maps.map(keyValues).filter((text) => text !== '');
  return texts.length === 0 ? '' : `"attributes":[${texts.join(',')}]`;
}

/** The members of a map, each a KeyValue. */
function keyValues(map: OtlpMap): string {
  let text = '';
  for (const key of Object.keys(map)) {
    text += `${text === '' ? '' : ','}{"key":${JSON.stringify(key)},"value":${valueText(map[key] as OtlpValue)}}`;
  }
  return text;
}

/** An AnyValue. Integers beyond 64 bits are text; null is a value without fields. */
function valueText(value: OtlpValue): string {
  if (typeof value === 'string') return `{"stringValue":${JSON.stringify(value)}}`;
  if (typeof value === 'boolean') return `{"boolValue":${value}}`;
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? `{"intValue":"${value}"}` : doubleText(value);
  if (typeof value === 'bigint')
    return isInt64(value) ? `{"intValue":"${value}"}` : `{"stringValue":"${value}"}`;
  if (value === null) return '{}';
  if (value instanceof Double) return doubleText(value.value);
  if (isList(value)) return `{"arrayValue":{"values":[${value.map(valueText).join(',')}]}}`;
  return `{"kvlistValue":{"values":[${keyValues(value)}]}}`;
}

function doubleText(value: number): string {
  return `{"doubleValue":${Object.is(value, -0) ? '-0.0' : String(value)}}`;
}

function isList(value: OtlpMap | readonly OtlpValue[]): value is readonly OtlpValue[] {
  return Array.isArray(value);
}
