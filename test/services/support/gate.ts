/** A gate in front of a server that has neither credentials nor TLS of its own: it asks for them, passes on what is let in, and can keep the answers. */
import { readFileSync } from 'node:fs';
import { createServer, request as connect } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server as TlsServer } from 'node:https';
import { listenBelow } from '../../support/ports.ts';
import { tlsFile } from '../../net/servers.ts';

interface GateOptions {
  /** The header that lets in; others are answered with 401. */
  authorization?: string;
  /** Keeps what was answered. */
  keep?: boolean;
  /** Name of a certificate of `test/net/tls`; without one it speaks no TLS. */
  certificate?: string;
}

export class Gate {
  port = 0;
  /** Asked for so far. */
  requests = 0;
  readonly answers: string[] = [];
  private readonly target: number;
  private readonly authorization: string | undefined;
  private readonly keep: boolean;
  private readonly server: Server | TlsServer;

  private constructor(target: number, { authorization, certificate, keep = false }: GateOptions) {
    this.target = target;
    this.authorization = authorization;
    this.keep = keep;
    const listener = (request: IncomingMessage, response: ServerResponse): void =>
      this.pass(request, response);
    this.server =
      certificate === undefined ? createServer(listener) : createTlsServer(pair(certificate), listener);
  }

  /** Listens on loopback, in front of the server at `target`. */
  static async open(target: number, options: GateOptions): Promise<Gate> {
    const gate = new Gate(target, options);
    gate.port = await listenBelow(gate.server);
    return gate;
  }

  /** Shows another certificate from now on. */
  renew(certificate: string): void {
    (this.server as TlsServer).setSecureContext(pair(certificate));
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.server.close(resolve);
    });
    this.server.closeAllConnections();
    await closed;
  }

  private pass(request: IncomingMessage, response: ServerResponse): void {
    this.requests++;
    if (this.authorization !== undefined && request.headers.authorization !== this.authorization) {
      request.resume();
      request.on('end', () => response.writeHead(401, { 'content-type': 'text/plain' }).end('who are you?'));
      return;
    }
    const { authorization: _passed, ...headers } = request.headers;
    const { method, url: path } = request;
    const upstream = connect({ host: '127.0.0.1', port: this.target, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      if (!this.keep) return;
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('end', () => this.answers.push(Buffer.concat(pieces).toString()));
    });
    upstream.on('error', () => response.destroy());
    request.pipe(upstream);
  }
}

function pair(certificate: string): { cert: Buffer; key: Buffer } {
  return {
    cert: readFileSync(tlsFile(`${certificate}.pem`)),
    key: readFileSync(tlsFile(`${certificate}.key`)),
  };
}
