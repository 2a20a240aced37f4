/** Severities and facilities: their numbers from what records say. Source: RFC 5424, section 6.2.1, and Fluent Bit's words. */
import type { ReadonlyValue } from '../../../src/plugin.ts';

/** Fluent Bit's eight words, and those that loggers use for them. */
const SEVERITIES: Readonly<Record<string, number>> = {
  emerg: 0,
  emergency: 0,
  panic: 0,
  alert: 1,
  crit: 2,
  critical: 2,
  fatal: 2,
  err: 3,
  error: 3,
  warning: 4,
  warn: 4,
  notice: 5,
  info: 6,
  information: 6,
  informational: 6,
  debug: 7,
  trace: 7,
};

const FACILITIES: Readonly<Record<string, number>> = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  ntp: 12,
  security: 13,
  console: 14,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
};

export const MAX_SEVERITY = 7;
export const MAX_FACILITY = 23;

/** The number of a severity; undefined for what is none. */
export function severityOf(value: ReadonlyValue): number | undefined {
  return numberOf(value, SEVERITIES, MAX_SEVERITY);
}

/** The number of a facility; undefined for what is none. */
export function facilityOf(value: ReadonlyValue): number | undefined {
  return numberOf(value, FACILITIES, MAX_FACILITY);
}

function numberOf(
  value: ReadonlyValue,
  words: Readonly<Record<string, number>>,
  most: number,
): number | undefined {
  if (typeof value === 'string') {
    const word = value.trim().toLowerCase();
    if (Object.hasOwn(words, word)) return words[word];
    return /^\d{1,2}$/.test(word) ? numberOf(Number(word), words, most) : undefined;
  }
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most
    ? value
    : undefined;
}
