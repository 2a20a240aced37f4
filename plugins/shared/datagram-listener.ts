/**
 * Listens for UDP datagrams. Nobody can be told to wait: what comes while the pipeline has no room is kept up to a limit, and beyond it dropped
 * and counted. What the kernel drops before, because its receive buffer is full, is counted apart (`kernel-drops.ts`).
 */
import { lookup } from 'node:dns/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { listenFailure } from '../../src/plugin.ts';
import type { InputContext } from '../../src/plugin.ts';
import { bindDatagrams } from './datagram-receiver.ts';
import type { DatagramReceiver } from './datagram-receiver.ts';
import { BURST } from './datagram-sink.ts';
import type { DatagramSink, Sender } from './datagram-sink.ts';
import { KernelDrops } from './kernel-drops.ts';
import { Rarely } from './rarely.ts';

export interface DatagramListenerSettings {
  host: string;
  port: number;
  /** Lets other processes listen on the same port. */
  sharePort: boolean;
  /** What the kernel keeps until it is read (SO_RCVBUF), bytes; undefined: as much as {@link WANTED_BUFFER}, if the kernel gives it. */
  receiveBufferBytes: number | undefined;
}

/** Where it listens, and the receive buffer that it got. */
export interface DatagramPlace {
  address: string;
  port: number;
  receiveBufferBytes: number;
}

/** Asked for when nothing is written: at 100,000 messages a second of 200 bytes, a fifth of a second. Bytes. */
const WANTED_BUFFER = 8 * 1024 * 1024;
/** Kept while the pipeline has no room. Bytes. */
const BACKLOG_BYTES = 4 * 1024 * 1024;
/** What a datagram costs beside its bytes. */
const OVERHEAD = 200;
/** At the end, reading goes on until nothing came for so long, and for so long at most. Milliseconds. */
const QUIET_MS = 20;
const LINGER_MS = 500;

interface Waiting {
  bytes: Buffer;
  sender: Sender;
}

export class DatagramListener {
  private readonly settings: DatagramListenerSettings;
  private readonly context: InputContext;
  private readonly sink: DatagramSink;
  private readonly drops = new Rarely();
  private socket: DatagramReceiver | undefined;
  private kernelDrops: KernelDrops | undefined;
  /** Taken and not flushed. */
  private taken = 0;
  private isWaiting = false;
  private backlog: Waiting[] = [];
  private backlogBytes = 0;
  /** All that came. */
  private received = 0;

  constructor(settings: DatagramListenerSettings, context: InputContext, sink: DatagramSink) {
    this.settings = settings;
    this.context = context;
    this.sink = sink;
  }

  /** Throws a sentence when the port cannot be had. */
  async start(): Promise<DatagramPlace> {
    const { host, port, sharePort } = this.settings;
    const { context } = this;
    let socket: DatagramReceiver;
    try {
      const { address } = await lookup(host);
      socket = await bindDatagrams({ address, port, sharePort }, this, context);
    } catch (error) {
      const attempt = { who: context.name, host, port, hostKey: 'listen', portKey: 'port' };
      throw new Error(listenFailure(attempt, error as NodeJS.ErrnoException), { cause: error });
    }
    this.socket = socket;
    const receiveBufferBytes = this.askForBuffer(socket);
    const place = socket.address();
    this.kernelDrops = new KernelDrops(place.port, context);
    socket.start(receiveBufferBytes);
    return { address: place.address, port: place.port, receiveBufferBytes };
  }

  /** Takes in what the kernel has yet, then closes. */
  async stop(): Promise<void> {
    const { socket } = this;
    if (socket === undefined) return;
    const since = performance.now();
    for (let before = -1; before !== this.received && performance.now() - since < LINGER_MS;) {
      before = this.received;
      await pause(QUIET_MS);
    }
    this.socket = undefined;
    this.kernelDrops?.close();
    await socket.close();
    // There may be no room: it cannot be had again.
    this.takeBacklog();
    void this.sink.flush();
  }

  private askForBuffer(socket: DatagramReceiver): number {
    const { receiveBufferBytes: written } = this.settings;
    const wanted = written ?? WANTED_BUFFER;
    try {
      socket.setRecvBufferSize(wanted);
    } catch (error) {
      this.context.log.warn({ error, bytes: wanted }, 'Cannot set the size of the receive buffer');
    }
    // Linux says what it takes for its own accounts too, which is as much again.
    const got = Math.floor(socket.getRecvBufferSize() / (process.platform === 'linux' ? 2 : 1));
    if (written !== undefined && got < written) {
      this.context.log.warn(
        { wanted: written, got },
        'The kernel gave a smaller receive buffer than receive_buffer_size asks for: raise it with sysctl net.core.rmem_max',
      );
    }
    return got;
  }

  /** Takes a datagram; its memory is the receiver's again when this returns. */
  readonly take = (bytes: Buffer, sender: Sender): void => {
    this.received++;
    if (this.isWaiting) {
      this.keep(bytes, sender);
      return;
    }
    this.sink.take(bytes, sender, false);
    this.taken++;
    if (this.taken >= BURST) this.flush();
  };

  /** Those that came together are taken. */
  readonly over = (): void => {
    if (this.taken > 0) this.flush();
  };

  private flush(): void {
    this.taken = 0;
    const room = this.sink.flush();
    if (room === undefined) return;
    this.isWaiting = true;
    void room.then(() => {
      this.isWaiting = false;
      this.takeBacklog();
      if (this.taken > 0) this.flush();
      return undefined;
    });
  }

  private keep(bytes: Buffer, sender: Sender): void {
    const cost = bytes.length + OVERHEAD;
    if (this.backlogBytes + cost <= BACKLOG_BYTES) {
      this.backlog.push({
        bytes: Buffer.from(bytes),
        sender: { address: sender.address, port: sender.port },
      });
      this.backlogBytes += cost;
      return;
    }
    this.context.drop('no_room', 1);
    const count = this.drops.happened();
    if (count > 0)
      this.context.log.warn(
        { count },
        'Datagrams were dropped: there is no room for them, and nobody to wait',
      );
  }

  private takeBacklog(): void {
    const { backlog } = this;
    this.backlog = [];
    this.backlogBytes = 0;
    for (const { bytes, sender } of backlog) this.sink.take(bytes, sender, false);
    this.taken += backlog.length;
  }
}
