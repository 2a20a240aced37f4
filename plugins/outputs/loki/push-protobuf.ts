/**
 * A push request as protobuf:
 *
 *     PushRequest { Stream streams = 1 … }
 *     Stream      { string labels = 1: `{job="app"}`; Entry entries = 2 … }
 *     Entry       { Timestamp timestamp = 1; string line = 2; LabelPair structuredMetadata = 3 … }
 *     Timestamp   { int64 seconds = 1; int32 nanos = 2 }
 *     LabelPair   { string name = 1; string value = 2 }
 *
 * Lengths stand in front, so sizes are counted before anything is written; lines are copied as they are.
 *
 * Source: https://github.com/grafana/loki/blob/main/pkg/push/push.proto, https://protobuf.dev/programming-guides/encoding/
 */
import type { ByteSink } from '../../../src/plugin.ts';
import type { Entries } from './entries.ts';
import type { Pair } from './fields.ts';
import type { Stream } from './streams.ts';

/** Field numbers with the wire type: 2 is a length and bytes, 0 a number. */
const FIELD_1_BYTES = 0x0a;
const FIELD_2_BYTES = 0x12;
const FIELD_3_BYTES = 0x1a;
const FIELD_1_NUMBER = 0x08;
const FIELD_2_NUMBER = 0x10;
/** Tags, lengths and the time of an entry, at most. */
const AROUND_LINE = 48;
const LOW_BITS = 0x7f;
const MORE = 0x80;
/** Numbers below are shifted as 32-bit integers. */
const SMALL = 2 ** 31;

/** Appends the request with these streams. */
export function writeProtobufPush(streams: readonly Stream[], entries: Entries, sink: ByteSink): void {
  for (const stream of streams) {
    const labels = Buffer.from(labelText(stream.labels));
    let size = fieldSize(labels.length);
    for (const index of stream.entries) size += fieldSize(entrySize(entries, index));
    sink.reserve(AROUND_LINE + size);
    writeHead(sink, FIELD_1_BYTES, size);
    writeHead(sink, FIELD_1_BYTES, labels.length);
    sink.copy(labels, 0, labels.length);
    for (const index of stream.entries) writeEntry(entries, index, sink);
  }
}

/** Labels as the query language writes them; JSON escapes what it would. */
export function labelText(labels: readonly Pair[]): string {
  return `{${labels.map(([name, value]) => `${name}=${JSON.stringify(value.toWellFormed())}`).join(', ')}}`;
}

function writeEntry(entries: Entries, index: number, sink: ByteSink): void {
  const seconds = entries.seconds[index] as number;
  const nanos = entries.nanos[index] as number;
  const start = entries.starts[index] as number;
  const end = entries.ends[index] as number;
  const memory = entries.memories[entries.memory[index] as number] as Buffer;
  sink.reserve(AROUND_LINE + (end - start));
  const { raw } = sink;
  let to = sink.length;
  raw[to++] = FIELD_2_BYTES;
  to = writeNumber(raw, to, entrySize(entries, index));
  raw[to++] = FIELD_1_BYTES;
  raw[to++] = timeSize(seconds, nanos);
  raw[to++] = FIELD_1_NUMBER;
  to = seconds < 0 ? writeNegative(raw, to, seconds) : writeNumber(raw, to, seconds);
  if (nanos !== 0) {
    raw[to++] = FIELD_2_NUMBER;
    to = writeNumber(raw, to, nanos);
  }
  raw[to++] = FIELD_2_BYTES;
  to = writeNumber(raw, to, end - start);
  to += memory.copy(raw, to, start, end);
  sink.length = to;
  const metadata = entries.metadata?.[index];
  if (metadata !== undefined) for (const pair of metadata) writePair(pair, sink);
}

function writePair([name, value]: Pair, sink: ByteSink): void {
  const nameLength = Buffer.byteLength(name);
  const valueLength = Buffer.byteLength(value);
  writeHead(sink, FIELD_3_BYTES, fieldSize(nameLength) + fieldSize(valueLength));
  writeHead(sink, FIELD_1_BYTES, nameLength);
  sink.text(name);
  writeHead(sink, FIELD_2_BYTES, valueLength);
  sink.text(value);
}

function entrySize(entries: Entries, index: number): number {
  const time = timeSize(entries.seconds[index] as number, entries.nanos[index] as number);
  let size = 2 + time + fieldSize(entries.lineLength(index));
  const metadata = entries.metadata?.[index];
  if (metadata !== undefined) {
    for (const [name, value] of metadata)
      size += fieldSize(fieldSize(Buffer.byteLength(name)) + fieldSize(Buffer.byteLength(value)));
  }
  return size;
}

function timeSize(seconds: number, nanos: number): number {
  return 1 + (seconds < 0 ? 10 : numberSize(seconds)) + (nanos === 0 ? 0 : 1 + numberSize(nanos));
}

/** Tag, length and content of a field. */
function fieldSize(length: number): number {
  return 1 + numberSize(length) + length;
}

function numberSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  if (value < 0x1000_0000) return 4;
  let size = 5;
  for (let rest = value / 2 ** 35; rest >= 1; rest /= 128) size++;
  return size;
}

function writeHead(sink: ByteSink, field: number, length: number): void {
  sink.reserve(AROUND_LINE);
  const { raw } = sink;
  raw[sink.length] = field;
  sink.length = writeNumber(raw, sink.length + 1, length);
}

/** Seven bits a byte, the lowest first. */
function writeNumber(raw: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= SMALL) {
    raw[at++] = (rest % 128) | MORE;
    rest = Math.floor(rest / 128);
  }
  while (rest > LOW_BITS) {
    raw[at++] = (rest & LOW_BITS) | MORE;
    rest >>>= 7;
  }
  raw[at++] = rest;
  return at;
}

/** The same of a negative number: all 64 bits of its two's complement. */
function writeNegative(raw: Buffer, start: number, value: number): number {
  let rest = BigInt.asUintN(64, BigInt(value));
  let at = start;
  for (; rest > 127n; rest >>= 7n) raw[at++] = Number(rest & 127n) | MORE;
  raw[at++] = Number(rest);
  return at;
}
