/**
 * Writes single MessagePack values to a sink: the heads of lists, maps, texts and binary data, and small values. Each in its
 * shortest form.
 *
 * Source: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { ByteSink } from './bytes.ts';

const MAX_UINT32 = 0xffff_ffff;
const TWO_32 = 2 ** 32;
/** The longest number, and the longest head. */
const LONGEST = 9;

const scratch = new ByteSink();

/** What `write` writes, as bytes of their own; for what is short. */
export function messageOf(write: (sink: ByteSink) => void): Buffer {
  scratch.length = 0;
  write(scratch);
  return Buffer.from(scratch.bytes);
}

export function writeBoolean(sink: ByteSink, value: boolean): void {
  sink.byte(value ? 0xc3 : 0xc2);
}

/** A whole number that JavaScript holds exactly. */
export function writeInteger(sink: ByteSink, value: number): void {
  sink.reserve(LONGEST);
  sink.length = putInteger(sink.raw, sink.length, value);
}

/** The head of a list; so many values follow. */
export function writeListHead(sink: ByteSink, length: number): void {
  sink.reserve(LONGEST);
  sink.length = putContainerHead(sink.raw, sink.length, length, 0x90, 0xdc);
}

/** The head of a map; so many pairs follow. */
export function writeMapHead(sink: ByteSink, length: number): void {
  sink.reserve(LONGEST);
  sink.length = putContainerHead(sink.raw, sink.length, length, 0x80, 0xde);
}

/** The head of binary data; so many bytes follow. */
export function writeBinaryHead(sink: ByteSink, length: number): void {
  sink.reserve(LONGEST);
  const { raw } = sink;
  const at = sink.length;
  if (length <= 0xff) {
    raw[at] = 0xc4;
    raw[at + 1] = length;
    sink.length = at + 2;
  } else if (length <= 0xffff) {
    raw[at] = 0xc5;
    sink.length = raw.writeUInt16BE(length, at + 1);
  } else {
    raw[at] = 0xc6;
    sink.length = raw.writeUInt32BE(length, at + 1);
  }
}

/** A text, as UTF-8. */
export function writeText(sink: ByteSink, text: string): void {
  const length = Buffer.byteLength(text);
  sink.reserve(LONGEST + length);
  sink.length = putTextHead(sink.raw, sink.length, length);
  sink.text(text);
}

/** Puts a whole number; there is room for nine bytes. Returns where the next value goes. */
export function putInteger(raw: Buffer, at: number, value: number): number {
  if (value >= 0) {
    if (value <= 0x7f) {
      raw[at] = value;
      return at + 1;
    }
    if (value <= 0xff) {
      raw[at] = 0xcc;
      raw[at + 1] = value;
      return at + 2;
    }
    if (value <= 0xffff) {
      raw[at] = 0xcd;
      return raw.writeUInt16BE(value, at + 1);
    }
    if (value <= MAX_UINT32) {
      raw[at] = 0xce;
      return raw.writeUInt32BE(value, at + 1);
    }
    raw[at] = 0xcf;
    raw.writeUInt32BE(Math.floor(value / TWO_32), at + 1);
    return raw.writeUInt32BE(value % TWO_32, at + 5);
  }
  if (value >= -0x20) {
    raw[at] = value & 0xff;
    return at + 1;
  }
  if (value >= -0x80) {
    raw[at] = 0xd0;
    return raw.writeInt8(value, at + 1);
  }
  if (value >= -0x8000) {
    raw[at] = 0xd1;
    return raw.writeInt16BE(value, at + 1);
  }
  if (value >= -0x8000_0000) {
    raw[at] = 0xd2;
    return raw.writeInt32BE(value, at + 1);
  }
  raw[at] = 0xd3;
  const high = Math.floor(value / TWO_32);
  raw.writeInt32BE(high, at + 1);
  return raw.writeUInt32BE(value - high * TWO_32, at + 5);
}

/** Puts the head of a text of so many bytes; there is room for five. Returns where the text goes. */
export function putTextHead(raw: Buffer, at: number, length: number): number {
  if (length <= 31) {
    raw[at] = 0xa0 | length;
    return at + 1;
  }
  if (length <= 0xff) {
    raw[at] = 0xd9;
    raw[at + 1] = length;
    return at + 2;
  }
  if (length <= 0xffff) {
    raw[at] = 0xda;
    return raw.writeUInt16BE(length, at + 1);
  }
  raw[at] = 0xdb;
  return raw.writeUInt32BE(length, at + 1);
}

/** How long the head of a text of so many bytes is. */
export function textHeadLength(length: number): number {
  if (length <= 31) return 1;
  if (length <= 0xff) return 2;
  return length <= 0xffff ? 3 : 5;
}

/** Puts the head of a list or map: `short` is the head of an empty one, `long` the byte of one with a 16-bit length. */
export function putContainerHead(
  raw: Buffer,
  at: number,
  length: number,
  short: number,
  long: number,
): number {
  if (length <= 15) {
    raw[at] = short | length;
    return at + 1;
  }
  if (length <= 0xffff) {
    raw[at] = long;
    return raw.writeUInt16BE(length, at + 1);
  }
  raw[at] = long + 1;
  return raw.writeUInt32BE(length, at + 1);
}
