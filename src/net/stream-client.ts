/**
 * The client of outputs that write to a stream socket (TCP, TLS, unix): one destination, connections kept and used again.
 *
 * An attempt takes a connection, writes, reads answers where the protocol has them, and gives it back; one that failed or that it was
 * interrupted on is dropped. Errors are those of the destination: {@link RetryableError} with a sentence that names host and cause.
 */
import { connect as connectPlain, isIP } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { RetryableError } from '../event/outcome.ts';
import { preferring } from './lookup.ts';
import { loopTurn } from './loop-turn.ts';
import { StreamConnection } from './stream-connection.ts';
import type { StreamConnectionOptions } from './stream-connection.ts';
import { TlsMaterial } from './tls.ts';

export interface StreamClientOptions extends StreamConnectionOptions {
  /** Where to: a host and its port, or the path of a unix socket. */
  to: { host: string; port: number } | { path: string };
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

function joined({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
