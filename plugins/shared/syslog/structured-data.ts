/**
 * Structured data of RFC 5424, section 6.3: `[id name="value" …]…` as maps by id. A parameter that an element has several times, as `ip` of
 * `origin` may be, becomes a list; an id that comes twice, which the RFC forbids, has the parameters of both.
 */
import { isRecord, setKey } from '../../../src/plugin.ts';
import type { LogRecord, Value } from '../../../src/plugin.ts';

const SPACE = 0x20;
const QUOTE = 0x22;
const EQUALS = 0x3d;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;

const ESCAPES = /\\(["\\\]])/g;

export class StructuredData {
  /** Where it ended. */
  end = 0;
  /** The elements by id; undefined when there is none. */
  elements: LogRecord | undefined;

  /** Reads what stands at `from`, which is a `[`, up to `to` at most. False when it is none: then nothing of it may be used. */
  read(text: string, from: number, to: number): boolean {
    let at = from;
    this.elements = undefined;
    // rsyslog and Fluent Bit's own tests write `[]` for none.
    if (text.charCodeAt(at + 1) === CLOSE && at + 1 < to) {
      this.end = at + 2;
      return true;
    }
    const elements: LogRecord = {};
    while (at < to && text.charCodeAt(at) === OPEN) {
      at = this.element(text, at + 1, to, elements);
      if (at < 0) return false;
    }
    this.end = at;
    this.elements = elements;
    return true;
  }

  /** Reads an element behind its `[`; answers what follows it, or -1. */
  private element(text: string, from: number, to: number, into: LogRecord): number {
    let at = nameEnd(text, from, to);
    if (at === from || at >= to) return -1;
    const id = text.slice(from, at);
    const known = own(into, id);
    const params: LogRecord = isRecord(known) ? known : {};
    for (;;) {
      while (at < to && text.charCodeAt(at) === SPACE) at++;
      if (at >= to) return -1;
      if (text.charCodeAt(at) === CLOSE) break;
      at = param(text, at, to, params);
      if (at < 0) return -1;
    }
    setKey(into, id, params);
    return at + 1;
  }
}

/** Reads `name="value"`; answers what follows it, or -1. */
function param(text: string, from: number, to: number, into: LogRecord): number {
  const equals = nameEnd(text, from, to);
  if (equals === from || equals + 1 >= to) return -1;
  if (text.charCodeAt(equals) !== EQUALS || text.charCodeAt(equals + 1) !== QUOTE) return -1;
  const start = equals + 2;
  let at = start;
  let hasEscapes = false;
  for (; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) break;
    if (code !== BACKSLASH) continue;
    hasEscapes = true;
    at++;
  }
  if (at >= to) return -1;
  const written = text.slice(start, at);
  // A backslash before anything else stands for itself.
  const value = hasEscapes ? written.replaceAll(ESCAPES, '$1') : written;
  const name = text.slice(from, equals);
  const other = own(into, name);
  if (Array.isArray(other)) other.push(value);
  else setKey(into, name, other === undefined ? value : [other, value]);
  return at + 1;
}

/** Where a name ends: names are printable ASCII without `=`, `]`, `"` and space. Longer ones than the RFC's 32 characters are taken. */
function nameEnd(text: string, from: number, to: number): number {
  let at = from;
  for (; at < to; at++) {
    const code = text.charCodeAt(at);
    if (code <= SPACE || code >= 0x7f || code === EQUALS || code === CLOSE || code === QUOTE) break;
  }
  return at;
}

function own(record: LogRecord, key: string): Value | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
