/**
 * Writes times by strftime formats, in UTC.
 *
 * Records come in the order of their times, many in one second: what depends on the second alone is kept for the next call.
 */

const SHORT_DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const SHORT_MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

function zeros(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function spaces(value: number): string {
  return String(value).padStart(2, ' ');
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return Math.floor((date.getTime() - start) / 86_400_000) + 1;
}

function hour12(date: Date): number {
  return date.getUTCHours() % 12 || 12;
}

/** Week of the year by ISO 8601, and the year that it belongs to. */
function isoWeek(date: Date): { year: number; week: number } {
  const weekday = (date.getUTCDay() + 6) % 7;
  const thursday = new Date(date.getTime() + (3 - weekday) * 86_400_000);
  return { year: thursday.getUTCFullYear(), week: Math.floor((dayOfYear(thursday) - 1) / 7) + 1 };
}

/** Week of the year whose first is that of the first Sunday (0) or Monday (1). */
function weekOfYear(date: Date, firstDay: number): number {
  const weekday = (date.getUTCDay() - firstDay + 7) % 7;
  return Math.floor((dayOfYear(date) + 6 - weekday) / 7);
}

const CONVERSIONS: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  C: (date) => zeros(Math.floor(date.getUTCFullYear() / 100), 2),
  y: (date) => zeros(date.getUTCFullYear() % 100, 2),
  m: (date) => zeros(date.getUTCMonth() + 1, 2),
  d: (date) => zeros(date.getUTCDate(), 2),
  e: (date) => spaces(date.getUTCDate()),
  j: (date) => zeros(dayOfYear(date), 3),
  H: (date) => zeros(date.getUTCHours(), 2),
  k: (date) => spaces(date.getUTCHours()),
  I: (date) => zeros(hour12(date), 2),
  l: (date) => spaces(hour12(date)),
  M: (date) => zeros(date.getUTCMinutes(), 2),
  S: (date) => zeros(date.getUTCSeconds(), 2),
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  P: (date) => (date.getUTCHours() < 12 ? 'am' : 'pm'),
  A: (date) => DAYS[date.getUTCDay()] as string,
  a: (date) => SHORT_DAYS[date.getUTCDay()] as string,
  B: (date) => MONTHS[date.getUTCMonth()] as string,
  b: (date) => SHORT_MONTHS[date.getUTCMonth()] as string,
  h: (date) => SHORT_MONTHS[date.getUTCMonth()] as string,
  u: (date) => String(date.getUTCDay() || 7),
  w: (date) => String(date.getUTCDay()),
  U: (date) => zeros(weekOfYear(date, 0), 2),
  W: (date) => zeros(weekOfYear(date, 1), 2),
  V: (date) => zeros(isoWeek(date).week, 2),
  G: (date) => String(isoWeek(date).year),
  g: (date) => zeros(isoWeek(date).year % 100, 2),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  z: () => '+0000',
  Z: () => 'UTC',
  n: () => '\n',
  t: () => '\t',
  '%': () => '%',
};

const SHORT: Readonly<Record<string, string>> = {
  D: '%m/%d/%y',
  F: '%Y-%m-%d',
  R: '%H:%M',
  T: '%H:%M:%S',
  X: '%H:%M:%S',
  c: '%a %b %e %H:%M:%S %Y',
  r: '%I:%M:%S %p',
  x: '%m/%d/%y',
};

/** A piece of a format: text that depends on the second, or digits of its fraction. */
type Piece = { write: (date: Date) => string } | { digits: number };

function readFormat(format: string): Piece[] {
  const pieces: Piece[] = [];
  const literal = (text: string): void => void pieces.push({ write: () => text });
  for (let at = 0; at < format.length; at++) {
    const percent = format.indexOf('%', at);
    if (percent !== at) {
      const end = percent === -1 ? format.length : percent;
      literal(format.slice(at, end));
      at = end - 1;
      continue;
    }
    const found = /%([369]?)([^])/y;
    found.lastIndex = at;
    const [text = '%', width = '', letter = ''] = found.exec(format) ?? [];
    at += text.length - 1;
    const conversion = Object.hasOwn(CONVERSIONS, letter) ? CONVERSIONS[letter] : undefined;
    if (letter === 'L') pieces.push({ digits: width === '' ? 3 : Number(width) });
    else if (letter === 'N') pieces.push({ digits: width === '' ? 9 : Number(width) });
    else if (width === '' && Object.hasOwn(SHORT, letter))
      pieces.push(...readFormat(SHORT[letter] as string));
    else if (width === '' && conversion !== undefined) pieces.push({ write: conversion });
    // What is not known is written as it stands, as C does.
    else literal(text);
  }
  return pieces;
}

/** Writes times in one format. */
export class TimeFormatter {
  private readonly pieces: readonly Piece[];
  private lastSeconds = Number.NaN;
  /** Texts of the last second, with the digits of a fraction between them. */
  private readonly texts: string[] = [''];
  private readonly digits: number[] = [];

  /** A strftime format, with `%L` for milliseconds, `%N` for nanoseconds, `%6N` (or 3, 9) for as many digits. */
  constructor(format: string) {
    this.pieces = readFormat(format);
    for (const piece of this.pieces) if ('digits' in piece) this.digits.push(piece.digits);
  }

  /** @param seconds Unix time. @param nanos 0 to 999,999,999. */
  format(seconds: number, nanos: number): string {
    if (seconds !== this.lastSeconds) this.enter(seconds);
    const { texts, digits } = this;
    let text = texts[0] as string;
    for (let at = 0; at < digits.length; at++) {
      text += fraction(nanos, digits[at] as number) + (texts[at + 1] as string);
    }
    return text;
  }

  private enter(seconds: number): void {
    this.lastSeconds = seconds;
    const date = new Date(seconds * 1000);
    this.texts.length = 0;
    let text = '';
    for (const piece of this.pieces) {
      if ('digits' in piece) {
        this.texts.push(text);
        text = '';
      } else {
        text += piece.write(date);
      }
    }
    this.texts.push(text);
  }
}

/** The first digits of a fraction of a second. */
function fraction(nanos: number, digits: number): string {
  return String(1_000_000_000 + nanos).slice(1, 1 + digits);
}

/** Compiled formats; they come from the configuration, so there are few. */
const formatters = new Map<string, TimeFormatter>();

/**
 * A time as text by a strftime format from the configuration (kept compiled: never pass one that comes from data).
 *
 * @param seconds Unix time. @param nanos 0 to 999,999,999.
 */
export function formatTime(format: string, seconds: number, nanos: number): string {
  let formatter = formatters.get(format);
  if (formatter === undefined) {
    formatter = new TimeFormatter(format);
    formatters.set(format, formatter);
  }
  return formatter.format(seconds, nanos);
}
