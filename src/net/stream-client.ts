/**
 * The client of outputs that write to a stream socket (TCP, TLS, unix): one destination, connections kept and used again.
 *
 * An attempt takes a connection, writes, reads answers where the protocol has them, and gives it back; one that failed or that it was
 * interrupted on is dropped. Errors are those of the destination: {@link RetryableError} with a sentence that names host and cause.
 */
import { connect as connectPlain, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { RetryableError } from '../event/outcome.ts';
import { describeFailure } from './failure.ts';
import { preferring } from './lookup.ts';
import { loopTurn } from './loop-turn.ts';
import { TlsMaterial } from './tls.ts';
import type { TlsSettings } from './tls.ts';

export interface StreamClientOptions {
  /** Where to: a host and its port, or the path of a unix socket. */
  to: { host: string; port: number } | { path: string };
  /** Undefined for an unencrypted connection. */
  tls?: TlsSettings | undefined;
  /** Milliseconds until a connection must stand, TLS and `greet` included; 0: no limit. */
  connectTimeoutMs: number;
  /** Milliseconds that writing or waiting for an answer may take without any data moving; 0: no limit. */
  ioTimeoutMs: number;
  keepAlive: boolean;
  /** Milliseconds after which an idle connection is closed. */
  keepAliveIdleMs: number;
  /** Uses of one connection; 0: no limit. */
  maxUses: number;
  /** Connections in use at once; further attempts wait for one. 0 or absent: no limit. */
  maxConnections?: number;
  sourceAddress?: string | undefined;
  /** Which addresses of a name come first. */
  prefer?: 'ipv4' | 'ipv6' | undefined;
  /**
   * The protocol has no answers. By TLS 1.3 a server refuses a client's certificate, or the lack of one, only after the client takes the
   * connection to stand: then what is written first waits for the server's session ticket, which says that it has taken the client.
   */
  unanswered?: boolean;
  /** What the protocol says first on a new connection (a handshake). A throw closes the connection and fails the attempt. */
  greet?: ((connection: StreamConnection) => Promise<void>) | undefined;
}

export class StreamClient {
  /** `tcp://host:port`, `tls://host:port` or `unix:path`, as it may be shown. */
  readonly place: string;
  private readonly options: StreamClientOptions;
  private readonly tls: TlsMaterial | undefined;
  private readonly lookup: LookupFunction | undefined;
  private idle: StreamConnection[] = [];
  private readonly open = new Set<StreamConnection>();
  private inUse = 0;
  /** Attempts that wait for others to end, in order. */
  private waiting: (() => void)[] = [];
  private closed = false;

  /** Reads the certificates. Connects at the first use. Throws for a setting that cannot work. */
  constructor(options: StreamClientOptions) {
    const { to, tls, prefer } = options;
    this.options = options;
    this.tls = tls === undefined ? undefined : new TlsMaterial(tls);
    this.lookup = prefer === undefined ? undefined : preferring(prefer);
    this.place = 'path' in to ? `unix:${to.path}` : `${tls === undefined ? 'tcp' : 'tls'}://${joined(to)}`;
  }

  /**
   * Runs `use` on a connection, an idle one or a new one; `signal` interrupts it. When `use` throws, or is interrupted, the connection
   * is closed. Throws {@link RetryableError} where the connection failed, the signal's reason when that was aborted, and what `use` throws.
   */
  async use<T>(signal: AbortSignal, use: (connection: StreamConnection) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    await this.turn(signal);
    try {
      return await this.useNow(signal, use);
    } finally {
      this.inUse--;
      this.waiting.shift()?.();
    }
  }

  /** Waits until there may be one more connection in use, and counts it. */
  private async turn(signal: AbortSignal): Promise<void> {
    while (this.isFull()) {
      await new Promise<void>((resolve, reject) => {
        const go = (): void => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = (): void => {
          this.waiting = this.waiting.filter((other) => other !== go);
          reject(signal.reason as Error);
        };
        this.waiting.push(go);
        signal.addEventListener('abort', leave, { once: true });
      });
    }
    this.inUse++;
  }

  private isFull(): boolean {
    const { maxConnections = 0 } = this.options;
    return maxConnections > 0 && this.inUse >= maxConnections;
  }

  private async useNow<T>(
    signal: AbortSignal,
    use: (connection: StreamConnection) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    this.refresh();
    const rested = await this.rested();
    // It may have been while the loop turned.
    if (signal.aborted || this.closed) {
      rested?.destroy();
      signal.throwIfAborted();
      throw new RetryableError(`${this.place}: the output is closed`);
    }
    const connection = rested ?? this.connection();
    const interrupt = (): void => connection.destroy();
    signal.addEventListener('abort', interrupt, { once: true });
    try {
      await connection.ready();
      connection.uses++;
      const result = await use(connection);
      this.giveBack(connection);
      return result;
    } catch (error) {
      connection.destroy();
      if (signal.aborted) throw signal.reason;
      throw error;
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }

  /** Ends all connections: those at rest in order, so that what was written arrives; attempts under way fail. */
  async close(): Promise<void> {
    this.closed = true;
    const resting = new Set(this.idle);
    this.idle = [];
    const over = [...this.open].map((connection) => connection.gone);
    for (const connection of this.open) {
      if (resting.has(connection)) connection.finish();
      else connection.destroy();
    }
    await Promise.all(over);
  }

  /** An idle connection that still stands. */
  private async rested(): Promise<StreamConnection | undefined> {
    for (;;) {
      const connection = this.idle.pop();
      if (connection === undefined) return undefined;
      connection.awake();
      // What the other side has done since the loop last looked: a closed connection takes bytes all the same, and they are lost.
      await loopTurn();
      if (connection.usable) return connection;
      connection.destroy();
    }
  }

  private giveBack(connection: StreamConnection): void {
    const { keepAlive, keepAliveIdleMs, maxUses } = this.options;
    const used = maxUses > 0 && connection.uses >= maxUses;
    if (!keepAlive || used || this.closed || !connection.rest(keepAliveIdleMs)) connection.end();
    else this.idle.push(connection);
  }

  /** Takes changed certificates for the connections from now on. */
  private refresh(): void {
    let changed: boolean;
    try {
      changed = this.tls?.refresh() ?? false;
    } catch (error) {
      throw new RetryableError((error as Error).message, { cause: error });
    }
    if (!changed) return;
    for (const connection of this.idle) connection.end();
    this.idle = [];
  }

  private connection(): StreamConnection {
    const connection = new StreamConnection(this.socket(), this.place, this.options);
    this.open.add(connection);
    void connection.gone.then(() => {
      this.open.delete(connection);
      this.idle = this.idle.filter((other) => other !== connection);
      return undefined;
    });
    return connection;
  }

  private socket(): Socket {
    const { to, sourceAddress } = this.options;
    const target = {
      ...to,
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      ...(this.lookup === undefined ? {} : { lookup: this.lookup }),
    };
    if (this.tls === undefined) return connectPlain({ ...target, noDelay: true });
    const { options } = this.tls;
    const host = 'host' in to ? to.host : '';
    const name = options.servername ?? (host === '' || isIP(host) > 0 ? undefined : host);
    return connectTls({ ...target, ...options, ...(name === undefined ? {} : { servername: name }) });
  }
}

/** One connection. What is written and read on it fails with {@link RetryableError}. */
export class StreamConnection {
  /** Resolves when it is closed, whoever closed it. */
  readonly gone: Promise<void>;
  /** Attempts that it was used for. */
  uses = 0;
  /** Where it goes to, as it may be shown. */
  readonly place: string;
  private readonly socket: Socket;
  private readonly ioTimeoutMs: number;
  private readonly standing: Promise<void>;
  private received: Buffer[] = [];
  private ended = false;
  private failure: Error | undefined;
  private resting: NodeJS.Timeout | undefined;
  /** Whoever waits for data, for room, or for the end. */
  private wake: () => void = () => {};

  constructor(socket: Socket, place: string, options: StreamClientOptions) {
    this.socket = socket;
    this.place = place;
    this.ioTimeoutMs = options.ioTimeoutMs;
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(this.resting);
        this.ended = true;
        this.wake();
        resolve();
      });
    });
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('timeout', () => {
      socket.destroy(new Error(`nothing moved for net.io_timeout, ${this.ioTimeoutMs / 1000} s`));
    });
    socket.on('data', (piece: Buffer) => {
      this.received.push(piece);
      // Answers come one at a time: what nobody asked for is not piled up.
      socket.pause();
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    this.standing = this.stand(options);
    // Whoever uses it hears of it.
    this.standing.catch(() => {});
  }

  private async stand({ connectTimeoutMs, tls, greet, unanswered }: StreamClientOptions): Promise<void> {
    let isConnected = false;
    const timer =
      connectTimeoutMs === 0
        ? undefined
        : setTimeout(() => {
            this.socket.destroy(
              isConnected
                ? new Error('it did not end the handshake within net.connect_timeout')
                : Object.assign(new Error('timeout'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
            );
          }, connectTimeoutMs);
    try {
      const connected = new Promise<void>((resolve) => {
        this.socket.once(tls === undefined ? 'connect' : 'secureConnect', resolve);
      });
      await Promise.race([connected, this.gone]);
      this.throwIfGone();
      if (unanswered === true && this.socket instanceof TLSSocket) await this.taken(this.socket);
      isConnected = true;
      await greet?.(this);
      this.socket.setTimeout(this.ioTimeoutMs);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits until the server shows that it has taken the client, a while for one that never shows it. */
  private async taken(socket: TLSSocket): Promise<void> {
    if (socket.getProtocol() !== 'TLSv1.3') return;
    let timer: NodeJS.Timeout | undefined;
    const shown = new Promise<void>((resolve) => {
      socket.once('session', () => resolve());
      timer = setTimeout(resolve, TICKET_MS);
    });
    await Promise.race([shown, this.gone]);
    clearTimeout(timer);
    this.throwIfGone();
  }

  /** It rests no longer. */
  awake(): void {
    clearTimeout(this.resting);
    this.socket.ref();
  }

  /** Resolves once it can be written to. */
  async ready(): Promise<void> {
    this.awake();
    await this.standing;
    this.socket.setTimeout(this.ioTimeoutMs);
    this.throwIfGone();
  }

  /** Writes; resolves when the operating system has taken all of it. The memory is free again then. */
  async write(bytes: Uint8Array | string): Promise<void> {
    this.throwIfGone();
    const written = new Promise<void>((resolve) => {
      this.socket.write(bytes, () => resolve());
    });
    await Promise.race([written, this.gone]);
    this.throwIfGone();
  }

  /**
   * As {@link write}, where the protocol has no answers: looks once more whether the other side cut the connection off, which is all that
   * it could say. What it does later nobody hears of.
   */
  async writeUnanswered(bytes: Uint8Array | string): Promise<void> {
    await this.write(bytes);
    await loopTurn();
    if (this.failure !== undefined) throw this.broken();
  }

  /** The next bytes that the other side sends. Throws when it closes the connection instead. */
  async read(): Promise<Buffer> {
    for (;;) {
      const piece = this.received.shift();
      if (piece !== undefined) return piece;
      if (this.failure !== undefined || this.ended) throw this.broken();
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        this.socket.resume();
      });
    }
  }

  /** It stands, and the other side has said nothing unasked. */
  get usable(): boolean {
    return !this.ended && this.failure === undefined && this.received.length === 0;
  }

  /** The other side has said something that was not read. */
  get hasUnread(): boolean {
    return this.received.length > 0;
  }

  /** Waits for its next use, so long at most. False when it is not usable. */
  rest(milliseconds: number): boolean {
    if (!this.usable) return false;
    this.socket.setTimeout(0);
    // An idle connection must notice that the other side closes it.
    this.socket.resume();
    this.socket.unref();
    this.resting = setTimeout(() => this.end(), milliseconds);
    this.resting.unref();
    return true;
  }

  /** Closes it after what was written. */
  end(): void {
    clearTimeout(this.resting);
    this.socket.resume();
    this.socket.end();
    // A peer that never closes its side must not keep it.
    this.socket.setTimeout(END_MS, () => this.socket.destroy());
  }

  /** Closes it after what was written, without waiting for the other side to do so too. */
  finish(): void {
    clearTimeout(this.resting);
    this.socket.destroySoon();
    this.socket.setTimeout(END_MS, () => this.socket.destroy());
  }

  /** Closes it at once. */
  destroy(): void {
    clearTimeout(this.resting);
    this.socket.destroy();
  }

  private throwIfGone(): void {
    if (this.ended || this.failure !== undefined || this.socket.destroyed) throw this.broken();
  }

  private broken(): RetryableError {
    const cause = this.failure;
    const reason = cause === undefined ? 'the other side closed the connection' : describeFailure(cause);
    return new RetryableError(`${this.place}: ${reason}`, { cause });
  }
}

/** Servers send their tickets at once; those that send none cost this once per connection. Milliseconds. */
const TICKET_MS = 1000;

/** What the other side gets to close its half. Milliseconds. */
const END_MS = 5000;

function joined({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
