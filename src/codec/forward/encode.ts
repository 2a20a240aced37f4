/**
 * What a sender says in the forward protocol.
 *
 *     Forward                  [tag, [event, …], options?]
 *     CompressedPackedForward  [tag, gzip of the events one behind the other, options]
 *     options                  {"chunk": id, "size": events, "compressed": "gzip", …}
 *     answer to a chunk        {"ack": id}
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#event-modes
 */
import { randomBytes } from 'node:crypto';
import type { ByteSink } from '../bytes.ts';
import { MsgpackError, MsgpackReader } from '../msgpack-reader.ts';
import { writeBinaryHead, writeInteger, writeListHead, writeMapHead, writeText } from '../msgpack-write.ts';

export interface MessageOptions {
  /** Asks for an answer with this id. */
  chunk?: string | undefined;
  /** Number of events. */
  size: number;
  compressed?: 'gzip' | undefined;
  /** Further ones. */
  extra: readonly (readonly [string, string])[];
}

/** 128 random bits, as the protocol wants them. */
export function newChunkId(): string {
  return randomBytes(16).toString('base64');
}

/** Begins a message whose events follow one by one. */
export function beginForward(sink: ByteSink, tag: string, events: number, hasOptions: boolean): void {
  writeListHead(sink, hasOptions ? 3 : 2);
  writeText(sink, tag);
  writeListHead(sink, events);
}

/** Begins a message whose events follow as binary data. */
export function beginPacked(sink: ByteSink, tag: string, bytes: number): void {
  writeListHead(sink, 3);
  writeText(sink, tag);
  writeBinaryHead(sink, bytes);
}

/** Ends a message. */
export function writeOptions(sink: ByteSink, { chunk, size, compressed, extra }: MessageOptions): void {
  writeMapHead(sink, 1 + (chunk === undefined ? 0 : 1) + (compressed === undefined ? 0 : 1) + extra.length);
  // First, as some receivers look for it there.
  if (chunk !== undefined) writePair(sink, 'chunk', chunk);
  writeText(sink, 'size');
  writeInteger(sink, size);
  if (compressed !== undefined) writePair(sink, 'compressed', compressed);
  for (const [key, value] of extra) writePair(sink, key, value);
}

function writePair(sink: ByteSink, key: string, value: string): void {
  writeText(sink, key);
  writeText(sink, value);
}

/** The id of the chunk that an answer is about. Throws {@link MsgpackError} when it is none. */
export function decodeAck(bytes: Buffer): string {
  const reader = new MsgpackReader(bytes);
  for (let pairs = reader.readMapHead(); pairs > 0; pairs--) {
    const key = reader.readBytes().toString();
    const value = reader.read();
    if (key === 'ack' && typeof value === 'string') return value;
  }
  throw new MsgpackError('The answer has no ack.');
}
