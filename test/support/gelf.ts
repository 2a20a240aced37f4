/**
 * A strict stand-in of a GELF server's decoder, written from the specification of GELF 1.1: there is no Graylog among the servers that can
 * be had here. Throws for whatever the specification, or Graylog's own checks, do not allow.
 *
 * Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
 */
import { gunzipSync, inflateSync } from 'node:zlib';
import { parseExact } from '../../src/event/json.ts';
import type { LogRecord } from '../../src/event/record.ts';

const MAX_CHUNKS = 128;

/** Reads one message, plain or compressed. */
export function readGelf(bytes: Buffer): LogRecord {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(decompressed(bytes));
  const message = parseExact(text) as LogRecord;
  if (message['version'] !== '1.1') throw new Error('The version is not 1.1.');
  for (const field of ['host', 'short_message']) {
    const value = message[field];
    if (typeof value !== 'string' || value.trim() === '') throw new Error(`${field} is no text.`);
  }
  const { timestamp, level, full_message: full } = message;
  if (timestamp !== undefined && typeof timestamp !== 'number' && typeof timestamp !== 'bigint')
    throw new Error('The timestamp is no number.');
  if (level !== undefined && (!Number.isInteger(level) || Number(level) < 0 || Number(level) > 7))
    throw new Error('The level is none of syslog.');
  if (full !== undefined && typeof full !== 'string') throw new Error('full_message is no text.');
  for (const [name, value] of Object.entries(message)) {
    if (!name.startsWith('_')) {
      if (!['version', 'host', 'short_message', 'full_message', 'timestamp', 'level'].includes(name))
        throw new Error(`There is no field ${name}.`);
      continue;
    }
    if (!/^_[\w.-]*$/.test(name) || name === '_id') throw new Error(`${name} is no name of a field.`);
    if (!['string', 'number', 'bigint'].includes(typeof value))
      throw new Error(`${name} is no text or number.`);
  }
  return message;
}

function decompressed(bytes: Buffer): Buffer {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gunzipSync(bytes);
  if (bytes[0] === 0x78) return inflateSync(bytes);
  return bytes;
}

/** Puts the messages of datagrams together; chunks may come in any order. */
export class GelfAssembler {
  readonly messages: LogRecord[] = [];
  private readonly open = new Map<string, { count: number; pieces: Map<number, Buffer> }>();
  private readonly seen = new Set<string>();

  take(datagram: Buffer): void {
    if (datagram[0] !== 0x1e || datagram[1] !== 0x0f) {
      this.messages.push(readGelf(datagram));
      return;
    }
    if (datagram.length <= 12) throw new Error('A chunk has no payload.');
    const id = datagram.toString('hex', 2, 10);
    const number = datagram[10] as number;
    const count = datagram[11] as number;
    if (count === 0 || count > MAX_CHUNKS || number >= count) throw new Error(`Chunk ${number} of ${count}.`);
    if (this.seen.has(id)) throw new Error(`The message id ${id} comes again.`);
    const message = this.open.get(id) ?? { count, pieces: new Map<number, Buffer>() };
    if (message.count !== count || message.pieces.has(number))
      throw new Error(`Two chunks ${number} of ${id}.`);
    message.pieces.set(number, datagram.subarray(12));
    this.open.set(id, message);
    if (message.pieces.size < count) return;
    this.open.delete(id);
    this.seen.add(id);
    const pieces = Array.from({ length: count }, (_, at) => message.pieces.get(at) as Buffer);
    this.messages.push(readGelf(Buffer.concat(pieces)));
  }

  /** Messages of which not all chunks have come. */
  get unfinished(): number {
    return this.open.size;
  }
}

/** The messages of a TCP stream: a NUL byte behind each, nothing compressed. */
export function gelfStream(bytes: Buffer): LogRecord[] {
  const messages: LogRecord[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end !== -1; end = bytes.indexOf(0, start)) {
    if (bytes[start] !== 123) throw new Error('A message is no plain JSON object.');
    messages.push(readGelf(bytes.subarray(start, end)));
    start = end + 1;
  }
  if (start < bytes.length) throw new Error('The last message has no end.');
  return messages;
}
