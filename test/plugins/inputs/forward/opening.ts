/** A listening forward input, what the pipeline would get of it, and a client that says exactly what it sends. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';
import { decodeMultiStream, Encoder, ExtData } from '@msgpack/msgpack';
import { onTestFinished } from 'vitest';
import forward from '../../../../plugins/inputs/forward.ts';
import type { Emit, Input, InputContext, Receipt } from '../../../../src/plugin.ts';
import { optionsOf } from '../../../contract/support.ts';
import { Collector, inputContext } from '../collecting.ts';
import type { TestInputContext } from '../collecting.ts';

export interface Opened {
  input: Input;
  context: TestInputContext;
  collector: Collector;
  port: number;
  /** Receipts of the batches, in order; empty while they are settled at once. */
  receipts: Receipt[];
  /** Whether each batch had a receipt. */
  asked: boolean[];
  reserved: () => number;
  /** Changes the bytes that can be reserved. */
  setRoom: (bytes: number) => void;
  dropped: Record<string, number>;
  count: (metric: string, labels?: Record<string, string>) => number;
  /** Connects a client; it is closed at the end of the test. */
  sender: (how?: NetConnectOpts) => Promise<Sender>;
}

export interface OpenOptions {
  options?: Record<string, string | string[]>;
  /** Keeps receipts instead of settling them at once. */
  hold?: boolean;
  /** Bytes that can be reserved. */
  room?: number;
}

/** Starts an input; it is stopped and closed at the end of the test. */
export async function open({
  options = {},
  hold = false,
  room = Infinity,
}: OpenOptions = {}): Promise<Opened> {
  let used = 0;
  let limit = room;
  const dropped: Record<string, number> = {};
  const context: TestInputContext & InputContext = {
    ...inputContext(),
    drop(reason, count) {
      dropped[reason] = (dropped[reason] ?? 0) + count;
    },
    reserve(bytes) {
      if (used + bytes > limit) return undefined;
      used += bytes;
      let held = bytes;
      return {
        release: () => {
          used -= held;
          held = 0;
        },
      };
    },
  };
  const collector = new Collector();
  const receipts: Receipt[] = [];
  const asked: boolean[] = [];
  const emit: Emit = (tag, batch, receipt) => {
    asked.push(receipt !== undefined);
    const pending = collector.emit(tag, batch, receipt);
    if (receipt !== undefined && hold) receipts.push(receipt);
    else receipt?.release();
    return pending;
  };
  const input = await forward.create(optionsOf(forward.options, { port: '0', ...options }), context);
  onTestFinished(async () => {
    await input.stop();
    await input.close?.();
  });
  await input.start(emit);
  const port = Number(
    context.log.lines.find(({ message }) => message.startsWith('Listening'))?.fields['port'] ?? 0,
  );
  return {
    input,
    context,
    collector,
    port,
    receipts,
    asked,
    reserved: () => used,
    setRoom: (bytes) => {
      limit = bytes;
    },
    dropped,
    count: (metric, labels = {}) =>
      context.metrics.counter(`tailrace_input_${metric}`, '').sum({ name: 'input.0', ...labels }),
    async sender(how) {
      const sender = new Sender(connect(how ?? { host: '127.0.0.1', port }));
      onTestFinished(() => sender.close());
      await sender.connected;
      return sender;
    },
  };
}

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
