/** Sockets that receive by UDP: one that takes many datagrams by a system call where koffi is there, and Node.js's own elsewhere. */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { InputContext } from '../../src/plugin.ts';
import { BURST, BURST_BYTES } from './datagram-sink.ts';
import type { Sender } from './datagram-sink.ts';
import { Drain } from './native-datagrams/drain.ts';
import { loadUdp } from './native-datagrams/udp.ts';
import type { UdpSocket } from './native-datagrams/udp.ts';

/** Where to listen; `address` is a number already. */
export interface DatagramPlace {
  address: string;
  port: number;
  /** Lets other processes listen on the same port. */
  sharePort: boolean;
}

export interface DatagramHandler {
  /** Takes a datagram; its memory and its sender are the receiver's again when this returns. */
  take: (bytes: Buffer, sender: Sender) => void;
  /** Those that came together are taken. */
  over: () => void;
}

export interface DatagramReceiver {
  /** Where it is bound. */
  address(): Sender;
  setRecvBufferSize(bytes: number): void;
  getRecvBufferSize(): number;
  /** Datagrams come from here on. `receiveBufferBytes`: what can wait until it is taken. */
  start(receiveBufferBytes: number): void;
  close(): Promise<void>;
}

/**
 * While datagrams come one upon the other they are taken so often, at the most. Milliseconds.
 *
 * It is less where the receive buffer would not hold half a million small datagrams a second for that time: with the one that Linux gives by
 * itself (212,992 bytes, of which each takes 416) a millisecond, with a smaller one it is none.
 */
const LONGEST_PACE_MS = 5;
const BYTES_PER_MS = 500 * 416;

/** Binds a socket. Rejects with Node.js's error, or one with the same code, when the place cannot be had. */
export async function bindDatagrams(
  place: DatagramPlace,
  handler: DatagramHandler,
  context: InputContext,
): Promise<DatagramReceiver> {
  const bind = await loadUdp().catch((error: unknown) => {
    context.log.info(
      { error },
      'Takes datagrams one by one, which costs more CPU: the optional package koffi, by which many are taken at a time, cannot be used',
    );
    return undefined;
  });
  return bind === undefined
    ? bindOfNode(place, handler, context)
    : new ManyAtATime(bind(place), handler, context);
}

/** What both have in common. */
class Receiver<S extends Pick<UdpSocket, 'address' | 'setRecvBufferSize' | 'getRecvBufferSize'>> {
  protected readonly socket: S;
  protected readonly handler: DatagramHandler;

  constructor(socket: S, handler: DatagramHandler) {
    this.socket = socket;
    this.handler = handler;
  }

  address(): Sender {
    return this.socket.address();
  }

  setRecvBufferSize(bytes: number): void {
    this.socket.setRecvBufferSize(bytes);
  }

  getRecvBufferSize(): number {
    return this.socket.getRecvBufferSize();
  }
}

class ManyAtATime extends Receiver<UdpSocket> implements DatagramReceiver {
  private readonly context: InputContext;
  private drain: Drain | undefined;

  constructor(socket: UdpSocket, handler: DatagramHandler, context: InputContext) {
    super(socket, handler);
    this.context = context;
  }

  start(receiveBufferBytes: number): void {
    const { socket, handler } = this;
    const take = () => socket.receive(handler.take, BURST, BURST_BYTES);
    // Nobody can be told to wait.
    const flush = () => {
      handler.over();
      return undefined;
    };
    const paceMs = Math.min(LONGEST_PACE_MS, Math.floor(receiveBufferBytes / BYTES_PER_MS));
    this.drain = new Drain({ socket, take, flush, paceMs }, this.context);
    this.drain.start();
  }

  close(): Promise<void> {
    this.drain?.close();
    this.socket.close();
    return Promise.resolve();
  }
}

async function bindOfNode(
  { address, port, sharePort }: DatagramPlace,
  handler: DatagramHandler,
  context: InputContext,
): Promise<OneByOne> {
  // One socket for both kinds, as with TCP.
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4', reusePort: sharePort });
  try {
    const receiver = new OneByOne(socket, handler);
    socket.bind({ address, port });
    await once(socket, 'listening');
    socket.on('error', (error) => context.log.error({ error }, 'Cannot receive datagrams; will try again'));
    return receiver;
  } catch (error) {
    socket.close();
    throw error;
  }
}

class OneByOne extends Receiver<Socket> implements DatagramReceiver {
  private isOverDue = false;

  constructor(socket: Socket, handler: DatagramHandler) {
    super(socket, handler);
    socket.on('message', this.onMessage);
  }

  /** It receives since it is bound. */
  start(): void {}

  close(): Promise<void> {
    this.socket.removeAllListeners('message');
    return new Promise((resolve) => {
      this.socket.close(resolve);
    });
  }

  private readonly onMessage = (bytes: Buffer, sender: Sender): void => {
    this.handler.take(bytes, sender);
    if (this.isOverDue) return;
    this.isOverDue = true;
    setImmediate(this.onTurn);
  };

  private readonly onTurn = (): void => {
    this.isOverDue = false;
    this.handler.over();
  };
}
