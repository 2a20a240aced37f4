/**
 * JSON text to MessagePack, from bytes to bytes: no value is built on the way, and integers of 64 bits stay exact.
 *
 * What a number becomes is decided by how it is written: digits alone are an integer (as text where 64 bits do not hold it),
 * everything with a point or an exponent a double (as text where that would be infinite). A key that stands there twice goes out
 * twice. Escaped surrogates without their other half become U+FFFD.
 */
import type { ByteSink } from './bytes.ts';
import { putContainerHead, putInteger, putTextHead, textHeadLength } from './msgpack-write.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;

/** Lists and maps inside each other; deeper than any record that the pipeline lets in. */
const MAX_DEPTH = 1024;
/** `[1.5]` is 5 bytes and becomes 10; nothing grows more. */
const GROWTH = 3;
const ROOM = 16;
/** Digits that a double holds exactly whatever they are. */
const EXACT_DIGITS = 15;
const SHORT_TEXT = 31;
const MIN_INT64 = -(2n ** 63n);
const MAX_UINT64 = 2n ** 64n - 1n;
/** Powers of ten that a double holds exactly: a quotient of two exact numbers is rounded once, and so is right. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Where the head of each open list or map is, and how many values are in it; a map's keys count as values. */
const heads = new Float64Array(MAX_DEPTH + 1);
const counts = new Float64Array(MAX_DEPTH + 1);
/** Where the text goes on behind what was read last. */
let next = 0;

/**
 * Appends the JSON text that lies between `from` and `to`, one value of UTF-8, as MessagePack. Throws when it is no JSON; the sink is as
 * it was then. That is noticed where it matters for what is written; this is no check of JSON.
 */
export function appendJson(source: Buffer, from: number, to: number, sink: ByteSink): void {
  sink.reserve((to - from) * GROWTH + ROOM);
  const raw = sink.raw;
  let at = sink.length;
  let depth = 0;
  let index = from;
  counts[0] = 0;
  while (index < to) {
    const byte = source[index] as number;
    switch (byte) {
      case 0x2c: // ,
      case 0x3a: // :
      case 0x20:
      case 0x09:
      case 0x0a:
      case 0x0d:
        index++;
        break;
      case QUOTE: {
        counts[depth] = (counts[depth] as number) + 1;
        // Most texts are short: they are copied while their end is looked for.
        const start = index + 1;
        const stop = Math.min(start + SHORT_TEXT + 1, to);
        let look = start;
        let put = at + 1;
        let letter = 0;
        while (look < stop) {
          letter = source[look] as number;
          if (letter === QUOTE || letter === BACKSLASH) break;
          raw[put++] = letter;
          look++;
        }
        if (letter === QUOTE && look - start <= SHORT_TEXT) {
          raw[at] = 0xa0 | (look - start);
          at = put;
          index = look + 1;
        } else {
          at = putLongText(source, start, look, to, raw, at);
          index = next;
        }
        break;
      }
      // { and [
      case 0x7b:
      case 0x5b:
        counts[depth] = (counts[depth] as number) + 1;
        if (depth === MAX_DEPTH) throw new Error(`The record nests deeper than ${MAX_DEPTH}.`);
        depth++;
        heads[depth] = at;
        counts[depth] = 0;
        at++;
        index++;
        break;
      // } and ]
      case 0x7d:
      case 0x5d: {
        if (depth === 0) throw invalid(index - from);
        const isMap = byte === 0x7d;
        const values = counts[depth] as number;
        if (isMap && values % 2 !== 0) throw invalid(index - from);
        at = close(raw, heads[depth] as number, at, isMap, isMap ? values / 2 : values);
        depth--;
        index++;
        break;
      }
      case 0x74: // true
        counts[depth] = (counts[depth] as number) + 1;
        raw[at++] = 0xc3;
        index += 4;
        break;
      case 0x66: // false
        counts[depth] = (counts[depth] as number) + 1;
        raw[at++] = 0xc2;
        index += 5;
        break;
      case 0x6e: // null
        counts[depth] = (counts[depth] as number) + 1;
        raw[at++] = 0xc0;
        index += 4;
        break;
      default:
        counts[depth] = (counts[depth] as number) + 1;
        at = putNumber(source, index, to, raw, at);
        if (next === index) throw invalid(index - from);
        index = next;
    }
  }
  if (depth !== 0 || counts[0] !== 1 || index !== to) throw invalid(to - from);
  sink.length = at;
}

function invalid(offset: number): Error {
  return new Error(`The record is no valid JSON at byte ${offset}.`);
}

/** Gives a list or map its head, for which one byte was left. Returns where the next value goes. */
function close(raw: Buffer, head: number, at: number, isMap: boolean, length: number): number {
  const headLength = length <= 15 ? 1 : length <= 0xffff ? 3 : 5;
  if (headLength > 1) raw.copyWithin(head + headLength, head + 1, at);
  if (isMap) putContainerHead(raw, head, length, 0x80, 0xde);
  else putContainerHead(raw, head, length, 0x90, 0xdc);
  return at + headLength - 1;
}

/** A text from `start` on that is long or has escapes; up to `look` there is neither an end nor an escape. */
function putLongText(
  source: Buffer,
  start: number,
  look: number,
  to: number,
  raw: Buffer,
  at: number,
): number {
  let stop = look;
  let letter = 0;
  while (stop < to) {
    letter = source[stop] as number;
    if (letter === QUOTE || letter === BACKSLASH) break;
    stop++;
  }
  if (letter === QUOTE) {
    next = stop + 1;
    const put = putTextHead(raw, at, stop - start);
    return put + source.copy(raw, put, start, stop);
  }
  let end = stop;
  while (end < to && source[end] !== QUOTE) end += source[end] === BACKSLASH ? 2 : 1;
  if (end >= to) throw new Error('The record is no valid JSON: a text does not end.');
  next = end + 1;
  return putEscapedText(source, start, stop, end, raw, at);
}

/** A text between `start` and `end` whose first escape is at `escape`. */
function putEscapedText(
  source: Buffer,
  start: number,
  escape: number,
  end: number,
  raw: Buffer,
  at: number,
): number {
  // Escapes only make it shorter: the head is at most this long.
  const room = textHeadLength(end - start);
  const body = at + room;
  let put = body + source.copy(raw, body, start, escape);
  let index = escape;
  while (index < end) {
    const letter = source[index] as number;
    if (letter !== BACKSLASH) {
      raw[put++] = letter;
      index++;
      continue;
    }
    const kind = source[index + 1] as number;
    if (kind === 0x75) {
      put = putCodeUnit(source, index + 2, end, raw, put);
      index = next;
    } else {
      raw[put++] = UNESCAPED[kind] as number;
      index += 2;
    }
  }
  next = end + 1;
  const length = put - body;
  const head = textHeadLength(length);
  if (head < room) raw.copyWithin(at + head, body, put);
  putTextHead(raw, at, length);
  return at + head + length;
}

/** What stands behind a backslash, by what it means; by default itself. */
const UNESCAPED = Uint8Array.from({ length: 256 }, (_, byte) => byte);
for (const [letter, meaning] of [
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
] as const) {
  UNESCAPED[letter.charCodeAt(0)] = meaning.charCodeAt(0);
}

/** The character whose four digits begin at `index`, behind `\u`, with its other half where there is one. */
function putCodeUnit(source: Buffer, index: number, end: number, raw: Buffer, at: number): number {
  let code = hex(source, index);
  next = index + 4;
  if (code >= 0xd800 && code <= 0xdfff) {
    const low =
      code <= 0xdbff && next + 6 <= end && source[next] === BACKSLASH && source[next + 1] === 0x75
        ? hex(source, next + 2)
        : 0;
    if (low >= 0xdc00 && low <= 0xdfff) {
      next += 6;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else {
      code = 0xfffd;
    }
  }
  let put = at;
  if (code <= 0x7f) {
    raw[put++] = code;
  } else if (code <= 0x7ff) {
    raw[put++] = 0xc0 | (code >> 6);
    raw[put++] = 0x80 | (code & 0x3f);
  } else if (code <= 0xffff) {
    raw[put++] = 0xe0 | (code >> 12);
    raw[put++] = 0x80 | ((code >> 6) & 0x3f);
    raw[put++] = 0x80 | (code & 0x3f);
  } else {
    raw[put++] = 0xf0 | (code >> 18);
    raw[put++] = 0x80 | ((code >> 12) & 0x3f);
    raw[put++] = 0x80 | ((code >> 6) & 0x3f);
    raw[put++] = 0x80 | (code & 0x3f);
  }
  return put;
}

function hex(source: Buffer, index: number): number {
  let value = 0;
  for (let at = index; at < index + 4; at++) {
    const byte = source[at] as number;
    // Digits are 0x30 to 0x39; of letters of both cases the low half is 1 to 6.
    value = value * 16 + (byte <= 0x39 ? byte - ZERO : (byte & 0x0f) + 9);
  }
  return value;
}

function putNumber(source: Buffer, index: number, to: number, raw: Buffer, at: number): number {
  const negative = source[index] === MINUS;
  const first = negative ? index + 1 : index;
  let look = first;
  let value = 0;
  let digit = 0;
  while (look < to && (digit = (source[look] as number) - ZERO) >= 0 && digit <= 9) {
    value = value * 10 + digit;
    look++;
  }
  next = look;
  if (look === first) {
    next = index;
    return at;
  }
  const behind = look < to ? (source[look] as number) : 0;
  if (behind === POINT || (behind | 0x20) === 0x65) {
    return putDouble(source, index, first, to, raw, at, value);
  }
  if (look - first <= EXACT_DIGITS) return putInteger(raw, at, negative ? -value : value);
  return putHuge(source.toString('latin1', index, look), raw, at);
}

/** A number with point or exponent; `whole` is what stands before the point, read as a double. */
function putDouble(
  source: Buffer,
  index: number,
  first: number,
  to: number,
  raw: Buffer,
  at: number,
  whole: number,
): number {
  let look = next;
  let value = whole;
  let decimals = 0;
  if (source[look] === POINT) {
    look++;
    const start = look;
    let digit = 0;
    while (look < to && (digit = (source[look] as number) - ZERO) >= 0 && digit <= 9) {
      value = value * 10 + digit;
      look++;
    }
    decimals = look - start;
  }
  const isSimple =
    look - first <= EXACT_DIGITS + 1 && !(look < to && ((source[look] as number) | 0x20) === 0x65);
  if (isSimple) {
    next = look;
    value /= POWERS_OF_TEN[decimals] as number;
    raw[at] = 0xcb;
    return raw.writeDoubleBE(first === index ? value : -value, at + 1);
  }
  while (look < to && isOfNumber(source[look] as number)) look++;
  next = look;
  const text = source.toString('latin1', index, look);
  const exact = Number(text);
  if (!Number.isFinite(exact)) return putAscii(text, raw, at);
  raw[at] = 0xcb;
  return raw.writeDoubleBE(exact, at + 1);
}

function isOfNumber(byte: number): boolean {
  return (
    (byte >= ZERO && byte <= 0x39) ||
    byte === 0x2b ||
    byte === MINUS ||
    byte === POINT ||
    (byte | 0x20) === 0x65
  );
}

/** An integer of more digits than a double may hold. */
function putHuge(text: string, raw: Buffer, at: number): number {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return putInteger(raw, at, number);
  const value = BigInt(text);
  if (value < MIN_INT64 || value > MAX_UINT64) return putAscii(text, raw, at);
  if (value >= 0n) {
    raw[at] = 0xcf;
    return raw.writeBigUInt64BE(value, at + 1);
  }
  raw[at] = 0xd3;
  return raw.writeBigInt64BE(value, at + 1);
}

function putAscii(text: string, raw: Buffer, at: number): number {
  const put = putTextHead(raw, at, text.length);
  return put + raw.write(text, put, 'latin1');
}
