/**
 * HTTP/2 on the port of HTTP/1.1. Which of them a connection speaks is what TLS agreed on; without encryption its first bytes say it, for
 * clients that know beforehand (gRPC does): the upgrade from HTTP/1.1 is not there.
 *
 * Requests come as Node's compatible objects, so that all behind this file is one code; either-http.ts is for where they differ.
 *
 * Source: https://www.rfc-editor.org/rfc/rfc9113#preface
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http2';
import type { Http2Server, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** What a connection begins with that speaks HTTP/2. No method of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** Requests at a time on one connection. */
const MAX_STREAMS = 100;

export interface Http2Options {
  encrypted: boolean;
  /** For the first bytes. Milliseconds. */
  acceptTimeoutMs: number;
  /** Without a request on a connection. Milliseconds. */
  idleTimeoutMs: number;
  maxHeaderBytes: number;
  /** The connection came to nothing. */
  failed: () => void;
  handle: (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void;
}

type Listener = (socket: Socket) => void;

export class Http2Front {
  private readonly options: Http2Options;
  private readonly server: Http2Server;
  private readonly sessions = new Set<ServerHttp2Session>();
  /** Connections that have not said yet what they speak. */
  private readonly silent = new Set<Socket>();

  /** Takes the connections of `server` before it does, and leaves to it those that speak HTTP/1.1. */
  constructor(server: Server, options: Http2Options) {
    this.options = options;
    this.server = createServer({
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: options.maxHeaderBytes },
    });
    const { handle } = options;
    const taking =
      (expectsContinue: boolean) => (request: Http2ServerRequest, response: Http2ServerResponse) =>
        // Node's compatibility API: the types do not know that it is one.
        handle(request as unknown as IncomingMessage, response as unknown as ServerResponse, expectsContinue);
    this.server.on('request', taking(false));
    this.server.on('checkContinue', taking(true));
    this.server.on('sessionError', options.failed);
    this.server.on('session', (session) => this.hold(session));
    const event = options.encrypted ? 'secureConnection' : 'connection';
    const [http1] = server.listeners(event).slice(-1) as [Listener];
    server.removeListener(event, http1);
    server.on(event, (socket: Socket) => {
      if (options.encrypted) this.give(socket, (socket as TLSSocket).alpnProtocol === 'h2', http1, server);
      else this.listen(socket, (speaksHttp2) => this.give(socket, speaksHttp2, http1, server));
    });
  }

  /** Takes no request any more; those that are open go on. */
  stop(): void {
    for (const session of this.sessions) session.close();
    for (const socket of this.silent) socket.destroy();
  }

  /** Ends all connections. */
  close(): void {
    for (const session of this.sessions) session.destroy();
  }

  private give(socket: Socket, speaksHttp2: boolean, http1: Listener, server: Server): void {
    if (speaksHttp2) this.server.emit('connection', socket);
    else http1.call(server, socket);
  }

  /** Waits for the first bytes of a connection, and puts them back. */
  private listen(socket: Socket, decide: (speaksHttp2: boolean) => void): void {
    this.silent.add(socket);
    let first: Buffer = Buffer.alloc(0);
    const give = (speaksHttp2: boolean): void => {
      leave();
      socket.unshift(first);
      decide(speaksHttp2);
    };
    const onReadable = (): void => {
      const piece = socket.read() as Buffer | null;
      if (piece === null) return;
      first = first.length === 0 ? piece : Buffer.concat([first, piece]);
      const length = Math.min(first.length, PREFACE.length);
      if (!PREFACE.subarray(0, length).equals(first.subarray(0, length))) give(false);
      else if (length === PREFACE.length) give(true);
    };
    const onFailed = (): void => {
      this.options.failed();
      onOver();
    };
    const onOver = (): void => {
      leave();
      socket.destroy();
    };
    const leave = (): void => {
      this.silent.delete(socket);
      socket.setTimeout(0);
      socket.off('readable', onReadable).off('timeout', onFailed).off('error', onFailed);
      socket.off('end', onOver).off('close', onOver);
    };
    socket.setTimeout(this.options.acceptTimeoutMs);
    socket.on('readable', onReadable).on('timeout', onFailed).on('error', onFailed);
    socket.on('end', onOver).on('close', onOver);
  }

  private hold(session: ServerHttp2Session): void {
    this.sessions.add(session);
    let open = 0;
    session.on('stream', (stream) => {
      open++;
      stream.once('close', () => {
        open--;
      });
    });
    session.on('close', () => this.sessions.delete(session));
    session.setTimeout(this.options.idleTimeoutMs, () => {
      // Records that are not safe yet keep a client waiting.
      if (open === 0) session.close();
    });
  }
}
