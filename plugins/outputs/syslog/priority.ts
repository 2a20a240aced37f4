/** Severities and facilities: their numbers from what records say. Source: RFC 5424, section 6.2.1, and Fluent Bit's words. */
import { SYSLOG_SEVERITIES } from '../../../src/plugin.ts';
import type { ReadonlyValue } from '../../../src/plugin.ts';

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
  return numberOf(value, SYSLOG_SEVERITIES, MAX_SEVERITY);
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
