/** A TCP proxy on loopback that keeps answers back: for what happens between the server's deed and the client's knowledge of it. */
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { listenBelow } from '../../support/ports.ts';

export class AnswerProxy {
  port = 0;
  private readonly target: number;
  private readonly holds: (request: string) => boolean;
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private resolveHeld: (request: string) => void = () => undefined;
  /** Resolves with the first request whose answer is kept back, when the server has given it. */
  readonly held: Promise<string>;

  /** `target` is the server's port on 127.0.0.1; `holds` looks at method and path: `PUT /bucket/key?partNumber=1`. */
  constructor(target: number, holds: (request: string) => boolean) {
    this.target = target;
    this.holds = holds;
    this.held = new Promise((resolve) => {
      this.resolveHeld = resolve;
    });
    this.server = createServer((client) => this.connect(client));
  }

  async open(): Promise<this> {
    this.port = await listenBelow(this.server);
    return this;
  }

  private connect(client: Socket): void {
    const server = connect(this.target, '127.0.0.1');
    let request = '';
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
    client.on('data', (bytes: Buffer) => {
      const [, line] =
        /^((?:GET|PUT|POST|DELETE) \S+) HTTP\/1\.1\r\n/.exec(bytes.toString('latin1', 0, 4096)) ?? [];
      request = line ?? request;
      server.write(bytes);
    });
    server.on('data', (bytes: Buffer) => {
      const isContinue = bytes.toString('latin1', 0, 12) === 'HTTP/1.1 100';
      if (isContinue || !this.holds(request)) client.write(bytes);
      else this.resolveHeld(request);
    });
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }
}
