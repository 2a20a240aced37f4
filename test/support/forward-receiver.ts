/**
 * A receiver of the forward protocol, with the library's MessagePack and nothing of ours: notes what it gets, acknowledges, and asks for
 * a shared key where it has one.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { decodeMulti, decodeMultiStream, encode, ExtData } from '@msgpack/msgpack';
import { setKey } from '../../src/event/record.ts';
import type { LogRecord, Value } from '../../src/event/record.ts';
import { tlsFile } from '../net/servers.ts';

export interface ReceivedEvent {
  seconds: number;
  /** Undefined where the time is a number. */
  nanos: number | undefined;
  metadata: unknown;
  record: unknown;
}

export interface ReceivedMessage {
  tag: string;
  mode: 'message' | 'forward' | 'packed' | 'gzip';
  events: ReceivedEvent[];
  options: Record<string, unknown> | undefined;
}

export interface ReceiverOptions {
  /** What to answer with a message; by default the acknowledgement that it asks for. */
  answer?: (socket: Socket, message: ReceivedMessage, index: number) => void;
  sharedKey?: string;
  users?: Record<string, string>;
  hostname?: string;
  /** Name of a certificate in test/net/tls. */
  certificate?: string;
  path?: string;
  /** What is said in place of the PONG that the PING deserves. */
  pong?: (right: unknown[], ping: unknown[]) => unknown[] | undefined;
  /** Raw bytes as a nonce, as Fluent Bit has them. */
  rawNonce?: boolean;
}

/** The library refuses the key `__proto__`: it goes by another name through there. */
const PROTO = '\u0000proto';
const READING = {
  context: undefined,
  useBigInt64: true,
  keyDecoder: {
    canBeCached: () => true,
    decode(bytes: Uint8Array, offset: number, length: number): string {
      const key = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length).toString();
      return key === '__proto__' ? PROTO : key;
    },
  },
} as const;

/** As it is in the pipeline: integers are bigints only where they must, and odd keys have their name back. */
function asRecord(value: unknown): Value {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(asRecord);
  if (typeof value !== 'object' || value === null) return value as Value;
  const record: LogRecord = {};
  for (const [key, inner] of Object.entries(value))
    setKey(record, key === PROTO ? '__proto__' : key, asRecord(inner));
  return record;
}

const sha512 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

export class ForwardReceiver {
  readonly messages: ReceivedMessage[] = [];
  readonly pings: unknown[][] = [];
  connections = 0;
  private readonly options: ReceiverOptions;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  constructor(options: ReceiverOptions = {}) {
    this.options = options;
    const { certificate } = options;
    const take = (socket: Socket): void => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
      // A connection that breaks off in a message is none of its business.
      this.serve(socket).catch(() => {});
    };
    this.server =
      certificate === undefined
        ? createServer(take)
        : createTlsServer(
            {
              cert: readFileSync(tlsFile(`${certificate}.pem`)),
              key: readFileSync(tlsFile(`${certificate}.key`)),
            },
            take,
          );
  }

  async open(port = 0): Promise<this> {
    const { path } = this.options;
    this.server.listen(path === undefined ? { host: '127.0.0.1', port } : { path });
    await once(this.server, 'listening');
    return this;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get records(): unknown[] {
    return this.messages.flatMap(({ events }) => events.map(({ record }) => record));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    const closed = once(this.server, 'close');
    this.server.close();
    await closed;
  }

  private async serve(socket: Socket): Promise<void> {
    const values = decodeMultiStream(socket, READING);
    if (this.options.sharedKey !== undefined && !(await this.shakeHands(socket, values))) {
      socket.end();
      return;
    }
    for await (const value of values) {
      const message = messageOf(value as unknown[]);
      this.messages.push(message);
      const { answer = acknowledge } = this.options;
      answer(socket, message, this.messages.length - 1);
    }
  }

  private async shakeHands(socket: Socket, values: AsyncGenerator): Promise<boolean> {
    const { sharedKey = '', users, hostname = 'receiver.example', pong, rawNonce } = this.options;
    const nonce = rawNonce === true ? randomBytes(16) : randomBytes(16).toString('hex');
    const auth = users === undefined ? '' : randomBytes(16).toString('hex');
    socket.write(encode(['HELO', { keepalive: true, nonce, auth }]));
    const { value } = (await values.next()) as { value: [string, string, string, string, string, string] };
    this.pings.push(value);
    const [, client, salt, digest, user, password] = value;
    let reason = '';
    if (digest !== sha512(salt, client, nonce, sharedKey)) reason = 'shared_key mismatch';
    else if (users !== undefined && password !== sha512(auth, user, users[user] ?? ''))
      reason = 'username/password mismatch';
    const right =
      reason === ''
        ? ['PONG', true, '', hostname, sha512(salt, hostname, nonce, sharedKey)]
        : ['PONG', false, reason, '', ''];
    const said = pong === undefined ? right : pong(right, value);
    if (said === undefined) return false;
    socket.write(encode(said));
    return reason === '';
  }
}

/** What a receiver should answer. */
export function acknowledge(socket: Socket, { options }: ReceivedMessage): void {
  if (options?.['chunk'] !== undefined) socket.write(encode({ ack: options['chunk'] }));
}

function messageOf([tag, second, third, fourth]: unknown[]): ReceivedMessage {
  if (Array.isArray(second)) {
    return { tag: tag as string, mode: 'forward', events: second.map(eventOf), options: optionsOf(third) };
  }
  if (second instanceof Uint8Array) {
    const options = optionsOf(third);
    const isGzip = options?.['compressed'] === 'gzip';
    const bytes = isGzip ? gunzipSync(second) : second;
    const events = [...decodeMulti(bytes, READING)].map(eventOf);
    return { tag: tag as string, mode: isGzip ? 'gzip' : 'packed', events, options };
  }
  return {
    tag: tag as string,
    mode: 'message',
    events: [eventOf([second, third])],
    options: optionsOf(fourth),
  };
}

function optionsOf(value: unknown): Record<string, unknown> | undefined {
  return (value ?? undefined) as Record<string, unknown> | undefined;
}

function eventOf(event: unknown): ReceivedEvent {
  const [head, record] = event as [unknown, unknown];
  const [time, metadata] = Array.isArray(head) ? (head as [unknown, unknown]) : [head, undefined];
  if (time instanceof ExtData) {
    const data = Buffer.from(time.data as Uint8Array);
    return { seconds: data.readUInt32BE(0), nanos: data.readUInt32BE(4), metadata, record: asRecord(record) };
  }
  return { seconds: Number(time), nanos: undefined, metadata, record: asRecord(record) };
}
