/**
 * A record as GELF 1.1 JSON, one line: the known fields under their names, all others flattened to `_name`.
 *
 * What a known field cannot hold (a level that is none, a time that is no number) goes under its own name with the others. Names hold
 * letters, digits, `_`, `-` and `.`; other characters become `_`, and a name that is taken then gets a number. `_id` belongs to the server:
 * a record's `id` is sent as `_id_`.
 *
 * Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html and Fluent Bit's keys for it
 */
import { valueToJson } from '../event/json.ts';
import type { ReadonlyRecord, ReadonlyValue, Value } from '../event/record.ts';
import { SYSLOG_SEVERITIES } from './syslog-severities.ts';

/** The record's keys of GELF's own fields, and what it gets besides. */
export interface GelfKeys {
  timestamp: string;
  host: string;
  shortMessage: string;
  fullMessage: string;
  level: string;
  /** The host of records that name none. GELF requires one. */
  fallbackHost?: string;
  /** Name of a field that takes the tag. */
  tag?: string | undefined;
}

const UNFIT = /[^\w.-]/gu;

/** The GELF text of a record; undefined when it has no short message, which GELF requires. */
export function gelfText(
  record: ReadonlyRecord,
  seconds: number,
  nanos: number,
  keys: GelfKeys,
  tag = '',
): string | undefined {
  const shortMessage = textAt(record, keys.shortMessage);
  if (shortMessage === undefined) return undefined;
  const fields = new Fields();
  fields.known('version', '"1.1"');
  fields.known('short_message', JSON.stringify(shortMessage));
  const host = textAt(record, keys.host) ?? keys.fallbackHost;
  if (host !== undefined) fields.known('host', JSON.stringify(host));
  const level = Object.hasOwn(record, keys.level) ? levelOf(record[keys.level]) : undefined;
  if (level !== undefined) fields.known('level', String(level));
  const fullMessage = textAt(record, keys.fullMessage);
  if (fullMessage !== undefined) fields.known('full_message', JSON.stringify(fullMessage));
  const own = Object.hasOwn(record, keys.timestamp) ? record[keys.timestamp] : undefined;
  const hasTime = typeof own === 'number' || typeof own === 'bigint';
  fields.known(
    'timestamp',
    hasTime ? valueToJson(own) : `${seconds}.${String(Math.trunc(nanos / 1e6)).padStart(3, '0')}`,
  );
  for (const key of Object.keys(record)) {
    const sent =
      key === keys.shortMessage ||
      (key === keys.host && textAt(record, key) !== undefined) ||
      (key === keys.level && level !== undefined) ||
      (key === keys.fullMessage && fullMessage !== undefined) ||
      (key === keys.timestamp && hasTime);
    if (!sent) fields.add(`_${key}`, record[key]);
  }
  if (keys.tag !== undefined) fields.add(`_${keys.tag}`, tag);
  return `{${fields.members.join(',')}}`;
}

/** The members of a GELF message. */
class Fields {
  readonly members: string[] = [];
  private readonly names = new Set<string>(['_id']);

  known(name: string, json: string): void {
    this.members.push(`"${name}":${json}`);
  }

  /** Adds a value, a map as several. */
  add(name: string, value: ReadonlyValue | undefined): void {
    if (value === null || value === undefined) return;
    if (typeof value === 'object' && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) this.add(`${name}_${key}`, inner);
      return;
    }
    this.members.push(`"${this.free(name)}":${scalarJson(value)}`);
  }

  /** The name as GELF takes it, and no other member has it. */
  private free(name: string): string {
    const fitting = name.replace(UNFIT, '_');
    let free = fitting;
    for (let number = 1; this.names.has(free); number++)
      free = number === 1 && fitting === '_id' ? '_id_' : `${fitting}_${number + 1}`;
    this.names.add(free);
    return free;
  }
}

/** What a text field can hold of a value: no nothing, and no blanks alone, which servers refuse. */
function textAt(record: ReadonlyRecord, key: string): string | undefined {
  const value = Object.hasOwn(record, key) ? record[key] : undefined;
  if (value === undefined || value === null) return undefined;
  const text = textOf(value);
  return text.trim() === '' ? undefined : text;
}

function levelOf(value: ReadonlyValue | undefined): number | undefined {
  if (typeof value === 'number')
    return Number.isInteger(value) && value >= 0 && value <= 7 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const word = value.trim().toLowerCase();
  if (/^[0-7]$/.test(word)) return Number(word);
  return Object.hasOwn(SYSLOG_SEVERITIES, word) ? SYSLOG_SEVERITIES[word] : undefined;
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
