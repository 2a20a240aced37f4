/**
 * Unary gRPC over the receiver: one message in, one out, each behind five bytes, the status behind both.
 *
 * Sources: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md , https://grpc.io/docs/guides/status-codes/
 */
import { decompress } from '../../shared/http-receiver/body.ts';
import type { BodyLimits } from '../../shared/http-receiver/body.ts';
import type { Answer } from '../../shared/http-receiver/protocol.ts';
import { Refusal } from '../../shared/http-receiver/refusal.ts';
import type { Room } from '../../shared/http-receiver/room.ts';

/** Whether the message is compressed, and its length. Bytes. */
const HEAD = 5;

export const OK = 0;
const INVALID_ARGUMENT = 3;
const INTERNAL = 13;
/** By the HTTP status that says the same. */
const CODES: ReadonlyMap<number, number> = new Map([
  [401, 16],
  [403, 7],
  [404, 5],
  [408, 4],
  [413, 8],
  [429, 14],
  [501, 12],
  [503, 14],
]);

/** The gRPC code that says the same as an HTTP status. */
export function grpcCodeOf(status: number): number {
  return CODES.get(status) ?? (status < 500 ? INVALID_ARGUMENT : INTERNAL);
}

export function isGrpc(contentType: string): boolean {
  return contentType === 'application/grpc' || contentType === 'application/grpc+proto';
}

/** What a service of OTLP that is not ours is for. */
export function otherService(path: string): string | undefined {
  return /^\/opentelemetry\.proto\.collector\.(metrics|traces?|profiles)\./.exec(path)?.[1];
}

/** The message of a unary request. Rejects with {@link Refusal}. */
export async function messageOf(
  body: Buffer,
  encoding: string,
  room: Room,
  limits: BodyLimits,
): Promise<Buffer> {
  const length = body.length < HEAD ? undefined : body.readUInt32BE(1);
  if (length !== body.length - HEAD) throw new Refusal(400, 'The request is not one message of gRPC.');
  const message = body.subarray(HEAD);
  if (body[0] === 0) return message;
  const plain = decompress(message, encoding, room, limits);
  if (plain === undefined)
    throw new Refusal(501, 'This grpc-encoding is not taken: gzip, deflate, zstd and snappy are.');
  return plain;
}

/** A message behind its length. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** An answer with a status of gRPC; HTTP's own is always 200. */
export function grpcAnswer(code: number, message: string, body: Buffer | string): Answer {
  return {
    status: 200,
    body,
    headers: [['content-type', 'application/grpc']],
    trailers: { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(message) },
    contentType: 'application/grpc',
  };
}
