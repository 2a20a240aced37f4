/**
 * MessagePack to JSON text, from bytes to bytes: what {@link MsgpackReader} would read, without building it. A key that stands there
 * twice goes out twice.
 */
import { valueToJson } from '../event/json.ts';
import type { ByteSink } from './bytes.ts';
import { MAX_DEPTH } from './msgpack-reader.ts';
import type { MsgpackReader } from './msgpack-reader.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
/** `\u001f` */
const LONGEST_ESCAPE = 6;
/** Texts up to this are copied byte by byte. */
const SHORT = 48;
/** The digits of 32 bits, and a comma. */
const NUMBER_ROOM = 16;

/**
 * Appends the next value as JSON on one line. Where a text is no UTF-8, so is what is appended: decode it, as that gives U+FFFD. Throws
 * MsgpackError; what was appended until then stays.
 */
export function appendAsJson(reader: MsgpackReader, sink: ByteSink, depth = 0): void {
  const head = reader.bytes[reader.offset];
  if (head === undefined) throw reader.error('A value is expected');
  if (head <= 0x7f) {
    reader.offset++;
    appendDigits(sink, head);
  } else if (head <= 0x8f || head === 0xde || head === 0xdf) {
    appendMap(reader, sink, depth + 1);
  } else if (head <= 0x9f || head === 0xdc || head === 0xdd) {
    appendList(reader, sink, depth + 1);
  } else if (head <= 0xbf || (head >= 0xc4 && head <= 0xc6) || (head >= 0xd9 && head <= 0xdb)) {
    appendText(reader, sink);
  } else if (head >= 0xcc && head <= 0xce) {
    // Its value is a whole number of 32 bits at most.
    appendDigits(sink, reader.read() as number);
  } else {
    sink.text(valueToJson(reader.read()));
  }
}

function appendMap(reader: MsgpackReader, sink: ByteSink, depth: number): void {
  const length = reader.readMapHead();
  if (depth > MAX_DEPTH) throw reader.error(`Lists and maps nest deeper than ${MAX_DEPTH}`);
  sink.byte(0x7b);
  for (let index = 0; index < length; index++) {
    if (index > 0) sink.byte(0x2c);
    if (reader.peek() === 'bytes') appendText(reader, sink);
    else sink.text(JSON.stringify(reader.key()));
    sink.byte(0x3a);
    appendAsJson(reader, sink, depth);
  }
  sink.byte(0x7d);
}

function appendList(reader: MsgpackReader, sink: ByteSink, depth: number): void {
  const length = reader.readListHead();
  if (depth > MAX_DEPTH) throw reader.error(`Lists and maps nest deeper than ${MAX_DEPTH}`);
  sink.byte(0x5b);
  for (let index = 0; index < length; index++) {
    if (index > 0) sink.byte(0x2c);
    appendAsJson(reader, sink, depth);
  }
  sink.byte(0x5d);
}

function appendText(reader: MsgpackReader, sink: ByteSink): void {
  const length = reader.readBytesHead();
  const { bytes, offset } = reader;
  const stop = offset + length;
  sink.reserve(length + 2 + LONGEST_ESCAPE);
  let { raw } = sink;
  let put = sink.length;
  raw[put++] = QUOTE;
  let index = offset;
  // Where the plain run that is not copied yet begins.
  let run = offset;
  const isShort = length <= SHORT;
  while (index < stop) {
    const byte = bytes[index] as number;
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      if (isShort) raw[put++] = byte;
      index++;
      continue;
    }
    if (!isShort) put += bytes.copy(raw, put, run, index);
    put = putEscape(raw, put, byte);
    index++;
    run = index;
    sink.length = put;
    sink.reserve(stop - index + 1 + LONGEST_ESCAPE);
    ({ raw } = sink);
  }
  if (!isShort) put += bytes.copy(raw, put, run, stop);
  raw[put++] = QUOTE;
  sink.length = put;
  reader.offset = stop;
}

/** What follows the backslash of a short escape, by the byte that it stands for; 0 where there is none. */
const SHORT_ESCAPES = new Uint8Array(128);
for (const [meaning, letter] of [
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
  ['"', '"'],
  ['\\', '\\'],
] as const) {
  SHORT_ESCAPES[meaning.charCodeAt(0)] = letter.charCodeAt(0);
}

function putEscape(raw: Buffer, at: number, byte: number): number {
  const letter = SHORT_ESCAPES[byte] as number;
  raw[at] = BACKSLASH;
  if (letter !== 0) {
    raw[at + 1] = letter;
    return at + 2;
  }
  return at + 1 + raw.write(`u${byte.toString(16).padStart(4, '0')}`, at + 1, 'latin1');
}

/** A whole number of 32 bits at most. */
function appendDigits(sink: ByteSink, value: number): void {
  sink.reserve(NUMBER_ROOM);
  const { raw } = sink;
  let rest = value;
  let at = sink.length + digitsOf(value);
  sink.length = at;
  do {
    const tens = Math.floor(rest / 10);
    raw[--at] = ZERO + rest - tens * 10;
    rest = tens;
  } while (rest > 0);
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}
