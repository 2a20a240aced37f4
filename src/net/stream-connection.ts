/**
 * One connection of a stream client: connecting, the protocol's greeting, writing and reading, resting between uses, and the end. All that goes
 * wrong with it is a {@link RetryableError} that names the other side.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { RetryableError } from '../event/outcome.ts';
import { describeFailure } from './failure.ts';
import { loopTurn } from './loop-turn.ts';
import type { TlsSettings } from './tls.ts';

/** What a connection has to know of its client's options. */
export interface StreamConnectionOptions {
  /** Undefined for an unencrypted connection. */
  tls?: TlsSettings | undefined;
  /** Milliseconds until a connection must stand, TLS and `greet` included; 0: no limit. */
  connectTimeoutMs: number;
  /** Milliseconds that writing or waiting for an answer may take without any data moving; 0: no limit. */
  ioTimeoutMs: number;
  /**
   * The protocol has no answers. By TLS 1.3 a server refuses a client's certificate, or the lack of one, only after the client takes the
   * connection to stand: then what is written first waits for the server's session ticket, which says that it has taken the client.
   */
  unanswered?: boolean;
  /** What the protocol says first on a new connection (a handshake). A throw closes the connection and fails the attempt. */
  greet?: ((connection: StreamConnection) => Promise<void>) | undefined;
}

/** Servers send their tickets at once; those that send none cost this once per connection. Milliseconds. */
const TICKET_MS = 1000;

/** What the other side gets to close its half. Milliseconds. */
const END_MS = 5000;

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

  constructor(socket: Socket, place: string, options: StreamConnectionOptions) {
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

  private async stand({ connectTimeoutMs, tls, greet, unanswered }: StreamConnectionOptions): Promise<void> {
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
