/** A TCP proxy on loopback that can be cut: a server that keeps everything in memory is cut off by it instead of being killed. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { listenBelow } from '../../support/ports.ts';

export class CutProxy {
  port = 0;
  private readonly target: number;
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;

  /** `target` is the server's port on 127.0.0.1. */
  constructor(target: number) {
    this.target = target;
  }

  /** Listens; at the same port as before when it was cut. */
  async open(): Promise<this> {
    this.server = createServer((client) => {
      const server = connect(this.target, '127.0.0.1');
      for (const [socket, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.sockets.delete(socket);
          other.destroy();
        });
      }
      client.pipe(server).pipe(client);
    });
    this.port = await listenBelow(this.server, this.port);
    return this;
  }

  /** Resets all connections and takes no more, until it is opened again. */
  async cut(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    const closed = new Promise((resolve) => {
      if (server === undefined) resolve(undefined);
      else server.close(resolve);
    });
    for (const socket of this.sockets) socket.resetAndDestroy();
    await closed;
  }
}
