/**
 * The handshake of the forward protocol: who has the shared key, and the password of a user. Neither goes over the wire, only digests of
 * them with what either side drew at random.
 *
 *     server → client   ["HELO", {"nonce": n, "auth": a, "keepalive": true}]      a is empty where no user is asked for
 *     client → server   ["PING", client's name, salt, key digest, user, password digest]
 *     server → client   ["PONG", whether, why not, server's name, key digest]
 *
 *     key digest        SHA-512 of salt, the sender's name, n, shared key; in hexadecimal
 *     password digest   SHA-512 of a, user, password; in hexadecimal
 *
 * Source: https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1#handshake-messages
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { MsgpackError, MsgpackReader } from '../msgpack-reader.ts';
import { messageOf, writeBoolean, writeListHead, writeMapHead, writeText } from '../msgpack-write.ts';

/** No message of the handshake is longer. Bytes. */
export const MAX_HANDSHAKE_BYTES = 4096;

export interface Helo {
  nonce: Buffer;
  /** Salt of the password's digest; empty where no user is asked for. */
  auth: Buffer;
}

export interface Ping {
  hostname: string;
  salt: Buffer;
  keyDigest: string;
  user: string;
  passwordDigest: string;
}

export interface Pong {
  accepted: boolean;
  reason: string;
  hostname: string;
  keyDigest: string;
}

/** A random text, to be used once: a nonce or a salt. Text, since not every peer takes other bytes. */
export function randomText(): Buffer {
  return Buffer.from(randomBytes(18).toString('base64'));
}

/** What proves to have the shared key; `hostname` is that of whoever proves it. */
export function keyDigest(salt: Buffer, hostname: string, nonce: Buffer, key: string): string {
  return createHash('sha512').update(salt).update(hostname).update(nonce).update(key).digest('hex');
}

/** What proves to have a user's password. */
export function passwordDigest(auth: Buffer, user: string, password: string): string {
  return createHash('sha512').update(auth).update(user).update(password).digest('hex');
}

/** Compares digests in constant time. */
export function isSameDigest(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

export function encodeHelo({ nonce, auth }: Helo): Buffer {
  return messageOf((sink) => {
    writeListHead(sink, 2);
    writeText(sink, 'HELO');
    writeMapHead(sink, 3);
    writeText(sink, 'nonce');
    writeText(sink, nonce.toString());
    writeText(sink, 'auth');
    writeText(sink, auth.toString());
    writeText(sink, 'keepalive');
    writeBoolean(sink, true);
  });
}

/** Throws {@link MsgpackError} when it is none. */
export function decodeHelo(bytes: Buffer): Helo {
  const reader = new MsgpackReader(bytes);
  expectName(reader, reader.readListHead(), 2, 'HELO');
  const helo: Helo = { nonce: Buffer.alloc(0), auth: Buffer.alloc(0) };
  for (let pairs = reader.readMapHead(); pairs > 0; pairs--) {
    const key = reader.readBytes().toString();
    if ((key === 'nonce' || key === 'auth') && reader.peek() === 'bytes') helo[key] = reader.readBytes();
    else reader.read();
  }
  if (helo.nonce.length === 0) throw new MsgpackError('The HELO has no nonce.');
  return helo;
}

export function encodePing({
  hostname,
  salt,
  keyDigest: digest,
  user,
  passwordDigest: password,
}: Ping): Buffer {
  return messageOf((sink) => {
    writeListHead(sink, 6);
    for (const text of ['PING', hostname, salt.toString(), digest, user, password]) writeText(sink, text);
  });
}

/** Throws {@link MsgpackError} when it is none. */
export function decodePing(bytes: Buffer): Ping {
  const reader = new MsgpackReader(bytes);
  expectName(reader, reader.readListHead(), 6, 'PING');
  return {
    hostname: reader.readBytes().toString(),
    salt: reader.readBytes(),
    keyDigest: reader.readBytes().toString(),
    user: reader.readBytes().toString(),
    passwordDigest: reader.readBytes().toString(),
  };
}

export function encodePong({ accepted, reason, hostname, keyDigest: digest }: Pong): Buffer {
  return messageOf((sink) => {
    writeListHead(sink, 5);
    writeText(sink, 'PONG');
    writeBoolean(sink, accepted);
    for (const text of [reason, hostname, digest]) writeText(sink, text);
  });
}

/** Throws {@link MsgpackError} when it is none. */
export function decodePong(bytes: Buffer): Pong {
  const reader = new MsgpackReader(bytes);
  expectName(reader, reader.readListHead(), 4, 'PONG');
  const accepted = reader.read() === true;
  const reason = reader.readBytes().toString();
  // Who refuses says no more than why.
  if (!accepted) return { accepted, reason, hostname: '', keyDigest: '' };
  return {
    accepted,
    reason,
    hostname: reader.readBytes().toString(),
    keyDigest: reader.readBytes().toString(),
  };
}

function expectName(reader: MsgpackReader, length: number, least: number, name: string): void {
  if (length < least || reader.readBytes().toString() !== name)
    throw new MsgpackError(`A ${name} of the forward protocol is expected.`);
}
