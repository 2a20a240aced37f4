/** What servers for streams share, whatever is spoken over them: TLS whose files may change, and listening on a port. */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { listenFailure } from '../../src/plugin.ts';
import type { InputContext, ListenerTls } from '../../src/plugin.ts';

export interface StreamServerOptions {
  tls: ListenerTls | undefined;
  /** For the TLS handshake. Milliseconds. */
  acceptTimeoutMs: number;
  log: InputContext['log'];
  /** A connection that can be read. */
  take: (socket: Socket) => void;
  /** A TLS handshake failed, or took too long. */
  onFailed: () => void;
}

/** Makes a server that does not listen yet. */
export async function createStreamServer(options: StreamServerOptions): Promise<Server> {
  const { tls, acceptTimeoutMs, log, take, onFailed } = options;
  if (tls === undefined) return createServer({ noDelay: true, keepAlive: true }, take);
  const { createServer: createTlsServer } = await import('node:tls');
  const server = createTlsServer(
    { ...tls.options, handshakeTimeout: acceptTimeoutMs, noDelay: true, keepAlive: true },
    take,
  );
  server.on('tlsClientError', (_error, socket) => {
    onFailed();
    // Node.js leaves it open when the handshake took too long.
    socket.destroy();
  });
  // Before the server's own listener, which takes the certificate for this connection.
  server.prependListener('connection', () => {
    try {
      if (tls.refresh()) server.setSecureContext(tls.options);
    } catch (error) {
      log.error({ error }, 'Cannot use the new TLS files; the old ones stay in use');
    }
  });
  return server;
}

/** Listens on a port; `who` is named in the sentence that it throws when that cannot be had. */
export function listenOnPort(
  server: Server,
  where: { host: string; port: number; backlog: number; sharePort: boolean },
  who: string,
): Promise<void> {
  const { host, port, backlog, sharePort } = where;
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const attempt = { who, host, port, hostKey: 'listen', portKey: 'port' };
      reject(new Error(listenFailure(attempt, error), { cause: error }));
    };
    server.once('error', fail);
    server.listen({ host, port, backlog, reusePort: sharePort }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
