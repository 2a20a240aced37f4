/** Real receivers of what outputs write to sockets: a stream server (TCP, TLS, unix) and a UDP socket, on loopback; both note what they get. */
import { createSocket } from 'node:dgram';
import type { Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TlsOptions, TLSSocket } from 'node:tls';
import { listenBelow } from '../support/ports.ts';
import { tlsFile } from './servers.ts';

export interface StreamSinkOptions {
  /** Speaks TLS with `certificate`.pem and .key of the tests. */
  certificate?: string;
  tls?: TlsOptions;
  /** The path of a unix socket. */
  path?: string;
}

/** Who waits for what was received to be enough. */
class Waiting {
  private waiters: { met: () => boolean; resolve: () => void }[] = [];

  look(): void {
    for (const { met, resolve } of this.waiters) if (met()) resolve();
    this.waiters = this.waiters.filter(({ met }) => !met());
  }

  until(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiters.push({ met, resolve });
    });
  }
}

export class StreamSink {
  port = 0;
  /** What each connection sent, in the order in which they came. */
  readonly connections: Buffer[] = [];
  readonly sockets: Socket[] = [];
  private readonly options: StreamSinkOptions;
  private readonly waiting = new Waiting();
  private server: Server | undefined;

  constructor(options: StreamSinkOptions = {}) {
    this.options = options;
  }

  /** Listens; on the port that it had before, when it was closed. */
  async open(): Promise<this> {
    const { certificate, tls, path } = this.options;
    const server =
      certificate === undefined
        ? createServer()
        : createTlsServer({
            cert: readFileSync(tlsFile(`${certificate}.pem`)),
            key: readFileSync(tlsFile(`${certificate}.key`)),
            ...tls,
          });
    server.on('connection', (socket: Socket) => socket.on('error', () => {}));
    server.on(certificate === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      this.take(socket);
    });
    server.on('tlsClientError', () => {});
    this.server = server;
    if (path === undefined) this.port = await listenBelow(server, this.port);
    else {
      server.listen(path);
      await once(server, 'listening');
    }
    return this;
  }

  private take(socket: Socket | TLSSocket): void {
    const index = this.connections.push(Buffer.alloc(0)) - 1;
    this.sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (piece: Buffer) => {
      this.connections[index] = Buffer.concat([this.connections[index] ?? Buffer.alloc(0), piece]);
      this.waiting.look();
    });
  }

  /** All that came. */
  get bytes(): Buffer {
    return Buffer.concat(this.connections);
  }

  /** Resolves when what came satisfies. */
  until(met: (bytes: Buffer) => boolean): Promise<void> {
    return this.waiting.until(() => met(this.bytes));
  }

  /** Resolves with what came once it has that many bytes. */
  async received(length: number): Promise<Buffer> {
    await this.until((bytes) => bytes.length >= length);
    return this.bytes;
  }

  /** Ends all connections and takes no more, until it is opened again. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    for (const socket of this.sockets) socket.destroy();
    server.close();
    await closed;
  }
}

export class DatagramSink {
  port = 0;
  readonly datagrams: Buffer[] = [];
  private readonly waiting = new Waiting();
  private socket: DatagramSocket | undefined;

  /** Listens; on the port that it had before, when it was closed. */
  async open(host = '127.0.0.1'): Promise<this> {
    const socket = createSocket({
      type: host.includes(':') ? 'udp6' : 'udp4',
      recvBufferSize: 4 * 1024 * 1024,
    });
    socket.on('message', (datagram) => {
      this.datagrams.push(datagram);
      this.waiting.look();
    });
    socket.bind(this.port, host);
    await once(socket, 'listening');
    this.port = socket.address().port;
    this.socket = socket;
    return this;
  }

  /** Resolves with the datagrams once there are that many. */
  async received(count: number): Promise<Buffer[]> {
    await this.waiting.until(() => this.datagrams.length >= count);
    return this.datagrams;
  }

  async close(): Promise<void> {
    const { socket } = this;
    this.socket = undefined;
    if (socket === undefined) return;
    const closed = once(socket, 'close');
    socket.close();
    await closed;
  }
}
