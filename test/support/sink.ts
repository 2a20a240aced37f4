/** An HTTP destination in the test's process: takes `json_lines` of numbered lines, plain, gzip or zstd, keeps every request, and answers as scripted. */
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { listenBelow } from './ports.ts';
import { readNumbered } from './numbered.ts';
import type { NumberedLine } from './numbered.ts';

/** What the sink does with a request. */
export type Behaviour =
  | {
      status: number;
      headers?: Record<string, string>;
      /** Milliseconds before the answer. */
      afterMs?: number;
      /** The answer waits for it. */
      after?: Promise<void>;
    }
  /** Writes the answer itself, and returns the lines that are stored. */
  | { answer: (lines: NumberedLine[], response: ServerResponse) => NumberedLine[] }
  /** Takes the records and cuts the connection before the answer. */
  | 'reset after'
  /** Cuts the connection in the middle of the body. */
  | 'reset within'
  /** Takes the records and never answers. */
  | 'silent';

export interface SinkRequest {
  /** Position among all requests of the sink. */
  index: number;
  /** Monotonic milliseconds of its arrival. */
  at: number;
  lines: NumberedLine[];
  /** Records that are no numbered line, as text. */
  others: string[];
  /** The sink has the records: it answered 2xx, or cut the connection or fell silent behind their last byte. */
  stored: boolean;
  /** The whole answer went out. */
  answered: boolean;
}

interface Waiter {
  met: () => boolean;
  resolve: () => void;
}

/** A sink that is waited for and gets no request for so long gets none any more. Milliseconds. */
const SILENCE_MS = 10_000;

const OK: Behaviour = { status: 200 };

export class HttpSink {
  readonly requests: SinkRequest[] = [];
  /** Says what to do with a request before its body is read; `index` counts from 0. */
  behave: (index: number) => Behaviour = () => OK;
  /** Says what to do with a request whose body was read, in place of what {@link behave} said. */
  refuse: ((request: SinkRequest) => Behaviour | undefined) | undefined;
  /** Called when a request was taken in and before it is answered. */
  onRequest: ((request: SinkRequest) => void) | undefined;
  /** Distinct numbered lines that are stored. */
  private readonly seen = new Set<string>();
  private server: Server | undefined;
  private count = 0;
  private waiters: Waiter[] = [];
  port = 0;

  /** Listens on any free port, after the first time on that one. */
  async open(): Promise<this> {
    const server = createServer({ keepAlive: true }, (request, response) => this.handle(request, response));
    server.keepAliveTimeout = 60_000;
    this.server = server;
    this.port = await listenBelow(server, this.port);
    return this;
  }

  /** Refuses connections from now on and cuts those that are there. */
  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  /** Closes all connections that no request is on, without a word. */
  hangUp(): void {
    this.server?.closeIdleConnections();
  }

  /** Distinct lines that it has. */
  get distinct(): number {
    return this.seen.size;
  }

  has(stream: string, n: number): boolean {
    return this.seen.has(`${stream}:${n}`);
  }

  /** Resolves when `met` is true; looked at after every request. Rejects when no request comes any more. */
  until(met: () => boolean): Promise<void> {
    if (met()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let count = this.count;
      const waiter: Waiter = {
        met,
        resolve: () => {
          clearInterval(silence);
          resolve();
        },
      };
      const silence = setInterval(() => {
        if (this.count === count) {
          clearInterval(silence);
          reject(new Error(`Waiting for records: no request for ${SILENCE_MS / 1000} s. ${this.describe()}`));
        }
        count = this.count;
      }, SILENCE_MS);
      this.waiters.push(waiter);
    });
  }

  /** Resolves when that many distinct lines are there. */
  reached(distinct: number): Promise<void> {
    return this.until(() => this.distinct >= distinct);
  }

  /** What it has, in words. */
  describe(): string {
    const highest = new Map<string, number>();
    for (const { stored, lines } of this.requests) {
      if (stored)
        for (const { stream, n } of lines) highest.set(stream, Math.max(n, highest.get(stream) ?? 0));
    }
    const gaps = [...highest].map(([stream, last]) => {
      const missing: number[] = [];
      for (let n = 0; n < last; n++) if (!this.has(stream, n)) missing.push(n);
      return `${stream} to ${last}, ${missing.length} missing below: ${missing.slice(0, 3).join(', ')} … ${missing.at(-1)}`;
    });
    return `The sink on port ${this.port} took ${this.count} requests, has ${this.distinct} lines (${gaps.join('; ')}).`;
  }

  private handle(message: IncomingMessage, response: ServerResponse): void {
    const request: SinkRequest = {
      index: this.count++,
      at: performance.now(),
      lines: [],
      others: [],
      stored: false,
      answered: false,
    };
    let behaviour = this.behave(request.index);
    const chunks: Buffer[] = [];
    message.on('error', () => {});
    response.on('error', () => {});
    message.on('data', (chunk: Buffer) => {
      if (behaviour === 'reset within') message.socket.resetAndDestroy();
      else chunks.push(chunk);
    });
    message.on('end', () => {
      this.requests.push(request);
      read(decompress(Buffer.concat(chunks), message.headers['content-encoding']), request);
      this.onRequest?.(request);
      behaviour = this.refuse?.(request) ?? behaviour;
      const answer = (): void => this.answer(behaviour, request, message, response);
      if (typeof behaviour === 'string' || 'answer' in behaviour) answer();
      else if (behaviour.after !== undefined) void behaviour.after.then(answer);
      else if (behaviour.afterMs !== undefined) setTimeout(answer, behaviour.afterMs).unref();
      else answer();
    });
  }

  private answer(
    behaviour: Behaviour,
    request: SinkRequest,
    message: IncomingMessage,
    response: ServerResponse,
  ): void {
    if (behaviour === 'reset after') {
      this.store(request);
      message.socket.resetAndDestroy();
    } else if (behaviour === 'silent') {
      this.store(request);
    } else if (typeof behaviour === 'object' && 'answer' in behaviour) {
      request.lines = behaviour.answer(request.lines, response);
      this.store(request);
    } else if (behaviour !== 'reset within') {
      const { status, headers = {} } = behaviour;
      response.on('finish', () => {
        request.answered = true;
      });
      response.writeHead(status, headers);
      response.end(status < 300 ? '' : `{"error":"scripted ${status}"}`);
      if (status < 300) this.store(request);
    }
    this.look();
  }

  private store(request: SinkRequest): void {
    request.stored = true;
    for (const { stream, n } of request.lines) this.seen.add(`${stream}:${n}`);
  }

  private look(): void {
    const met = this.waiters.filter((waiter) => waiter.met());
    this.waiters = this.waiters.filter((waiter) => !met.includes(waiter));
    for (const { resolve } of met) resolve();
  }
}

function decompress(body: Buffer, encoding: string | undefined): string {
  if (encoding === 'gzip') return gunzipSync(body).toString();
  return encoding === 'zstd' ? zstdDecompressSync(body).toString() : body.toString();
}

function read(body: string, request: SinkRequest): void {
  for (const text of body.split('\n')) {
    if (text === '') continue;
    const line = readNumbered(logOf(text));
    if (line === undefined) request.others.push(text);
    else request.lines.push(line);
  }
}

/** The field `log` of a record; empty where there is none. */
function logOf(json: string): string {
  try {
    const { log } = JSON.parse(json) as { log?: unknown };
    return typeof log === 'string' ? log : '';
  } catch {
    return '';
  }
}
