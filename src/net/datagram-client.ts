/**
 * The client of outputs that send UDP datagrams to one destination.
 *
 * The socket is connected, so that the operating system says what it learns of the other side: a refusal (ICMP) comes as the error of a
 * later datagram, or a moment after the last. What is lost on the way nobody hears of.
 */
import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { lookup } from 'node:dns';
import { isIPv6 } from 'node:net';
import { RetryableError } from '../event/outcome.ts';
import { describeFailure } from './failure.ts';
import { loopTurn } from './loop-turn.ts';

export interface DatagramClientOptions {
  host: string;
  port: number;
  /** Milliseconds for looking up the name; 0: no limit. */
  connectTimeoutMs: number;
  sourceAddress?: string | undefined;
  /** Which addresses of a name come first. */
  prefer?: 'ipv4' | 'ipv6' | undefined;
}

/** Datagrams that are handed to the operating system before their errors are looked at. */
const WINDOW = 64;
/** The name is looked up again after this: no connection breaks when the host has moved. Milliseconds. */
const RENEW_MS = 60_000;

export class DatagramClient {
  /** `udp://host:port`, as it may be shown. */
  readonly place: string;
  private readonly options: DatagramClientOptions;
  private current: Connected | undefined;
  private opening: Promise<Connected> | undefined;
  private closed = false;

  constructor(options: DatagramClientOptions) {
    const { host, port } = options;
    this.options = options;
    this.place = `udp://${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  /**
   * Sends datagrams, `bytes` up to `ends[0]`, from there to `ends[1]`, and so on; their memory is free again when it settles. Returns the
   * indexes of those that are larger than a datagram can be. Throws {@link RetryableError} when the destination cannot be reached, the
   * signal's reason when that was aborted.
   */
  async send(bytes: Buffer, ends: readonly number[], signal: AbortSignal): Promise<number[]> {
    signal.throwIfAborted();
    const connected = await this.connected();
    const tooLarge: number[] = [];
    connected.users++;
    try {
      for (let from = 0; from < ends.length && connected.failure === undefined; from += WINDOW) {
        signal.throwIfAborted();
        await connected.sendAll(bytes, ends, from, Math.min(ends.length, from + WINDOW), tooLarge);
      }
      // The refusal of the last one, where it comes at once.
      await loopTurn();
      signal.throwIfAborted();
      if (connected.failure === undefined) return tooLarge;
    } finally {
      connected.users--;
      if (connected.failure !== undefined) this.retire(connected);
      else connected.closeIfOver();
    }
    throw this.failed(connected.failure);
  }

  /** Closes the socket; nothing is sent any more. */
  async close(): Promise<void> {
    this.closed = true;
    await this.opening?.catch(() => {});
    if (this.current !== undefined) this.retire(this.current);
  }

  /** The socket is not used again. */
  private retire(connected: Connected): void {
    if (this.current === connected) this.current = undefined;
    connected.over = true;
    connected.closeIfOver();
  }

  private failed(cause: unknown): RetryableError {
    return new RetryableError(`${this.place}: ${describeFailure(cause)}`, { cause });
  }

  private async connected(): Promise<Connected> {
    if (this.closed) throw new RetryableError(`${this.place}: the output is closed`);
    const { current } = this;
    if (current !== undefined) {
      const { failure, since } = current;
      if (failure === undefined && performance.now() - since < RENEW_MS) return current;
      this.retire(current);
      // Learned between two attempts: what comes next waits instead of being lost too.
      if (failure !== undefined) throw this.failed(failure);
    }
    this.opening ??= this.open().finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private async open(): Promise<Connected> {
    try {
      const address = await this.address();
      const connected = await Connected.open(address, this.options);
      this.current = connected;
      return connected;
    } catch (error) {
      throw this.failed(error);
    }
  }

  private address(): Promise<string> {
    const { host, prefer, connectTimeoutMs } = this.options;
    const order = prefer === undefined ? 'verbatim' : prefer === 'ipv4' ? 'ipv4first' : 'ipv6first';
    return new Promise((resolve, reject) => {
      const timer =
        connectTimeoutMs === 0
          ? undefined
          : setTimeout(() => {
              reject(Object.assign(new Error('timeout'), { code: 'EAI_AGAIN' }));
            }, connectTimeoutMs);
      lookup(host, { order }, (error, address) => {
        clearTimeout(timer);
        if (error === null) resolve(address);
        else reject(error);
      });
    });
  }
}

/** A connected socket. */
class Connected {
  readonly since = performance.now();
  /** What the operating system said of it, once it has. */
  failure: Error | undefined;
  /** Attempts that send on it. */
  users = 0;
  /** To be closed when nobody sends on it. */
  over = false;
  private readonly socket: Socket;
  private closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  static async open(
    address: string,
    { port, sourceAddress }: Pick<DatagramClientOptions, 'port' | 'sourceAddress'>,
  ): Promise<Connected> {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
    const connected = new Connected(socket);
    socket.on('error', (error) => {
      connected.failure ??= error;
    });
    // Nobody is asked for an answer; one that comes is not piled up.
    socket.on('message', () => {});
    try {
      if (sourceAddress !== undefined) {
        await new Promise<void>((resolve, reject) => {
          socket.once('error', reject);
          socket.bind({ address: sourceAddress, port: 0 }, resolve);
        });
      }
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        // `connect` has one argument less when it fails.
        socket.connect(port, address, (error?: Error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
      });
    } catch (error) {
      connected.over = true;
      connected.closeIfOver();
      throw error;
    }
    socket.unref();
    return connected;
  }

  /** Sends datagrams `from` to `to` (exclusive) and waits until the operating system has taken them or said why not. */
  async sendAll(
    bytes: Buffer,
    ends: readonly number[],
    from: number,
    to: number,
    tooLarge: number[],
  ): Promise<void> {
    let waiting = to - from;
    // One promise for all of them.
    await new Promise<void>((resolve) => {
      for (let index = from; index < to; index++) {
        const start = index === 0 ? 0 : (ends[index - 1] as number);
        this.socket.send(
          bytes,
          start,
          (ends[index] as number) - start,
          (error: NodeJS.ErrnoException | null) => {
            if (error?.code === 'EMSGSIZE') tooLarge.push(index);
            else if (error !== null) this.failure ??= error;
            if (--waiting === 0) resolve();
          },
        );
      }
    });
  }

  /** Closes the socket when it is over and nobody sends on it. */
  closeIfOver(): void {
    if (!this.over || this.users > 0 || this.closed) return;
    this.closed = true;
    this.socket.close();
  }
}
