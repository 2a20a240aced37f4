/** The listener: its connections, and how it begins and ends. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { listenFailure } from '../../../src/plugin.ts';
import type { Emit, ForwardCodec, Input, InputContext, ListenerTls } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import { listenOnPath } from '../../shared/unix-socket.ts';
import { ForwardMetrics } from './connection-metrics.ts';
import type { Closing } from './connection-metrics.ts';
import { Connection } from './connection.ts';
import type { Surroundings } from './connection.ts';
import type { ForwardInputSettings } from './settings.ts';
import { Tags } from './tags.ts';

export class ForwardInput implements Input {
  private readonly settings: ForwardInputSettings;
  private readonly context: InputContext;
  private readonly tls: ListenerTls | undefined;
  private readonly metrics: ForwardMetrics;
  private readonly around: Surroundings;
  private readonly connections = new Set<Connection>();
  private readonly complaints = new Map<Closing, Rarely>();
  private server: Server | undefined;
  private emit: Emit | undefined;

  constructor(
    settings: ForwardInputSettings,
    codec: ForwardCodec,
    context: InputContext,
    tls: ListenerTls | undefined,
  ) {
    this.settings = settings;
    this.context = context;
    this.tls = tls;
    this.metrics = new ForwardMetrics(context);
    this.around = {
      codec,
      settings,
      context,
      metrics: this.metrics,
      tags: new Tags(settings, context),
      emit: () => this.emit,
      complain: (reason, why, peer) => this.complain(reason, why, peer),
    };
  }

  async start(emit: Emit): Promise<void> {
    const { settings, context, tls } = this;
    const server = await this.createServer();
    this.server = server;
    this.emit = emit;
    if (settings.maxConnections > 0) server.maxConnections = settings.maxConnections;
    server.on('drop', () => this.metrics.refused());
    const { unix } = settings;
    if (unix === undefined) await this.listenOnPort(server);
    else await listenOnPath(server, unix.path, unix.mode, context.name);
    server.on('error', (error) => context.log.error({ error }, 'Cannot accept connections; will try again'));
    const address = server.address() as AddressInfo | string;
    const place =
      typeof address === 'string' ? { path: address } : { address: address.address, port: address.port };
    context.log.info({ ...place, tls: tls !== undefined }, 'Listening for the forward protocol');
  }

  /** Takes nothing any more; what the pipeline has is acknowledged as it settles. */
  stop(): void {
    this.emit = undefined;
    this.server?.close();
    for (const connection of this.connections) connection.end();
  }

  /** What is not settled by now is not going to be. */
  close(): void {
    for (const connection of this.connections) connection.destroy();
  }

  private async createServer(): Promise<Server> {
    const { tls } = this;
    const { acceptTimeoutMs } = this.settings;
    const take = (socket: Socket): void => this.take(socket);
    if (tls === undefined) return createServer({ noDelay: true, keepAlive: true }, take);
    const { createServer: createTlsServer } = await import('node:tls');
    const server = createTlsServer(
      { ...tls.options, handshakeTimeout: acceptTimeoutMs, noDelay: true, keepAlive: true },
      take,
    );
    server.on('tlsClientError', (_error, socket) => {
      this.metrics.failed();
      // Node.js leaves it open when the handshake took too long.
      socket.destroy();
    });
    // Before the server's own listener, which takes the certificate for this connection.
    server.prependListener('connection', () => {
      try {
        if (tls.refresh()) server.setSecureContext(tls.options);
      } catch (error) {
        this.context.log.error({ error }, 'Cannot use the new TLS files; the old ones stay in use');
      }
    });
    return server;
  }

  private listenOnPort(server: Server): Promise<void> {
    const { host, port, backlog, sharePort } = this.settings;
    return new Promise((resolve, reject) => {
      const fail = (error: NodeJS.ErrnoException): void => {
        const attempt = { who: this.context.name, host, port, hostKey: 'listen', portKey: 'port' };
        reject(new Error(listenFailure(attempt, error), { cause: error }));
      };
      server.once('error', fail);
      server.listen({ host, port, backlog, reusePort: sharePort }, () => {
        server.off('error', fail);
        resolve();
      });
    });
  }

  private take(socket: Socket): void {
    if (this.emit === undefined) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.around);
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
    if (count > 0) this.context.log.warn({ reason: why, peer, count }, 'A sender was not listened to');
  }
}
