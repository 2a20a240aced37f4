/**
 * A record as GELF 1.1 JSON, one line: the known fields under their names, all others flattened to `_name`.
 *
 * Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html and Fluent Bit's keys for it
 */
import { valueToJson } from '../event/json.ts';
import type { ReadonlyRecord, ReadonlyValue, Value } from '../event/record.ts';

/** The record's keys of GELF's own fields. */
export interface GelfKeys {
  timestamp: string;
  host: string;
  shortMessage: string;
  fullMessage: string;
  level: string;
}

const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

/** The GELF text of a record; undefined when it has no short message, which GELF requires. */
export function gelfText(
  record: ReadonlyRecord,
  seconds: number,
  nanos: number,
  keys: GelfKeys,
): string | undefined {
  const members = ['"version":"1.1"'];
  const known = new Map([
    [keys.host, 'host'],
    [keys.shortMessage, 'short_message'],
    [keys.timestamp, 'timestamp'],
    [keys.level, 'level'],
    [keys.fullMessage, 'full_message'],
  ]);
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(record)) {
    const field = known.get(key);
    // `_id` belongs to the server.
    if (value === null || (field === undefined && key === 'id')) continue;
    if (field === undefined) {
      flatten(`_${key}`, value, members);
    } else {
      seen.add(field);
      members.push(`"${field}":${fieldJson(field, value)}`);
    }
  }
  if (!seen.has('short_message')) return undefined;
  if (!seen.has('timestamp'))
    members.push(`"timestamp":${seconds}.${String(Math.trunc(nanos / 1e6)).padStart(3, '0')}`);
  return `{${members.join(',')}}`;
}

function fieldJson(field: string, value: ReadonlyValue): string {
  if (field === 'level' && typeof value === 'string') {
    const level = /^[0-7]$/.test(value) ? Number(value) : LEVELS.indexOf(value.toLowerCase());
    if (level >= 0) return String(level);
  }
  return scalarJson(value);
}

/** Numbers stay numbers; what GELF does not know (booleans, lists, maps) becomes text. */
function scalarJson(value: ReadonlyValue): string {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string')
    return valueToJson(value);
  if (Array.isArray(value))
    return JSON.stringify(value.map((item) => textOf(item as ReadonlyValue)).join(', '));
  return JSON.stringify(textOf(value));
}

function textOf(value: ReadonlyValue): string {
  return typeof value === 'string' ? value : valueToJson(value as Value);
}

function flatten(name: string, value: ReadonlyValue, members: string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    if (value !== null) members.push(`${JSON.stringify(name)}:${scalarJson(value)}`);
    return;
  }
  for (const [key, inner] of Object.entries(value)) flatten(`${name}_${key}`, inner, members);
}
