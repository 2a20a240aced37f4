/**
 * The HTTP server, in the watchdog's thread: answers `/health` and `/ready` itself when the main loop stands still, and hands
 * everything else to the routes in the main thread, as messages. Everything about a request is bounded here: size, headers, time,
 * number.
 *
 * The caller's address goes along as a field of the message, from the socket: there is no header for it that somebody could forge.
 */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StallClock } from './stall.ts';
import type { FrontAnswer, FrontRequest, Readiness } from './watchdog-messages.ts';

const BODY_LIMIT = 64 * 1024;
const HEADER_LIMIT = 16 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 64;
/** A prober waits for a second by default: what was known last is better than no answer. */
const READY_TIMEOUT_MS = 500;

/** Headers that are about the connection or the body as it came, and not for whoever answers. */
const OF_THE_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

export interface FrontOptions {
  clock: StallClock;
  /** Name of the stage that the main loop was seen in last. */
  stage: () => string;
  /** What the main thread said last. */
  readiness: () => Readiness;
  /** Hands a request to the main thread; {@link Front.answer} brings what came of it. */
  ask: (id: number, request: FrontRequest) => void;
}

export class Front {
  private readonly options: FrontOptions;
  private readonly server = createServer(
    {
      maxHeaderSize: HEADER_LIMIT,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => this.handle(request, response),
  );
  /** Who waits for the main thread. */
  private readonly waiting = new Map<number, ServerResponse>();
  private lastId = 0;

  constructor(options: FrontOptions) {
    this.options = options;
    this.server.maxConnections = MAX_CONNECTIONS;
    this.server.timeout = IDLE_TIMEOUT_MS;
  }

  /** Rejects with what the system says. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen({ host, port }, resolve);
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** What the main thread answered. Nobody may be waiting for it any more. */
  answer(id: number, { status, headers, body }: FrontAnswer): void {
    const response = this.waiting.get(id);
    if (response === undefined) return;
    this.waiting.delete(id);
    response.writeHead(status, without(headers)).end(body);
  }

  /** The main loop stands still: nobody has to wait for it. */
  giveUpWaiting(): void {
    for (const response of this.waiting.values()) this.standing(response, 504);
    this.waiting.clear();
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    request.on('error', () => {});
    response.on('error', () => {});
    const { clock } = this.options;
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const path = /^[^?#]*?(?=\/?(?:[?#]|$))/.exec(request.url ?? '')?.[0];
    if (reads && path === '/health') {
      // Alive: the event loop turns. Restarting helps where it does not.
      if (clock.sick) this.standing(response, 503, 'stalled');
      else send(response, 200, { status: 'ok' });
    } else if (clock.stands) {
      if (reads && path === '/ready') this.standing(response, 503, 'not ready');
      else this.standing(response, 504);
    } else if (reads && path === '/ready') {
      this.askReady(request, response);
    } else {
      this.read(request, response);
    }
  }

  /** Ready as of now; as of the last time that the main thread said so if it is busy. */
  private askReady(request: IncomingMessage, response: ServerResponse): void {
    const id = this.ask(request, response, undefined);
    const busy = setTimeout(() => {
      if (!this.waiting.delete(id)) return;
      const { ready, reasons } = this.options.readiness();
      send(response, ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', reasons });
    }, READY_TIMEOUT_MS);
    response.once('close', () => clearTimeout(busy));
  }

  /** Takes in the body, then asks. */
  private read(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_LIMIT) chunks.push(chunk);
      else if (!response.headersSent) {
        response.setHeader('connection', 'close');
        send(response, 413, { error: `A request's body may have ${BODY_LIMIT} bytes.` });
      }
    });
    request.on('end', () => {
      if (response.headersSent) return;
      if (this.options.clock.stands) this.standing(response, 504);
      else this.ask(request, response, size === 0 ? undefined : new Uint8Array(Buffer.concat(chunks)));
    });
  }

  private ask(request: IncomingMessage, response: ServerResponse, body: Uint8Array | undefined): number {
    const { method = 'GET', url = '/', headers, socket } = request;
    const id = ++this.lastId;
    this.waiting.set(id, response);
    response.once('close', () => this.waiting.delete(id));
    this.options.ask(id, { method, url, headers: without(headers), body, address: socket.remoteAddress });
    return id;
  }

  /** Says that the main loop stands still, and where. */
  private standing(response: ServerResponse, code: number, status?: string): void {
    const { clock, stage } = this.options;
    const sentence = `The main loop has stood still for ${clock.seconds} s, last seen in ${stage()}.`;
    if (status !== undefined) send(response, code, { status, reasons: [sentence] });
    else
      send(response, code, {
        error: `${sentence} What was asked for before may still be done when it goes on.`,
      });
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

function without<H extends IncomingHttpHeaders | OutgoingHttpHeaders>(headers: H): H {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name))) as H;
}
