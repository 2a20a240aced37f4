/** Real servers on free local ports: HTTP and HTTPS that note what they get, and a proxy. */
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { join } from 'node:path';

export interface Received {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  rawHeaders: string[];
  body: Buffer;
}

export interface TestServer {
  port: number;
  requests: Received[];
  /** Connections made so far. */
  connections: number;
  close(): Promise<void>;
}

export type Answer = (request: Received, response: ServerResponse, index: number) => void;

const ok: Answer = (_request, response) => {
  response.end();
};

export function tlsFile(name: string): string {
  return join(import.meta.dirname, 'tls', name);
}

export interface ServerOptions {
  host?: string;
  tls?: { certificate: string; clientCertificate?: boolean };
}

/** A server that notes every request, then answers it. */
export async function startServer(answer: Answer = ok, options: ServerOptions = {}): Promise<TestServer> {
  const requests: Received[] = [];
  const listener: RequestListener = (request, response) => {
    const pieces: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      const received = { method, url, headers, rawHeaders, body: Buffer.concat(pieces) };
      requests.push(received);
      answer(received, response, requests.length - 1);
    });
  };
  const { tls } = options;
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer(
          {
            cert: readFileSync(tlsFile(`${tls.certificate}.pem`)),
            key: readFileSync(tlsFile(`${tls.certificate}.key`)),
            ...(tls.clientCertificate === true
              ? { ca: readFileSync(tlsFile('ca.pem')), requestCert: true, rejectUnauthorized: true }
              : {}),
          },
          listener,
        );
  return listening(server, requests, options.host ?? '127.0.0.1');
}

export interface TestProxy extends TestServer {
  /** What CONNECT asked for, `host:port`. */
  tunnels: string[];
}

/**
 * A proxy: CONNECT opens a tunnel, everything else is answered with 200. `password` is what it wants as basic credentials; `tls` a
 * certificate that it is reached with.
 */
export async function startProxy(password?: string, tls?: string): Promise<TestProxy> {
  const tunnels: string[] = [];
  const requests: Received[] = [];
  const wanted = password === undefined ? undefined : `Basic ${Buffer.from(password).toString('base64')}`;
  const listener: RequestListener = (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = request;
      requests.push({ method, url, headers, rawHeaders, body: Buffer.concat(pieces) });
      response.statusCode = wanted !== undefined && headers['proxy-authorization'] !== wanted ? 407 : 200;
      response.end();
    });
  };
  const server =
    tls === undefined
      ? createServer(listener)
      : createTlsServer(
          { cert: readFileSync(tlsFile(`${tls}.pem`)), key: readFileSync(tlsFile(`${tls}.key`)) },
          listener,
        );
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    tunnels.push(request.url ?? '');
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    const [host = '', port = ''] = (request.url ?? '').split(/:(?=\d+$)/);
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  return Object.assign(await listening(server, requests, '127.0.0.1'), { tunnels });
}

async function listening(
  server: Server | NetServer,
  requests: Received[],
  host: string,
): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const started: TestServer = {
    port: 0,
    requests,
    connections: 0,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
  server.on('connection', (socket: Socket) => {
    started.connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  started.port = (server.address() as AddressInfo).port;
  return started;
}
