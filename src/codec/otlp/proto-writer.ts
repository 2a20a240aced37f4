/** What the library's writer lacks: integers of 64 bits without loss, and text that is right beyond the basic plane. */
import type { PbfWriter } from 'pbf';
import type { OtlpMap, OtlpValue } from './model.ts';
import { Double, isInt64 } from './model.ts';
import { FIXED64, LENGTH, VARINT } from './proto-reader.ts';

/** From here on one call into the runtime is cheaper than a loop over the characters. */
const LONG_TEXT = 48;

/** Text as UTF-8. Not by the library's own encoder, which writes other characters for those beyond U+1FFFF (pbf 5.1.2). */
export function writeText(writer: PbfWriter, field: number, text: string): void {
  writer.writeTag(field, LENGTH);
  if (text.length < LONG_TEXT && writeAscii(writer, text)) return;
  writer.writeBytes(Buffer.from(text, 'utf8'));
}

/** Writes length and bytes of a short text; false, and nothing is written, where it is not all ASCII. */
function writeAscii(writer: PbfWriter, text: string): boolean {
  writer.realloc(text.length + 1);
  const { buf, pos } = writer;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return false;
    buf[pos + 1 + at] = code;
  }
  // A length below 128 is one byte.
  buf[pos] = text.length;
  writer.pos = pos + 1 + text.length;
  return true;
}

export function writeFixed64(writer: PbfWriter, field: number, value: bigint): void {
  writer.writeTag(field, FIXED64);
  writer.realloc(8);
  writer.dataView.setBigUint64(writer.pos, value, true);
  writer.pos += 8;
}

function writeInt64(writer: PbfWriter, field: number, value: bigint): void {
  writer.writeTag(field, VARINT);
  writer.realloc(10);
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    writer.buf[writer.pos++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  writer.buf[writer.pos++] = Number(rest);
}

/** The fields of an AnyValue. Integers beyond 64 bits are text; null is a value without fields. */
export function writeValue(value: OtlpValue, writer: PbfWriter): void {
  if (typeof value === 'string') writeText(writer, 1, value);
  else if (typeof value === 'boolean') writer.writeBooleanField(2, value);
  else if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) writer.writeVarintField(3, value);
    else writer.writeDoubleField(4, value);
  } else if (typeof value === 'bigint') {
    if (isInt64(value)) writeInt64(writer, 3, value);
    else writeText(writer, 1, String(value));
  } else if (value === null) return;
  else if (value instanceof Double) writer.writeDoubleField(4, value.value);
  else if (isList(value)) writer.writeMessage(5, writeItems, value);
  else writer.writeMessage(6, writeMembers, value);
}

function isList(value: OtlpMap | readonly OtlpValue[]): value is readonly OtlpValue[] {
  return Array.isArray(value);
}

function writeItems(items: readonly OtlpValue[], writer: PbfWriter): void {
  for (const item of items) writer.writeMessage(1, writeValue, item);
}

function writeMembers(map: OtlpMap, writer: PbfWriter): void {
  writeKeyValues(writer, 1, map);
}

/** The members of a map, each a KeyValue of that field. */
export function writeKeyValues(writer: PbfWriter, field: number, map: OtlpMap): void {
  for (const key of Object.keys(map)) {
    writer.writeTag(field, LENGTH);
    writer.writeRawMessage(writeKeyValue, { key, value: map[key] as OtlpValue });
  }
}

function writeKeyValue({ key, value }: { key: string; value: OtlpValue }, writer: PbfWriter): void {
  writeText(writer, 1, key);
  writer.writeMessage(2, writeValue, value);
}
