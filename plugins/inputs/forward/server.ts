/** The listener: its connections, and how it begins and ends. */
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Emit, ForwardCodec, Input, InputContext, ListenerTls } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import { createStreamServer, listenOnPort } from '../../shared/stream-server.ts';
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
    const server = await createStreamServer({
      tls,
      acceptTimeoutMs: settings.acceptTimeoutMs,
      log: context.log,
      take: (socket) => this.take(socket),
      onFailed: () => this.metrics.failed(),
    });
    this.server = server;
    this.emit = emit;
    if (settings.maxConnections > 0) server.maxConnections = settings.maxConnections;
    server.on('drop', () => this.metrics.refused());
    const { unix } = settings;
    if (unix === undefined) await listenOnPort(server, settings, context.name);
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
