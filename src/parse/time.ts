/**
 * Reads times as C's strptime does, with Fluent Bit's `%L` for a fraction of a second, into Unix seconds and nanoseconds.
 *
 * A log writes many lines in one second: what was read up to the second is remembered, and while the text before the fraction stays
 * the same, only the fraction and the zone are read.
 */
import { daysToMonth } from './civil.ts';
import { FIELDS, readTimeFormat } from './time-steps.ts';
import type { Field, Step } from './time-steps.ts';
import { abbreviatedOffset, zoneOffset } from './zone.ts';
import type { ZoneOffset } from './zone.ts';

export { TimeFormatError } from './time-steps.ts';
export { parseOffset } from './zone.ts';

export interface TimeOptions {
  /** Offset from UTC, seconds, of times that carry none. */
  offset?: number | undefined;
  /** IANA name of the zone of times that carry none; wins over `offset`. */
  zone?: string | undefined;
  /** Times that carry none are in the system's zone; wins over both. */
  systemTimezone?: boolean | undefined;
  /** False: a fraction or zone that the text does not have is forgiven. Default true. */
  strict?: boolean | undefined;
}

/** Reads texts of one format. `seconds` and `nanos` hold the time after `parse` answered true. */
export interface TimeFormat {
  /** Unix time; negative before 1970. */
  readonly seconds: number;
  /** 0 to 999,999,999. */
  readonly nanos: number;
  /** Offset behind what was read. */
  readonly end: number;
  /** Reads a text from an offset on; what stands behind the time is left alone. */
  parse(text: string, from?: number): boolean;
}

/**
 * Compiles a format.
 *
 * @throws TimeFormatError for an unknown conversion, RangeError for an unknown zone.
 */
export function compileTimeFormat(format: string, options: TimeOptions = {}): TimeFormat {
  return new TimeParser(format, options);
}

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** Nanoseconds of the last digit of a fraction, by its number of digits. */
const SCALES = [0, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10];

/** A field that the text did not give. */
const ABSENT = -1;
const DAY = 86_400;

class TimeParser implements TimeFormat {
  seconds = 0;
  nanos = 0;
  end = 0;

  private readonly steps: readonly Step[];
  /** Offset of times that carry none. */
  private readonly offset: number;
  private readonly zone: ZoneOffset | undefined;
  /** From this step on there is no date or time of day any more. */
  private readonly tailFrom: number;
  /** The step of the fraction, or the number of steps. */
  private readonly fractionAt: number;
  private readonly behindFraction: readonly Step[];
  /** The zone is all that follows the fraction. */
  private readonly endsInZone: boolean;
  private readonly strict: boolean;
  /** The text before the fraction says all up to the second by itself. */
  private readonly cachesHead: boolean;

  /** The text that was read last, up to the fraction if there is one; undefined for none. */
  private lastText: string | undefined;
  /** What it stands for: seconds of the local calendar since 1970. */
  private local = 0;
  /** Offset that the text carries; NaN for none. */
  private carried = Number.NaN;

  private readonly fields: Record<Field, number> = absentFields();
  private afternoon = ABSENT;
  private epoch = Number.NaN;
  /** The text has no date: it means another time tomorrow. */
  private isToday = false;

  constructor(format: string, options: TimeOptions) {
    this.steps = readTimeFormat(format);
    this.strict = options.strict ?? true;
    if (options.systemTimezone === true) this.zone = zoneOffset(undefined);
    else if (options.zone !== undefined) this.zone = zoneOffset(options.zone);
    this.offset = options.offset ?? 0;
    // A literal Z behind the seconds says UTC, as Fluent Bit takes it.
    if (/%[ST](?:[^%]?%L)?Z/.test(format)) {
      this.zone = undefined;
      this.offset = 0;
    }
    let tailFrom = this.steps.length;
    while (tailFrom > 0 && isTail(this.steps[tailFrom - 1] as Step)) tailFrom--;
    this.tailFrom = tailFrom;
    const fractionAt = this.steps.findIndex((step) => step.kind === 'fraction');
    this.fractionAt = fractionAt === -1 ? this.steps.length : fractionAt;
    this.behindFraction = this.steps.slice(this.fractionAt + 1);
    this.endsInZone = this.behindFraction.length === 1 && this.behindFraction[0]?.kind === 'zone';
    const head = this.steps.slice(0, this.fractionAt);
    // Behind a number without a literal, the same text could be the beginning of a longer number.
    this.cachesHead =
      this.strict &&
      fractionAt !== -1 &&
      tailFrom <= fractionAt &&
      head.at(-1)?.kind === 'literal' &&
      head.every((step) => step.kind !== 'zone');
  }

  parse(text: string, from = 0): boolean {
    const { lastText } = this;
    if (lastText !== undefined) {
      if (!this.cachesHead) {
        if (from === 0 && text === lastText) return true;
      } else if (text.startsWith(lastText, from)) {
        if (!this.tail(text, from + lastText.length)) return false;
        this.seconds = this.local - this.offsetAt(this.local);
        return true;
      }
    }
    return this.parseAnew(text, from);
  }

  private parseAnew(text: string, from: number): boolean {
    this.lastText = undefined;
    this.clear();
    const { steps, fractionAt } = this;
    let at = from;
    let head = from;
    for (let index = 0; index < steps.length; index++) {
      if (index === fractionAt) head = at;
      const next = this.step(steps[index] as Step, text, at);
      if (next >= 0) {
        at = next;
        continue;
      }
      if (this.strict || index < this.tailFrom) return false;
      // Forgiven: the fraction with its separator may be missing, and then whatever does not fit any more.
      if (index > fractionAt || fractionAt === steps.length || index < fractionAt - 1) break;
      index = fractionAt;
      head = from;
    }
    this.end = at;
    this.local = this.civil();
    this.seconds = this.local - this.offsetAt(this.local);
    if (this.isToday) return true;
    if (this.cachesHead) {
      if (head > from) this.lastText = text.slice(from, head);
    } else if (from === 0) this.lastText = text;
    return true;
  }

  /** The fraction and what follows it. */
  private tail(text: string, from: number): boolean {
    this.carried = Number.isNaN(this.epoch) ? Number.NaN : 0;
    let at = this.fraction(text, from);
    if (at < 0) return false;
    if (this.endsInZone) at = this.carriedZone(text, at);
    else {
      for (const step of this.behindFraction) {
        at = this.step(step, text, at);
        if (at < 0) return false;
      }
    }
    this.end = at;
    return at >= 0;
  }

  private offsetAt(local: number): number {
    const { carried } = this;
    if (!Number.isNaN(carried)) return carried;
    return this.zone === undefined ? this.offset : this.zone(local);
  }

  private clear(): void {
    for (const field of FIELDS) this.fields[field] = ABSENT;
    this.afternoon = ABSENT;
    this.epoch = Number.NaN;
    this.carried = Number.NaN;
    this.nanos = 0;
  }

  /** Takes one step; answers where the next begins, or -1 when the text does not fit. */
  private step(step: Step, text: string, at: number): number {
    switch (step.kind) {
      case 'literal':
        return text.charCodeAt(at) === step.code ? at + 1 : -1;
      case 'space':
        return skipSpace(text, at);
      case 'number':
        return this.number(step, text, step.padded ? skipSpace(text, at) : at);
      case 'month':
        return this.month(text, at);
      case 'weekday':
        return skipName(text, at, WEEKDAYS);
      case 'noon':
        return this.noon(text, at);
      case 'epoch':
        return this.unixTime(text, at);
      case 'fraction':
        return this.fraction(text, at);
      case 'zone':
        break;
    }
    return this.carriedZone(text, at);
  }

  private number(step: Step & { kind: 'number' }, text: string, from: number): number {
    let at = from;
    let value = 0;
    for (const end = from + step.digits; at < end; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    if (at === from || value < step.min || value > step.max) return -1;
    this.fields[step.field] = value;
    return at;
  }

  private month(text: string, at: number): number {
    for (let month = 0; month < 12; month++) {
      const end = skipOneName(text, at, MONTHS[month] as string);
      if (end < 0) continue;
      this.fields.month = month + 1;
      return end;
    }
    return -1;
  }

  private noon(text: string, at: number): number {
    if ((text.charCodeAt(at + 1) | 0x20) !== 0x6d) return -1;
    const first = text.charCodeAt(at) | 0x20;
    if (first !== 0x61 && first !== 0x70) return -1;
    this.afternoon = first === 0x70 ? 1 : 0;
    return at + 2;
  }

  private unixTime(text: string, from: number): number {
    const negative = text.charCodeAt(from) === 0x2d;
    const start = negative ? from + 1 : from;
    let at = start;
    let value = 0;
    for (; at - start < 15; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    if (at === start) return -1;
    this.epoch = negative ? -value : value;
    this.carried = 0;
    return at;
  }

  private fraction(text: string, from: number): number {
    const { length } = text;
    let at = from;
    let value = 0;
    for (; at < length; at++) {
      const digit = text.charCodeAt(at) - 48;
      if (digit < 0 || digit > 9) break;
      if (at < from + 9) value = value * 10 + digit;
    }
    if (at === from) return -1;
    this.nanos = at < from + 9 ? value * (SCALES[at - from] as number) : value;
    return at;
  }

  /** `Z`, `+02`, `+0200`, `+02:00`, `CEST`. */
  private carriedZone(text: string, at: number): number {
    // Reading past the end of a string is slow: look at the length first.
    if (at >= text.length) return -1;
    const sign = text.charCodeAt(at);
    if (sign === 0x5a && (at + 1 === text.length || !isLetter(text.charCodeAt(at + 1)))) {
      this.carried = 0;
      return at + 1;
    }
    if (sign !== 0x2b && sign !== 0x2d) return this.namedZone(text, at);
    const hours = twoDigits(text, at + 1);
    if (hours < 0) return -1;
    let end = at + 3;
    let minutes = twoDigits(text, text.charCodeAt(end) === 0x3a ? end + 1 : end);
    if (minutes >= 0) end += text.charCodeAt(end) === 0x3a ? 3 : 2;
    else minutes = 0;
    if (hours > 24 || minutes > 59) return -1;
    const offset = hours * 3600 + minutes * 60;
    this.carried = sign === 0x2d ? -offset : offset;
    return end;
  }

  private namedZone(text: string, at: number): number {
    let end = at;
    while (end - at < 5 && isLetter(text.charCodeAt(end))) end++;
    if (end === at) return -1;
    const offset = abbreviatedOffset(text.slice(at, end));
    if (offset === undefined) return -1;
    this.carried = offset;
    return end;
  }

  /** The fields as seconds from 1970 of the local calendar. */
  private civil(): number {
    if (!Number.isNaN(this.epoch)) return this.epoch;
    const { fields } = this;
    let { hour } = fields;
    if (hour === ABSENT) hour = fields.hour12;
    if (this.afternoon === 1 && hour < 12) hour += 12;
    if (this.afternoon === 0 && hour === 12) hour = 0;
    const time = orZero(hour) * 3600 + orZero(fields.minute) * 60 + orZero(fields.second);
    return this.days() * DAY + time;
  }

  /** Days from 1970. A year that is missing is this year, a date that is missing is today. */
  private days(): number {
    const { fields } = this;
    const { month, day, dayOfYear } = fields;
    const year = yearOf(fields);
    if (year === ABSENT && month === ABSENT && day === ABSENT && dayOfYear === ABSENT) {
      this.isToday = true;
      const now = Math.floor(Date.now() / 1000);
      return Math.floor((now + this.offsetAt(now)) / DAY);
    }
    const known = year === ABSENT ? new Date().getUTCFullYear() : year;
    if (dayOfYear !== ABSENT && month === ABSENT) return daysToMonth(known, 1) + dayOfYear - 1;
    return daysToMonth(known, month === ABSENT ? 1 : month) + (day === ABSENT ? 1 : day) - 1;
  }
}

function yearOf({ year, century, yearOfCentury }: Record<Field, number>): number {
  if (year !== ABSENT) return year;
  if (yearOfCentury === ABSENT) return century === ABSENT ? ABSENT : century * 100;
  if (century !== ABSENT) return century * 100 + yearOfCentury;
  // POSIX: 69 to 99 are of the last century.
  return yearOfCentury + (yearOfCentury < 69 ? 2000 : 1900);
}

function absentFields(): Record<Field, number> {
  return Object.fromEntries(FIELDS.map((field) => [field, ABSENT])) as Record<Field, number>;
}

function orZero(value: number): number {
  return value === ABSENT ? 0 : value;
}

/** Steps that neither date nor time of day depend on. */
function isTail(step: Step): boolean {
  return step.kind === 'literal' || step.kind === 'space' || step.kind === 'fraction' || step.kind === 'zone';
}

function isLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && !(code >= 0x09 && code <= 0x0d)) return at;
    at++;
  }
}

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

function skipName(text: string, at: number, names: readonly string[]): number {
  for (const name of names) {
    const end = skipOneName(text, at, name);
    if (end >= 0) return end;
  }
  return -1;
}

/** Skips a name or its first three letters, in any case; -1 when neither stands here. */
function skipOneName(text: string, at: number, name: string): number {
  let length = 0;
  while (length < name.length && (text.charCodeAt(at + length) | 0x20) === name.charCodeAt(length)) length++;
  if (length === name.length) return at + length;
  return length >= 3 ? at + 3 : -1;
}
