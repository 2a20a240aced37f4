/**
 * Listens on a datagram socket of the unix kind, as /dev/log is one. While the pipeline has no room nothing is read: then senders wait, as
 * they do for any syslog daemon, and nothing is lost.
 */
import { chmodSync } from 'node:fs';
import type { InputContext } from '../../../src/plugin.ts';
import { BURST, BURST_BYTES } from '../datagram-sink.ts';
import type { DatagramSink } from '../datagram-sink.ts';
import { Drain } from '../native-datagrams/drain.ts';
import type { Found } from '../native-datagrams/drain.ts';
import { makeWay, pathFailure } from '../unix-socket.ts';
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

/** What is taken at the end at most: who goes on sending must not keep it from ending. Datagrams, and bytes. */
const LAST = 100_000;
const LAST_BYTES = 16_000_000;

export class UnixDatagramListener {
  private readonly settings: UnixDatagramSettings;
  private readonly context: InputContext;
  private readonly sink: DatagramSink;
  private readonly buffer: Buffer;
  private socket: UnixDatagramSocket | undefined;
  private drain: Drain | undefined;
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
      if (receiveBufferBytes !== undefined) socket.setRecvBufferSize(receiveBufferBytes);
      // Who sends is told to wait when the queue is full, which may be ten: it is not left to itself.
      const paceMs = 0;
      this.drain = new Drain(
        { socket, take: () => this.takeBurst(socket), flush: () => this.flush(), paceMs },
        this.context,
      );
      this.drain.start();
    } catch (error) {
      this.end();
      throw new Error(`${this.context.name}: listening on path ${path}: ${pathFailure(path, error)}`, {
        cause: error,
      });
    }
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
    this.drain?.close();
    if (socket === undefined) return;
    socket.unlink();
    socket.close();
  }

  private takeBurst(socket: UnixDatagramSocket): Found {
    for (let count = 0; count < BURST && this.taken < BURST_BYTES; count++) {
      if (!this.takeOne(socket)) return count === 0 ? 'none' : 'all';
    }
    return 'more';
  }

  private flush(): Promise<void> | undefined {
    this.taken = 0;
    return this.sink.flush();
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
