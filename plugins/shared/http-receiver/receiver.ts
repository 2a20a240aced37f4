/**
 * The listener: takes requests, hands their records to the pipeline, and answers when these are safe (DELIVERY.md, rule 11).
 * Everything about a request is bounded: connections, head, body, room in memory, and the time for each of them.
 */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { credentialsOf, hasBasic, hasBearer, isOneOf, listenFailure, Receipt } from '../../../src/plugin.ts';
import type { Emit, Input, InputContext, ListenerTls } from '../../../src/plugin.ts';
import { admitBody, readBody } from './body.ts';
import { streamOf } from './either-http.ts';
import { Exchange } from './exchange.ts';
import type { Http2Front } from './http2.ts';
import type { Protocol, Taken } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { RefusalLog } from './refusal-log.ts';
import { RequestMetrics } from './request-metrics.ts';
import { Room } from './room.ts';
import type { ReceiverSettings } from './settings.ts';

const MAX_HEADER_BYTES = 16 * 1024;
/** How often overdue heads and requests are looked for. Milliseconds. */
const CHECK_EVERY_MS = 500;
/** What an answer gets to go out when everything is closed. Milliseconds. */
const LAST_ANSWERS_MS = 200;

export class HttpReceiver implements Input {
  private readonly settings: ReceiverSettings;
  private readonly protocol: Protocol;
  private readonly context: InputContext;
  private readonly tls: ListenerTls | undefined;
  private readonly metrics: RequestMetrics;
  private readonly refusals: RefusalLog;
  private readonly exchanges = new Set<Exchange>();
  private server: Server | undefined;
  private http2: Http2Front | undefined;
  private emit: Emit | undefined;

  constructor(
    settings: ReceiverSettings,
    protocol: Protocol,
    context: InputContext,
    tls: ListenerTls | undefined,
  ) {
    this.settings = settings;
    this.protocol = protocol;
    this.context = context;
    this.tls = tls;
    this.metrics = new RequestMetrics(context);
    this.refusals = new RefusalLog(context.log);
  }

  async start(emit: Emit): Promise<void> {
    const { settings, context, tls } = this;
    const server = await this.createServer();
    this.server = server;
    this.emit = emit;
    if (settings.maxConnections > 0) server.maxConnections = settings.maxConnections;
    server.on('drop', () => this.metrics.connectionRefused());
    server.on('request', (request, response) => void this.handle(request, response, false));
    server.on('checkContinue', (request, response) => void this.handle(request, response, true));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.answerBroken(error, socket));
    if (settings.http2) {
      const { Http2Front: Front } = await import('./http2.ts');
      this.http2 = new Front(server, {
        encrypted: tls !== undefined,
        acceptTimeoutMs: settings.acceptTimeoutMs,
        idleTimeoutMs: settings.idleTimeoutMs,
        maxHeaderBytes: MAX_HEADER_BYTES,
        failed: () => this.metrics.connectionFailed(),
        handle: (request, response, expectsContinue) => void this.handle(request, response, expectsContinue),
      });
    }
    const { host, port, backlog, sharePort } = settings;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const attempt = { who: context.name, host, port, hostKey: 'listen', portKey: 'port' };
        reject(new Error(listenFailure(attempt, error), { cause: error }));
      });
      server.listen({ host, port, backlog, reusePort: sharePort }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) => context.log.error({ error }, 'Cannot accept connections; will try again'));
    const address = server.address() as AddressInfo;
    context.log.info(
      { address: address.address, port: address.port, tls: tls !== undefined },
      'Listening for HTTP requests',
    );
  }

  /** Takes no request any more; those whose records the pipeline has are answered as these settle. */
  stop(): void {
    this.emit = undefined;
    this.server?.close();
    this.http2?.stop();
    for (const exchange of this.exchanges) {
      exchange.isLast();
      if (exchange.state === 'reading') exchange.refuse(new Refusal(503, 'The agent is stopping.'));
    }
  }

  /** What is not settled by now is not going to be. */
  async close(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    const answers: Promise<void>[] = [];
    for (const exchange of this.exchanges) {
      answers.push(new Promise((resolve) => void exchange.response.once('close', resolve)));
      exchange.refuse(new Refusal(503, 'The agent stopped before the records were safe: send them again.'));
    }
    if (answers.length > 0) {
      let timer: NodeJS.Timeout | undefined;
      const over = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_ANSWERS_MS);
      });
      await Promise.race([Promise.all(answers), over]);
      clearTimeout(timer);
    }
    server.closeAllConnections();
    this.http2?.close();
  }

  private async createServer(): Promise<Server> {
    const { acceptTimeoutMs, requestTimeoutMs, idleTimeoutMs } = this.settings;
    const options: ServerOptions = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: Math.min(acceptTimeoutMs, requestTimeoutMs),
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: idleTimeoutMs,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      keepAlive: true,
    };
    const { tls } = this;
    if (tls === undefined) return createServer(options);
    const { createServer: createTlsServer } = await import('node:https');
    const server = createTlsServer({
      ...options,
      ...tls.options,
      handshakeTimeout: acceptTimeoutMs,
      ALPNProtocols: this.settings.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
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

  private async handle(
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<void> {
    const exchange = new Exchange(request, response, {
      expectsContinue,
      settings: this.settings,
      protocol: this.protocol,
      metrics: this.metrics,
      refusals: this.refusals,
    });
    if (this.emit === undefined) exchange.isLast();
    this.exchanges.add(exchange);
    response.once('close', () => {
      this.exchanges.delete(exchange);
      exchange.closed();
    });
    const room = new Room(this.context);
    if (streamOf(request) !== undefined) {
      // The server of HTTP/1.1 sees to that itself.
      exchange.after(this.settings.requestTimeoutMs, () =>
        exchange.refuse(new Refusal(408, 'The request did not come in time.')),
      );
    }
    try {
      await this.take(exchange, room);
    } catch (error) {
      if (error instanceof Refusal) {
        exchange.refuse(error);
      } else {
        this.context.log.error({ error }, 'Taking a request failed');
        exchange.refuse(new Refusal(500, 'Internal error; see the log of the agent.'));
      }
    } finally {
      room.release();
    }
  }

  private async take(exchange: Exchange, room: Room): Promise<void> {
    const { request } = exchange;
    const { settings } = this;
    this.checkTaking();
    if (this.protocol.answersOpenly?.(exchange)) return;
    this.checkCredentials(exchange);
    const takeBody = this.protocol.accept(exchange);
    if (takeBody === undefined) return;
    const limits = { maxBytes: settings.maxBodyBytes, idleMs: settings.bodyIdleMs };
    admitBody(request, room, limits);
    exchange.askForBody();
    const body = await readBody(request, room, limits, exchange.answered);
    // A stop may have answered since the last byte.
    if (exchange.state !== 'reading') return;
    const taken = await takeBody(body, room, limits);
    if (exchange.state !== 'reading') return;
    this.deliver(exchange, taken);
  }

  private deliver(exchange: Exchange, { byTag, answer }: Taken): void {
    const emit = this.checkTaking();
    exchange.state = 'waiting';
    if (byTag.size === 0) {
      exchange.succeed(answer);
      return;
    }
    const receipt = new Receipt((safe) => {
      if (safe) exchange.succeed(answer);
      else exchange.refuse(new Refusal(503, 'Some of the records were given up: send them again.'));
    });
    // Each batch releases one hold, and the receipt was made with one.
    for (let batch = 1; batch < byTag.size; batch++) receipt.hold();
    // Room was reserved before: what `emit` promises is not waited for.
    for (const [tag, batch] of byTag) void emit(tag, batch, receipt);
    if (exchange.state !== 'waiting') return;
    exchange.after(this.settings.ackTimeoutMs, () => {
      exchange.refuse(
        new Refusal(503, 'The records are not safe yet: they are on their way, but send them again.'),
      );
    });
  }

  private checkTaking(): Emit {
    if (this.emit === undefined) throw new Refusal(503, 'The agent is stopping.');
    return this.emit;
  }

  private checkCredentials({ request, response }: Exchange): void {
    const { token, user, apiKey } = this.settings;
    if (token === undefined && user === undefined && apiKey === undefined) return;
    const { authorization } = request.headers;
    if (token !== undefined && hasBearer(authorization, token.reveal())) return;
    if (apiKey !== undefined && isOneOf(credentialsOf(authorization, 'ApiKey'), [apiKey])) return;
    if (user !== undefined && hasBasic(authorization, user.name, user.password.reveal())) return;
    response.setHeader(
      'www-authenticate',
      `${token !== undefined ? 'Bearer' : user !== undefined ? 'Basic' : 'ApiKey'} realm="tailrace"`,
    );
    throw new Refusal(401, 'The header Authorization is missing or wrong.');
  }

  /** What is no HTTP, a head that is too long, or a request that did not come in time. */
  private answerBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const status = statusOf(error);
    const open = [...this.exchanges].find(({ request }) => request.socket === socket);
    if (open !== undefined && open.state === 'reading' && status !== 0) {
      open.isLast();
      open.refuse(new Refusal(status, 'The request is broken, or did not come in time.'));
    } else if (open !== undefined || status === 0 || !socket.writable) {
      if (open === undefined) this.metrics.connectionFailed();
      socket.destroy();
    } else {
      this.metrics.answered(status);
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
    }
  }
}

/** The status of the answer to what the parser gave up; 0: nobody is there to read one. */
function statusOf({ code = '' }: NodeJS.ErrnoException): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  return code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' ? 400 : 0;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};
