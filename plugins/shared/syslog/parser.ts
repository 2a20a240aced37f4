/**
 * Recognises syslog messages in the shapes in which they come: RFC 5424; RFC 3164 and what programs and devices make of it, with or without
 * priority, time, host, tag and process id; Cisco's. What a message does not say has no key; what is not recognised of it is the message.
 *
 * Never a regular expression over the whole: it is read once, by hand, where it lies in a longer text.
 */
import { setKey } from '../../../src/plugin.ts';
import type { LogRecord, ParsedEvent, Parser, ZoneOffset } from '../../../src/plugin.ts';
import { MAX_PRIORITY, PRIORITIES } from './priority.ts';
import { StructuredData } from './structured-data.ts';
import { SyslogTime } from './time.ts';

export interface SyslogParserSettings {
  /** Offset from UTC of times that carry none. */
  zone: ZoneOffset;
  /** Key under which the time's text stays in the record; undefined: it does not. */
  timeKey: string | undefined;
  /** Works on the records of messages that were taken. */
  finish?: ((record: LogRecord) => void) | undefined;
}

const NOTHING = 'It has neither a priority nor a time as syslog messages have them.';

const NUL = 0x00;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const ASTERISK = 0x2a;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const LESS = 0x3c;
const GREATER = 0x3e;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const BYTE_ORDER_MARK = 0xfeff;

/** Longest name of a host that a message says. Characters. */
const LONGEST_HOST = 255;
/** Longest tag, and longest process id. Characters. */
const LONGEST_TAG = 128;

/** Characters that names of hosts have, and those of tags; by code. */
const HOST_CHARACTERS = characters('.-_:/');
const TAG_CHARACTERS = characters('.-_/%()@$+#*~!');

export class SyslogParser implements Parser {
  readonly name: string;
  private readonly timeKey: string | undefined;
  private readonly finish: ((record: LogRecord) => void) | undefined;
  private readonly time: SyslogTime;
  private readonly data = new StructuredData();

  constructor(name: string, { zone, timeKey, finish }: SyslogParserSettings) {
    this.name = name;
    this.timeKey = timeKey;
    this.finish = finish;
    this.time = new SyslogTime(zone);
  }

  failure(): string {
    return NOTHING;
  }

  parse(line: string, into: ParsedEvent): boolean {
    return this.parseRange(line, 0, line.length, into);
  }

  /** Parses what stands between two offsets of a text. */
  parseRange(text: string, from: number, until: number, into: ParsedEvent): boolean {
    if (!this.recognise(text, from, until, into)) return false;
    this.finish?.(into.record);
    return true;
  }

  private recognise(text: string, from: number, until: number, into: ParsedEvent): boolean {
    into.text = undefined;
    into.seconds = Number.NaN;
    into.nanos = 0;
    const to = trimmedEnd(text, from, until);
    const record: LogRecord = {};
    into.record = record;
    let at = from;
    if (at < to && text.charCodeAt(at) === BYTE_ORDER_MARK) at++;
    const behind = this.priority(text, at, to, record);
    const hasPriority = behind > at;
    at = behind;
    if (hasPriority && at + 1 < to && text.charCodeAt(at) === ZERO + 1 && text.charCodeAt(at + 1) === SPACE) {
      if (this.rfc5424(text, at + 2, to, record, into)) return true;
      if (this.time.epoch(text, at + 2, to) || this.time.read(text, at + 2, to)) at += 2;
    }
    return this.rfc3164(text, at, to, record, into) || hasPriority;
  }

  /** Reads `<PRI>`; answers what follows it. */
  private priority(text: string, at: number, to: number, record: LogRecord): number {
    if (text.charCodeAt(at) !== LESS) return at;
    let value = 0;
    let end = at + 1;
    for (; end < to && end <= at + 3; end++) {
      const digit = text.charCodeAt(end) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    if (end === at + 1 || end >= to || text.charCodeAt(end) !== GREATER || value > MAX_PRIORITY) return at;
    const { pri, facility, severity } = PRIORITIES[value] as (typeof PRIORITIES)[number];
    record['pri'] = pri;
    record['facility'] = facility;
    record['severity'] = severity;
    return end + 1;
  }

  /** What follows `<PRI>1 `. False when it is no RFC 5424; then nothing is taken. */
  private rfc5424(text: string, from: number, to: number, record: LogRecord, into: ParsedEvent): boolean {
    const { time, data } = this;
    const timeEnd = fieldEnd(text, from, to);
    const isTimeless = timeEnd === from + 1 && text.charCodeAt(from) === MINUS;
    if (!isTimeless && !(time.iso(text, from, timeEnd) && time.end === timeEnd)) return false;
    const hostEnd = fieldEnd(text, timeEnd + 1, to);
    const appEnd = fieldEnd(text, hostEnd + 1, to);
    const procEnd = fieldEnd(text, appEnd + 1, to);
    const idEnd = fieldEnd(text, procEnd + 1, to);
    // Five fields, each with a blank behind it but the last.
    if (idEnd <= procEnd + 1 || idEnd > to) return false;
    if (!isTimeless) this.takeTime(text, from, record, into);
    takeField(text, timeEnd + 1, hostEnd, 'host', record);
    takeField(text, hostEnd + 1, appEnd, 'ident', record);
    takeField(text, appEnd + 1, procEnd, 'pid', record);
    takeField(text, procEnd + 1, idEnd, 'msgid', record);
    let at = Math.min(idEnd + 1, to);
    const code = at < to ? text.charCodeAt(at) : MINUS;
    if (code === MINUS && (at + 1 >= to || text.charCodeAt(at + 1) === SPACE)) at += 1;
    else if (code === OPEN && data.read(text, at, to)) {
      at = data.end;
      if (data.elements !== undefined) record['structured_data'] = data.elements;
    }
    takeMessage(text, at, to, record);
    return true;
  }

  /** False when there is nothing to recognise it by; then the record has nothing of it but the message. */
  private rfc3164(text: string, from: number, to: number, record: LogRecord, into: ParsedEvent): boolean {
    let at = skipBlanks(text, from, to);
    // Cisco numbers messages: `45: `, and leaves a colon where there is no number.
    const sequence = at;
    while (at < to && isDigit(text.charCodeAt(at))) at++;
    let isNumbered = false;
    if (isColonAndBlank(text, at, to)) {
      if (at > sequence) record['sequence'] = text.slice(sequence, at);
      at = skipBlanks(text, at + 1, to);
      isNumbered = true;
    } else at = sequence;
    let behind = this.timeAt(text, at, to, record, into);
    if (behind < 0) {
      // Cisco's origin: `host: *Mar  1 …`.
      const hostEnd = spanEnd(text, at, Math.min(to, at + LONGEST_HOST), HOST_CHARACTERS);
      if (hostEnd > at + 1 && isColonAndBlank(text, hostEnd - 1, to)) {
        behind = this.timeAt(text, skipBlanks(text, hostEnd, to), to, record, into);
        if (behind >= 0) record['host'] = text.slice(at, hostEnd - 1);
      }
    }
    const hasTime = behind >= 0;
    if (hasTime) {
      at = skipBlanks(text, behind, to);
      if (!Object.hasOwn(record, 'host')) at = this.host(text, at, to, record);
    }
    takeTagged(text, at, to, record);
    return hasTime || (isNumbered && Object.hasOwn(record, 'sequence') && Object.hasOwn(record, 'ident'));
  }

  /** Reads a time, which Cisco marks with `*` or `.` while its clock is not set; answers what follows it, or -1. */
  private timeAt(text: string, from: number, to: number, record: LogRecord, into: ParsedEvent): number {
    if (from >= to) return -1;
    const { time } = this;
    const first = text.charCodeAt(from);
    const at = first === ASTERISK || first === DOT ? from + 1 : from;
    if (!time.read(text, at, to) && !time.epoch(text, at, to)) return -1;
    this.takeTime(text, at, record, into);
    return time.end;
  }

  private takeTime(text: string, from: number, record: LogRecord, into: ParsedEvent): void {
    const { time, timeKey } = this;
    into.seconds = time.seconds;
    into.nanos = time.nanos;
    if (timeKey !== undefined) setKey(record, timeKey, text.slice(from, time.stop));
  }

  /** Takes the word behind the time for a host, unless it is a tag or no name; answers what follows it. */
  private host(text: string, from: number, to: number, record: LogRecord): number {
    const end = spanEnd(text, from, Math.min(to, from + LONGEST_HOST), HOST_CHARACTERS);
    // One word alone is the message.
    if (end === from || end >= to || text.charCodeAt(end) !== SPACE) return from;
    if (text.charCodeAt(end - 1) === COLON) return from;
    record['host'] = text.slice(from, end);
    const at = skipBlanks(text, end, to);
    // Cisco ASA: `host : %ASA-…`.
    return isColonAndBlank(text, at, to) ? at + 2 : at;
  }
}

/** Takes `tag[pid]: message`, or what stands there as the message. */
function takeTagged(text: string, from: number, to: number, record: LogRecord): void {
  const end = spanEnd(text, from, Math.min(to, from + LONGEST_TAG), TAG_CHARACTERS);
  if (end > from) {
    const code = end < to ? text.charCodeAt(end) : SPACE;
    if (code === COLON && isOver(text, end + 1, to)) {
      record['ident'] = text.slice(from, end);
      takeMessage(text, end + 1, to, record);
      return;
    }
    if (code === OPEN) {
      const close = pidEnd(text, end + 1, Math.min(to, end + 1 + LONGEST_TAG));
      if (close > end + 1) {
        const behind = text.charCodeAt(close + 1) === COLON && close + 1 < to ? close + 2 : close + 1;
        if (isOver(text, behind, to)) {
          record['ident'] = text.slice(from, end);
          record['pid'] = text.slice(end + 1, close);
          takeMessage(text, behind, to, record);
          return;
        }
      }
    }
  }
  record['message'] = text.slice(from, to);
}

/** Takes the rest; the blank before it and a byte order mark do not belong to it. */
function takeMessage(text: string, from: number, to: number, record: LogRecord): void {
  let at = Math.min(from, to);
  if (at < to && text.charCodeAt(at) === SPACE) at++;
  if (at < to && text.charCodeAt(at) === BYTE_ORDER_MARK) at++;
  record['message'] = text.slice(at, to);
}

/** Takes a field of RFC 5424; `-` says that there is none. */
function takeField(text: string, from: number, to: number, key: string, record: LogRecord): void {
  if (to === from + 1 && text.charCodeAt(from) === MINUS) return;
  record[key] = text.slice(from, to);
}

/** Where a field ends: at the next blank. */
function fieldEnd(text: string, from: number, to: number): number {
  if (from > to) return to + 1;
  const end = text.indexOf(' ', from);
  return end === -1 || end > to ? to : end;
}

/** A closing bracket; -1 when something else comes before it that no process id has. */
function pidEnd(text: string, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === CLOSE) return at;
    if (code <= SPACE || code === OPEN) return -1;
  }
  return -1;
}

function isColonAndBlank(text: string, at: number, to: number): boolean {
  return at + 1 < to && text.charCodeAt(at) === COLON && text.charCodeAt(at + 1) === SPACE;
}

/** A word ends here. */
function isOver(text: string, at: number, to: number): boolean {
  return at >= to || text.charCodeAt(at) === SPACE;
}

/** What devices and programs leave behind a message. */
function trimmedEnd(text: string, from: number, until: number): number {
  let end = until;
  while (end > from) {
    const code = text.charCodeAt(end - 1);
    if (code !== LINE_FEED && code !== NUL && code !== CARRIAGE_RETURN) break;
    end--;
  }
  return end;
}

function skipBlanks(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && text.charCodeAt(at) === SPACE) at++;
  return at;
}

function spanEnd(text: string, from: number, to: number, known: Uint8Array): number {
  let at = from;
  while (at < to && known[text.charCodeAt(at)] === 1) at++;
  return at;
}

/** Letters, digits, and others. */
function characters(others: string): Uint8Array {
  const known = new Uint8Array(128);
  for (const character of `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${others}`)
    known[character.charCodeAt(0)] = 1;
  return known;
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
