/**
 * The times that syslog messages begin with, as they come:
 *
 *     Oct 11 22:14:15              RFC 3164; the last year with which it has been
 *     Oct 11 2024 22:14:15         Cisco ASA
 *     Oct 11 22:14:15 2024         BSD
 *     Mar  1 18:48:50.483 UTC      Cisco IOS
 *     2024 Oct 11 22:14:15         Cisco NX-OS
 *     2003-10-11T22:14:15.003Z     RFC 5424, rsyslog's and syslog-ng's ISO formats; also with a space for the T, and without a zone
 *
 * A log writes many lines in one second, so what was read up to the second is remembered.
 */
import { abbreviatedOffset } from '../../../src/plugin.ts';
import type { ZoneOffset } from '../../../src/plugin.ts';

const SPACE = 0x20;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;

const ISO_LENGTH = 'YYYY-MM-DDTHH:MM:SS'.length;
const NANO_DIGITS = 9;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
/** A year that is missing is the last one with which the time is not further in the future than clocks are wrong. Seconds. */
const AHEAD = 7 * 86_400;

export class SyslogTime {
  /** Unix time. */
  seconds = 0;
  nanos = 0;
  /** Where the text behind it begins. */
  end = 0;
  /** Where the time itself ends: a zone with its blank counts, a colon that Cisco writes behind it does not. */
  stop = 0;

  private readonly zone: ZoneOffset;
  /** The text that was read last up to the second, and what it stands for: seconds of the local calendar since 1970. */
  private isoText = '\n';
  private isoLocal = 0;
  private bsdText = '\n';
  private bsdLocal = 0;

  /** `zone`: the offset of times that carry none. */
  constructor(zone: ZoneOffset) {
    this.zone = zone;
  }

  /** Reads the time that begins at `at`, up to `to` at most. */
  read(text: string, at: number, to: number): boolean {
    const first = text.charCodeAt(at);
    if (isDigit(first)) {
      // A year alone is Cisco's.
      if (text.charCodeAt(at + 4) === SPACE) return this.yearFirst(text, at, to);
      return this.iso(text, at, to);
    }
    return this.bsd(text, at, to);
  }

  /** Reads an ISO 8601 time; all of them that RFC 5424 allows, and some that it does not. */
  iso(text: string, at: number, to: number): boolean {
    const head = at + ISO_LENGTH;
    if (head > to) return false;
    if (!text.startsWith(this.isoText, at)) {
      const local = isoLocal(text, at);
      if (Number.isNaN(local)) return false;
      this.isoLocal = local;
      this.isoText = text.slice(at, head);
    }
    return this.tail(text, this.isoLocal, head, to);
  }

  /** Seconds since 1970 with a fraction, as Cisco Meraki writes them. */
  epoch(text: string, at: number, to: number): boolean {
    let value = 0;
    let end = at;
    for (; end < to && isDigit(text.charCodeAt(end)); end++) value = value * 10 + text.charCodeAt(end) - ZERO;
    if (end - at < 9 || end - at > 11 || text.charCodeAt(end) !== DOT) return false;
    this.nanos = 0;
    this.stop = this.fraction(text, end, to);
    this.end = this.stop;
    this.seconds = value;
    return this.stop > end && this.stop < to && text.charCodeAt(this.stop) === SPACE;
  }

  private yearFirst(text: string, at: number, to: number): boolean {
    const year = number(text, at, 4);
    if (!(year > 1969)) return false;
    return this.bsdWithYear(text, at + 5, to, year);
  }

  private bsd(text: string, at: number, to: number): boolean {
    const { bsdText } = this;
    const head = at + bsdText.length;
    if (head <= to && text.startsWith(bsdText, at) && yearBehind(text, head, to) === undefined)
      return this.tail(text, this.bsdLocal, head, to);
    return this.bsdWithYear(text, at, to, undefined);
  }

  private bsdWithYear(text: string, from: number, to: number, given: number | undefined): boolean {
    const month = MONTHS.indexOf(text.slice(from, from + 3).toLowerCase());
    if (month === -1 || text.charCodeAt(from + 3) !== SPACE) return false;
    let at = from + 4;
    if (text.charCodeAt(at) === SPACE) at++;
    let day = number(text, at, 2);
    at += 2;
    if (Number.isNaN(day)) {
      day = number(text, at - 2, 1);
      at--;
    }
    if (!(day >= 1 && day <= 31) || text.charCodeAt(at) !== SPACE) return false;
    at++;
    let year = given;
    if (year === undefined && text.charCodeAt(at + 4) === SPACE && number(text, at, 4) > 1969) {
      year = number(text, at, 4);
      at += 5;
    }
    const time = timeOfDay(text, at);
    at += 8;
    if (Number.isNaN(time) || at > to) return false;
    const head = at;
    if (year === undefined) {
      year = yearBehind(text, at, to);
      if (year !== undefined) at += 5;
    }
    const local = Date.UTC(year ?? latestYear(month, day), month, day) / 1000 + time;
    if (given === undefined && at === head) {
      this.bsdText = text.slice(from, head);
      this.bsdLocal = local;
    }
    return this.tail(text, local, at, to);
  }

  /** A fraction and a zone, if there are any; then the time must be over. */
  private tail(text: string, local: number, from: number, to: number): boolean {
    this.nanos = 0;
    let at = from;
    let code = at < to ? text.charCodeAt(at) : SPACE;
    if (code === DOT || code === COMMA) {
      const behind = this.fraction(text, at, to);
      if (behind === at) return false;
      at = behind;
      code = at < to ? text.charCodeAt(at) : SPACE;
    }
    let offset = Number.NaN;
    if (code === LETTER_Z) {
      offset = 0;
      at++;
    } else if (code === PLUS || code === MINUS) {
      offset = writtenOffset(text, at);
      if (Number.isNaN(offset)) return false;
      at += text.charCodeAt(at + 3) === COLON ? 6 : 5;
      if (at > to) return false;
    } else if (code === SPACE) {
      const behind = zoneNameEnd(text, at + 1, to);
      if (behind > 0) {
        offset = abbreviatedOffset(text.slice(at + 1, behind)) ?? Number.NaN;
        at = behind;
      }
    }
    this.stop = at;
    if (at < to && text.charCodeAt(at) === COLON) at++;
    if (at < to && text.charCodeAt(at) !== SPACE) return false;
    this.end = at;
    this.seconds = local - (Number.isNaN(offset) ? this.zone(local) : offset);
    return true;
  }

  /** Reads the digits behind a point; answers what follows them. */
  private fraction(text: string, point: number, to: number): number {
    let at = point + 1;
    let nanos = 0;
    let digits = 0;
    for (; at < to && isDigit(text.charCodeAt(at)); at++) {
      if (digits === NANO_DIGITS) continue;
      nanos = nanos * 10 + text.charCodeAt(at) - ZERO;
      digits++;
    }
    if (digits === 0) return point;
    for (; digits < NANO_DIGITS; digits++) nanos *= 10;
    this.nanos = nanos;
    return at;
  }
}

function isoLocal(text: string, at: number): number {
  const separator = text.charCodeAt(at + 10);
  if (text.charCodeAt(at + 4) !== MINUS || text.charCodeAt(at + 7) !== MINUS) return Number.NaN;
  if (separator !== LETTER_T && separator !== SPACE) return Number.NaN;
  const year = number(text, at, 4);
  const month = number(text, at + 5, 2);
  const day = number(text, at + 8, 2);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= 31)) return Number.NaN;
  // Two digits would be of the last century.
  if (year < 100) return Number.NaN;
  return Date.UTC(year, month - 1, day) / 1000 + timeOfDay(text, at + 11);
}

/** The year that stands behind a time of day. */
function yearBehind(text: string, at: number, to: number): number | undefined {
  if (at + 5 > to || text.charCodeAt(at) !== SPACE || !isDigit(text.charCodeAt(at + 1))) return undefined;
  // A colon may stand behind it; one without a blank is that of an IPv6 address.
  const behind = at + 5 < to && text.charCodeAt(at + 5) === COLON ? at + 6 : at + 5;
  if (behind < to && text.charCodeAt(behind) !== SPACE) return undefined;
  const year = number(text, at + 1, 4);
  return year > 1969 ? year : undefined;
}

/** Reads HH:MM:SS; a leap second is the next one. NaN for what is none. */
function timeOfDay(text: string, at: number): number {
  if (text.charCodeAt(at + 2) !== COLON || text.charCodeAt(at + 5) !== COLON) return Number.NaN;
  const hour = number(text, at, 2);
  const minute = number(text, at + 3, 2);
  const second = number(text, at + 6, 2);
  return hour < 24 && minute < 60 && second < 61 ? hour * 3600 + minute * 60 + second : Number.NaN;
}

function latestYear(month: number, day: number): number {
  const now = Date.now();
  const next = new Date(now).getUTCFullYear() + 1;
  for (let year = next; year > next - 2; year--) {
    if (Date.UTC(year, month, day) <= now + AHEAD * 1000) return year;
  }
  return next - 2;
}

/** Reads +HH:MM or +HHMM; seconds, NaN for what is none. */
function writtenOffset(text: string, at: number): number {
  const minutesAt = text.charCodeAt(at + 3) === COLON ? at + 4 : at + 3;
  const hours = number(text, at + 1, 2);
  const minutes = number(text, minutesAt, 2);
  if (!(hours < 24 && minutes < 60)) return Number.NaN;
  const offset = hours * 3600 + minutes * 60;
  return text.charCodeAt(at) === MINUS ? -offset : offset;
}

/** Where the name of a zone ends, which Cisco writes with a colon behind it; -1 when there is none. */
function zoneNameEnd(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && at - from < 6 && text.charCodeAt(at) >= 0x41 && text.charCodeAt(at) <= LETTER_Z) at++;
  return at - from >= 2 && at < to && text.charCodeAt(at) === COLON ? at : -1;
}

/** Exactly so many digits; NaN for what is none. */
function number(text: string, at: number, digits: number): number {
  let value = 0;
  for (let index = at; index < at + digits; index++) {
    const digit = text.charCodeAt(index) - ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= 0x39;
}
