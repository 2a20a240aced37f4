/**
 * A record as one line for people: `2026-11-20 20:47:03.123 WARN  disk is nearly full  host=db1 free=3%`.
 *
 * Whatever stands in the record, the line stays one line and commands no terminal (unless `raw` is asked for). Pure: the caller decides about colour.
 */
import { valueToJson } from '../event/json.ts';
import type { ReadonlyRecord, ReadonlyValue, Value } from '../event/record.ts';
import { findLevel } from './levels.ts';
import type { Level } from './levels.ts';
import { escapeBreaks, escapeLine } from './terminal.ts';

export interface PrettyOptions {
  color: boolean;
  /** Shown in front of the message: a file's name, a tag. */
  prefix?: string | undefined;
  /** Leaves control characters of the record as they are, line ends excepted. */
  raw?: boolean;
}

const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const LEVEL_COLORS: Readonly<Record<Level, string>> = {
  trace: '\u001b[2m',
  debug: '\u001b[34m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
  fatal: '\u001b[97;41m',
};
const BADGE_WIDTH = 5;
const MESSAGE_KEYS = ['message', 'msg', 'log', 'MESSAGE', 'text', 'body', 'short_message', 'event'];

/** The line, without its end. The time is local. */
export function prettyLine(
  record: ReadonlyRecord,
  seconds: number,
  nanos: number,
  options: PrettyOptions,
): string {
  const { color, prefix } = options;
  const escape = options.raw === true ? escapeBreaks : escapeLine;
  const paint = (code: string, text: string): string => (color ? `${code}${text}${RESET}` : text);

  const request = findRequest(record);
  const found = findLevel(record);
  const level = found?.level ?? request?.level;
  const messageKey = MESSAGE_KEYS.find(
    (key) => Object.hasOwn(record, key) && typeof record[key] === 'string',
  );
  const shown = new Set<string>();
  if (found !== undefined) shown.add(found.key);

  let line = paint(DIM, localTime(seconds, nanos));
  const badge = (level ?? '').toUpperCase().padEnd(BADGE_WIDTH);
  line += ` ${level === undefined ? badge : paint(LEVEL_COLORS[level], badge)}`;
  if (prefix !== undefined) line += ` ${paint(DIM, escape(prefix))}`;
  if (messageKey !== undefined) {
    shown.add(messageKey);
    line += ` ${escape((record[messageKey] as string).trimEnd())}`;
  } else if (request !== undefined) {
    for (const key of request.keys) shown.add(key);
    line += ` ${escape(request.text)}`;
  }
  for (const [key, value] of Object.entries(record)) {
    if (!shown.has(key)) line += ` ${paint(DIM, `${escape(key)}=`)}${shownValue(value, escape)}`;
  }
  return line;
}

interface Request {
  keys: string[];
  text: string;
  level: Level;
}

/** An access log has no message and no level, but a request line and a status. */
function findRequest(record: ReadonlyRecord): Request | undefined {
  const { method, path } = record;
  if (typeof method !== 'string' || typeof path !== 'string') return undefined;
  const statusKey = ['code', 'status', 'status_code'].find((key) => Object.hasOwn(record, key));
  const status = statusKey === undefined ? Number.NaN : Number(record[statusKey]);
  return {
    keys: statusKey === undefined ? ['method', 'path'] : ['method', 'path', statusKey],
    text: Number.isNaN(status) ? `${method} ${path}` : `${status} ${method} ${path}`,
    level: status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info',
  };
}

function shownValue(value: ReadonlyValue, escape: (text: string) => string): string {
  const text = escape(typeof value === 'string' ? value : valueToJson(value as Value));
  if (typeof value !== 'string') return text;
  return text === '' || /[\s"=]/.test(text) ? `"${text.replaceAll('"', '\\"')}"` : text;
}

let lastMinute = Number.NaN;
let minuteText = '';

function localTime(seconds: number, nanos: number): string {
  const minute = Math.floor(seconds / 60);
  if (minute !== lastMinute) {
    const date = new Date(minute * 60_000);
    if (Number.isNaN(date.getTime())) return String(seconds);
    minuteText = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
    lastMinute = minute;
  }
  return `${minuteText}:${two(seconds - minute * 60)}.${String(Math.trunc(nanos / 1e6)).padStart(3, '0')}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
