/**
 * GELF by UDP: a message is one datagram, or cut into chunks with a header of 12 bytes:
 *
 *     1e 0f | message id, 8 bytes | number of the chunk, from 0 | number of chunks, at most 128 | payload
 *
 * Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html
 */
import { randomFillSync } from 'node:crypto';
import type { ByteSink } from '../../../src/plugin.ts';

export const MAX_CHUNKS = 128;
export const HEADER_LENGTH = 12;
const MAGIC = [0x1e, 0x0f] as const;
const ID_AT = 2;
const ID_LENGTH = 8;
const NUMBER_AT = 10;

export class ChunkWriter {
  private readonly payload: number;
  private readonly header = Buffer.alloc(HEADER_LENGTH);

  /** `payload` is what a datagram takes beside its header, bytes. */
  constructor(payload: number) {
    this.payload = payload;
    this.header.set(MAGIC);
    // Other agents number their messages too: each begins somewhere of its own.
    randomFillSync(this.header, ID_AT, ID_LENGTH);
  }

  /** Appends a message as datagrams and their ends; answers with their number, 0 when it would be more than GELF allows. */
  write(message: Buffer, sink: ByteSink, ends: number[]): number {
    if (message.length <= this.payload) {
      sink.copy(message, 0, message.length);
      ends.push(sink.length);
      return 1;
    }
    const count = Math.ceil(message.length / this.payload);
    if (count > MAX_CHUNKS) return 0;
    const { header } = this;
    header.writeBigUInt64BE(BigInt.asUintN(64, header.readBigUInt64BE(ID_AT) + 1n), ID_AT);
    header[NUMBER_AT + 1] = count;
    for (let number = 0; number < count; number++) {
      header[NUMBER_AT] = number;
      sink.copy(header, 0, HEADER_LENGTH);
      sink.copy(message, number * this.payload, Math.min(message.length, (number + 1) * this.payload));
      ends.push(sink.length);
    }
    return count;
  }
}
