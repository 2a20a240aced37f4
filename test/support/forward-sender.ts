/** A client of the forward protocol that says exactly what it sends, with the library's MessagePack and nothing of ours. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { decodeMultiStream, Encoder, ExtData } from '@msgpack/msgpack';

const encoder = new Encoder({ useBigInt64: true });

/** MessagePack of a value, by the library. */
export function pack(value: unknown): Buffer {
  return Buffer.from(encoder.encode(value));
}

export function eventTime(seconds: number, nanos = 0): ExtData {
  const data = Buffer.alloc(8);
  data.writeUInt32BE(seconds);
  data.writeUInt32BE(nanos, 4);
  return new ExtData(0, data);
}

export class Sender {
  readonly socket: Socket;
  readonly connected: Promise<unknown>;
  private readonly answers: AsyncGenerator;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    this.connected = once(socket, 'connect');
    this.answers = decodeMultiStream(socket);
  }

  /** Sends values, or bytes as they are. */
  send(...values: unknown[]): void {
    this.socket.write(Buffer.concat(values.map((value) => (Buffer.isBuffer(value) ? value : pack(value)))));
  }

  /** The next answer; undefined when the connection is closed instead. */
  async answer(): Promise<unknown> {
    const { value } = await this.answers.next().catch(() => ({ value: undefined }));
    return value as unknown;
  }

  /** Resolves when the input has closed the connection. */
  async closed(): Promise<void> {
    this.socket.resume();
    if (!this.socket.closed) await once(this.socket, 'close');
  }

  close(): void {
    this.socket.destroy();
  }
}

const sha512 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Ends the handshake as a client should; resolves with the PONG. */
export async function shakeHands(
  sender: Sender,
  {
    key,
    user = '',
    password = '',
    hostname = 'client.example',
  }: { key: string; user?: string; password?: string; hostname?: string },
): Promise<{ pong: unknown; digest: string }> {
  const [, { nonce, auth }] = (await sender.answer()) as [string, { nonce: string; auth: string }];
  const salt = 'salt of the client';
  sender.send([
    'PING',
    hostname,
    salt,
    sha512(salt, hostname, nonce, key),
    user,
    auth === '' ? '' : sha512(auth, user, password),
  ]);
  return { pong: await sender.answer(), digest: sha512(salt, 'localhost', nonce, key) };
}
