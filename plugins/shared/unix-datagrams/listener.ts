/**
 * Listens on a datagram socket of the unix kind, as /dev/log is one. While the pipeline has no room nothing is read: then senders wait, as
 * they do for any syslog daemon, and nothing is lost.
 */
import { chmodSync } from 'node:fs';
import type { InputContext } from '../../../src/plugin.ts';
import { BURST } from '../datagram-sink.ts';
import type { DatagramSink } from '../datagram-sink.ts';
import { makeWay, pathFailure } from '../unix-socket.ts';
import { onArrival } from './arrivals.ts';
import { loadUnixDatagrams } from './native.ts';
import type { UnixDatagramSocket } from './native.ts';

export interface UnixDatagramSettings {
  path: string;
  /** Permissions of the socket's file. */
  mode: number;
  /** SO_RCVBUF, bytes; undefined: the kernel's. */
  receiveBufferBytes: number | undefined;
  /** A longer datagram is cut. Bytes. */
  maxBytes: number;
}

/** Bytes that are taken at most before a flush, which the pipeline's memory knows of: datagrams can have some hundred kilobytes each. */
const BURST_BYTES = 1_000_000;
/** What is taken at the end at most: who goes on sending must not keep it from ending. Datagrams, and bytes. */
const LAST = 100_000;
const LAST_BYTES = 16_000_000;
/** Milliseconds until receiving is tried again after a failure. */
const AGAIN_MS = 1000;

export class UnixDatagramListener {
  private readonly settings: UnixDatagramSettings;
  private readonly context: InputContext;
  private readonly sink: DatagramSink;
  private readonly buffer: Buffer;
  private socket: UnixDatagramSocket | undefined;
  private forget: (() => void) | undefined;
  /** There is more to read, or no room: no signal is wanted. */
  private isBusy = false;
  /** Bytes that were taken and not flushed. */
  private taken = 0;

  constructor(settings: UnixDatagramSettings, context: InputContext, sink: DatagramSink) {
    this.settings = settings;
    this.context = context;
    this.sink = sink;
    this.buffer = Buffer.allocUnsafeSlow(settings.maxBytes);
  }

  /** Throws a sentence when the path cannot be had. */
  async start(): Promise<void> {
    const { path, mode, receiveBufferBytes } = this.settings;
    try {
      const datagrams = await loadUnixDatagrams();
      await makeWay(path, (other) => datagrams.isAlive(other));
      const socket = datagrams.bind(path);
      this.socket = socket;
      chmodSync(path, mode);
      if (receiveBufferBytes !== undefined) socket.setReceiveBuffer(receiveBufferBytes);
      this.forget = onArrival(this.onArrival);
      socket.signal(true);
    } catch (error) {
      this.end();
      throw new Error(`${this.context.name}: listening on path ${path}: ${pathFailure(path, error)}`, {
        cause: error,
      });
    }
    // What came before the first signal.
    this.onArrival();
  }

  /** Takes in what is there, then closes. */
  stop(): void {
    const { socket } = this;
    if (socket === undefined) return;
    socket.unlink();
    for (let count = 0; count < LAST && this.taken < LAST_BYTES && this.takeOne(socket); count++);
    void this.flush();
    this.end();
  }

  private end(): void {
    const { socket } = this;
    this.socket = undefined;
    this.forget?.();
    if (socket === undefined) return;
    socket.unlink();
    socket.close();
  }

  private readonly onArrival = (): void => {
    if (!this.isBusy) this.drain();
  };

  private readonly drain = (): void => {
    const { socket } = this;
    if (socket === undefined) return;
    try {
      const room = this.takeBurst(socket);
      if (room === undefined) return;
      void room.then(this.drain);
    } catch (error) {
      this.context.log.error({ error }, 'Cannot receive datagrams; will try again');
      this.isBusy = true;
      setTimeout(this.drain, AGAIN_MS);
    }
  };

  /** Takes what is there, up to a burst. The promise, if any, says when to go on. */
  private takeBurst(socket: UnixDatagramSocket): Promise<void> | undefined {
    for (let count = 0; count < BURST && this.taken < BURST_BYTES; count++) {
      if (this.takeOne(socket)) continue;
      if (this.isBusy) {
        // What comes from here on is signalled; what came before is taken yet.
        socket.signal(true);
        this.isBusy = false;
        if (this.takeOne(socket)) continue;
      }
      const room = this.flush();
      if (room !== undefined) this.pause(socket);
      return room;
    }
    this.pause(socket);
    return (
      this.flush() ??
      new Promise((resolve) => {
        setImmediate(resolve);
      })
    );
  }

  private flush(): Promise<void> | undefined {
    this.taken = 0;
    return this.sink.flush();
  }

  /** Signals are not wanted while it is known that there is more. */
  private pause(socket: UnixDatagramSocket): void {
    if (this.isBusy) return;
    socket.signal(false);
    this.isBusy = true;
  }

  private takeOne(socket: UnixDatagramSocket): boolean {
    const { buffer } = this;
    const length = socket.receive(buffer);
    if (length < 0) return false;
    this.taken += Math.min(length, buffer.length);
    this.sink.take(buffer.subarray(0, Math.min(length, buffer.length)), undefined, length > buffer.length);
    return true;
  }
}
