/**
 * Listens for connections that carry messages one way: TCP, TLS or a unix socket. Nobody answers, so what has been read is safe once the
 * pipeline has it; when there is no room, reading stops, and the sender's own buffer fills.
 *
 * What a message is says the reader, one for each connection (`stream-connection.ts`).
 */
import type { AddressInfo, Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { InputContext, ListenerTls } from '../../src/plugin.ts';
import { ConnectionMetrics } from './connection-metrics.ts';
import { Rarely } from './rarely.ts';
import { StreamConnection } from './stream-connection.ts';
import type { Closing, StreamReader } from './stream-connection.ts';
import { createStreamServer, listenOnPort } from './stream-server.ts';
import { listenOnPath } from './unix-socket.ts';

export interface StreamListenerSettings {
  host: string;
  port: number;
  /** Listens there instead of on host and port; `key` is the option that says so. */
  unix: { path: string; mode: number | undefined; key: string } | undefined;
  backlog: number;
  sharePort: boolean;
  /** For the TLS handshake. Milliseconds. */
  acceptTimeoutMs: number;
  /** Without data, or without room, in the middle of a message. Milliseconds. */
  stallMs: number;
  /** Without data between two messages; 0: no limit. Milliseconds. */
  idleMs: number;
  /** 0: no limit. */
  maxConnections: number;
  /** From one address; 0: no limit. */
  maxConnectionsPerAddress: number;
}

/** Where it listens. */
export type StreamPlace = { address: string; port: number } | { path: string };

/** Who is connected; both absent with a unix socket. */
export interface Peer {
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/** At the end, reading goes on until nothing came for so long, and for so long at most. Milliseconds. */
const QUIET_MS = 50;
const LINGER_MS = 1000;

export class StreamListener {
  private readonly settings: StreamListenerSettings;
  private readonly context: InputContext;
  private readonly tls: ListenerTls | undefined;
  private readonly open: (peer: Peer) => StreamReader;
  private readonly metrics: ConnectionMetrics<Closing>;
  private readonly connections = new Set<StreamConnection>();
  private readonly byAddress = new Map<string, number>();
  private readonly complaints = new Map<Closing, Rarely>();
  private server: Server | undefined;
  /** Pieces that came over all connections. */
  private received = 0;

  /** `open` makes the reader of a connection. */
  constructor(
    settings: StreamListenerSettings,
    context: InputContext,
    tls: ListenerTls | undefined,
    open: (peer: Peer) => StreamReader,
  ) {
    this.settings = settings;
    this.context = context;
    this.tls = tls;
    this.open = open;
    this.metrics = new ConnectionMetrics(context);
  }

  /** Throws a sentence when it cannot be listened there. */
  async start(): Promise<StreamPlace> {
    const { settings, context } = this;
    const server = await this.createServer();
    if (settings.maxConnections > 0) server.maxConnections = settings.maxConnections;
    server.on('drop', () => this.metrics.refused());
    const { unix } = settings;
    if (unix === undefined) await listenOnPort(server, settings, context.name);
    else await listenOnPath(server, unix.path, unix.mode, context.name, unix.key);
    this.server = server;
    server.on('error', (error) => context.log.error({ error }, 'Cannot accept connections; will try again'));
    const address = server.address() as AddressInfo | string;
    return typeof address === 'string' ? { path: address } : { address: address.address, port: address.port };
  }

  /**
   * Ends its side of the connections, so that senders turn elsewhere, and takes in what they have sent by then: a protocol without answers
   * has no other way of saying what arrived.
   */
  async stop(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    server.close();
    for (const connection of this.connections) connection.finish();
    const since = performance.now();
    const isBusy = (): boolean => [...this.connections].some(({ isWaiting }) => isWaiting);
    for (let before = -1; before !== this.received || isBusy();) {
      before = this.received;
      if (this.connections.size === 0 || performance.now() - since >= LINGER_MS) break;
      await pause(QUIET_MS);
    }
    for (const connection of this.connections) connection.destroy();
  }

  private async createServer(): Promise<Server> {
    const server = await createStreamServer({
      tls: this.tls,
      acceptTimeoutMs: this.settings.acceptTimeoutMs,
      log: this.context.log,
      take: (socket) => this.take(socket),
      onFailed: () => this.metrics.failed(),
    });
    // Before anything is done for it.
    server.prependListener('connection', (socket: Socket) => this.admit(socket));
    return server;
  }

  /** Closes a connection at once whose address has too many already. */
  private admit(socket: Socket): void {
    const { maxConnectionsPerAddress: most } = this.settings;
    const { remoteAddress: address } = socket;
    if (most === 0 || address === undefined) return;
    const count = this.byAddress.get(address) ?? 0;
    if (count >= most) {
      this.metrics.refused();
      socket.destroy();
      return;
    }
    this.byAddress.set(address, count + 1);
    socket.once('close', () => {
      const left = (this.byAddress.get(address) ?? 1) - 1;
      if (left === 0) this.byAddress.delete(address);
      else this.byAddress.set(address, left);
    });
  }

  private take(socket: Socket): void {
    if (this.server === undefined) socket.destroy();
    if (socket.destroyed) return;
    const { stallMs, idleMs } = this.settings;
    const connection = new StreamConnection(
      socket,
      this.open({ address: socket.remoteAddress, port: socket.remotePort }),
      {
        stallMs,
        idleMs,
        context: this.context,
        received: () => {
          this.received++;
        },
        closing: (reason, why) => {
          this.metrics.closed(reason);
          this.complain(reason, why, socket.remoteAddress);
        },
        failed: (error) => this.context.log.error({ error }, 'Taking messages of a connection failed'),
      },
    );
    this.connections.add(connection);
    this.metrics.open.value++;
    socket.once('close', () => {
      this.connections.delete(connection);
      this.metrics.open.value--;
    });
  }

  private complain(reason: Closing, why: string, peer: string | undefined): void {
    if (reason === 'idle') return;
    let rarely = this.complaints.get(reason);
    if (rarely === undefined) {
      rarely = new Rarely();
      this.complaints.set(reason, rarely);
    }
    const count = rarely.happened();
    if (count > 0) this.context.log.warn({ reason: why, peer, count }, 'A connection was closed');
  }
}
