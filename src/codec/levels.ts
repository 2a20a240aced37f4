/** How serious a record says it is: the level fields and words of the common loggers, brought to six levels. */
import type { ReadonlyRecord, ReadonlyValue } from '../event/record.ts';

export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

const LEVEL_KEYS = [
  'level',
  'severity',
  'lvl',
  'loglevel',
  'log_level',
  'log.level',
  'levelname',
  'severity_text',
  'PRIORITY',
  'priority',
];

const WORDS: Readonly<Record<string, Level>> = {
  trace: 'trace',
  finest: 'trace',
  verbose: 'debug',
  debug: 'debug',
  fine: 'debug',
  info: 'info',
  information: 'info',
  informational: 'info',
  notice: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  err: 'error',
  severe: 'error',
  fatal: 'fatal',
  critical: 'fatal',
  crit: 'fatal',
  alert: 'fatal',
  emerg: 'fatal',
  emergency: 'fatal',
  panic: 'fatal',
};

/** Syslog severities, 0 to 7. */
const SYSLOG: readonly Level[] = ['fatal', 'fatal', 'fatal', 'error', 'warn', 'info', 'info', 'debug'];

export interface FoundLevel {
  key: string;
  level: Level;
}

/** The record's level and the key that it stands under; undefined when no field says one. */
export function findLevel(record: ReadonlyRecord): FoundLevel | undefined {
  for (const key of LEVEL_KEYS) {
    if (!Object.hasOwn(record, key)) continue;
    const level = levelOf(record[key]);
    if (level !== undefined) return { key, level };
  }
  return undefined;
}

/** A level from a word, a syslog severity (0–7) or the numbers of pino and bunyan (10–60). */
export function levelOf(value: ReadonlyValue | undefined): Level | undefined {
  if (typeof value === 'string') {
    const word = value.trim().toLowerCase();
    return Object.hasOwn(WORDS, word) ? WORDS[word] : /^\d+$/.test(word) ? levelOf(Number(word)) : undefined;
  }
  if (typeof value !== 'number') return undefined;
  if (value < SYSLOG.length) return SYSLOG[value];
  if (value < 10) return undefined;
  if (value < 20) return 'trace';
  if (value < 30) return 'debug';
  if (value < 40) return 'info';
  if (value < 50) return 'warn';
  return value < 60 ? 'error' : 'fatal';
}
