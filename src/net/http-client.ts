/**
 * The HTTP client of the outputs: one destination, connections kept and reused, everything about an answer bounded: its time,
 * its size, the text that is kept of it. Redirects are not followed: credentials would go with them.
 *
 * Errors are those of the destination: {@link RetryableError} with a sentence that names host and cause.
 */
import type { buildConnector, Dispatcher } from 'undici';
import type * as undiciModule from 'undici';
import { RetryableError } from '../event/outcome.ts';
import { describeFailure } from './failure.ts';
import { linesOf } from './lines.ts';
import { preferring } from './lookup.ts';
import { proxyFromEnvironment, shownUrl } from './proxy.ts';
import { TlsMaterial } from './tls.ts';
import type { TlsSettings } from './tls.ts';

/** Kept of an answer unless the request asks for more, bytes. */
const KEPT_BYTES = 64 * 1024;
/** An answer is read to its end up to here, so that the connection can be used again; beyond, the connection is closed. */
const READ_BYTES = 1024 * 1024;

export interface HttpClientOptions {
  host: string;
  port: number;
  /** Undefined for an unencrypted connection. */
  tls?: TlsSettings | undefined;
  /** URL of a proxy; may hold user and password. Undefined: by the environment. */
  proxy?: string | undefined;
  /** For a proxy that is reached by TLS; undefined: it is verified by the system's authorities. */
  proxyTls?: TlsSettings | undefined;
  /** HTTP_PROXY and its kind are not looked at. */
  ignoreProxyEnvironment?: boolean;
  /** Milliseconds until a connection must stand, TLS included; 0: no limit. */
  connectTimeoutMs: number;
  /** Milliseconds from the start of a request to the end of its answer; 0: no limit. */
  responseTimeoutMs: number;
  /** Milliseconds between two pieces of an answer; 0: no limit. */
  readIdleTimeoutMs: number;
  keepAlive: boolean;
  keepAliveIdleMs: number;
  /** Requests on one connection; 0: no limit. */
  maxRequestsPerConnection: number;
  /** Connections; 0: no limit. */
  maxConnections: number;
  /** Local address to connect from. */
  sourceAddress?: string | undefined;
  /** Which addresses of a name come first. */
  prefer?: 'ipv4' | 'ipv6' | undefined;
  /** HTTP/2 where TLS agrees on it (`offer`), or without asking, also unencrypted (`only`). Undefined: HTTP/1.1. */
  http2?: 'offer' | 'only' | undefined;
}

export interface HttpRequest {
  method: 'POST' | 'PUT' | 'GET' | 'HEAD' | 'DELETE';
  /** Path and query, beginning with a slash. */
  path: string;
  headers: Record<string, string | string[]>;
  body?: Uint8Array | string;
  /** Bytes of the answer's body that are kept; default 64 KiB. */
  keepBytes?: number;
  /** Gives up at once. */
  signal: AbortSignal;
}

export interface HttpResponse {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /** What came behind the body. */
  trailers: Readonly<Record<string, string | string[] | undefined>>;
  /** The start of the body, {@link HttpRequest.keepBytes} at most. */
  bytes: Buffer;
  /** The same as text. */
  readonly text: string;
}

export interface HttpStreamRequest extends Omit<HttpRequest, 'keepBytes'> {
  /** Milliseconds between two pieces of the answer, its head included; 0: no limit. */
  idleTimeoutMs: number;
}

/** An answer whose body is read as it comes. To be read to its end, or given up by the signal: it has a connection for itself. */
export interface HttpStream {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  /**
   * The lines of the body, without their ends. Ends when the server ends it; what stands behind its last line end is no line. Throws
   * {@link RetryableError} when the connection breaks, is silent for too long, or a line is longer than `maxLineBytes`.
   */
  lines(maxLineBytes: number): AsyncIterable<Buffer>;
  /** The start of the body as text, read to its end: for an answer that is no stream. */
  text(keepBytes?: number): Promise<string>;
}

type Undici = typeof undiciModule;
type Answer = Dispatcher.ResponseData;

export class HttpClient {
  /** Scheme, host and port, as it may be shown. */
  readonly origin: string;
  private readonly undici: Undici;
  private readonly options: HttpClientOptions;
  private readonly proxy: string | undefined;
  private readonly tls: TlsMaterial | undefined;
  private readonly proxyTls: TlsMaterial | undefined;
  private dispatcher: Dispatcher;
  private readonly retired = new Set<Promise<void>>();

  private constructor(undici: Undici, options: HttpClientOptions) {
    this.undici = undici;
    this.options = options;
    const { host, port, tls } = options;
    const scheme = tls === undefined ? 'http' : 'https';
    const url = new URL(
      `${scheme}://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`,
    );
    this.origin = url.origin;
    this.proxy =
      options.proxy ??
      (options.ignoreProxyEnvironment === true ? undefined : proxyFromEnvironment(url, process.env));
    this.tls = tls === undefined ? undefined : new TlsMaterial(tls);
    const { proxyTls = { verify: true, verifyHostname: true } } = options;
    this.proxyTls = this.proxy?.startsWith('https:') === true ? new TlsMaterial(proxyTls) : undefined;
    this.dispatcher = this.connectAnew();
  }

  /** Loads the HTTP library and reads the certificates. Connects at the first request. Throws for a setting that cannot work. */
  static async create(options: HttpClientOptions): Promise<HttpClient> {
    return new HttpClient(await import('undici'), options);
  }

  /** The proxy in use, without credentials. */
  get proxyShown(): string | undefined {
    return this.proxy === undefined ? undefined : shownUrl(this.proxy);
  }

  /** One request. Throws {@link RetryableError} when no whole answer came, and the signal's reason when that was aborted. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    const { signal, keepBytes = KEPT_BYTES } = request;
    const limit = this.limit(signal, 'whole answer');
    try {
      const response = await this.send(request, limit.signal, this.options.readIdleTimeoutMs);
      const bytes = await readBounded(response.body, keepBytes);
      return {
        status: response.statusCode,
        headers: response.headers,
        trailers: response.trailers,
        bytes,
        get text() {
          return bytes.toString('utf8');
        },
      };
    } catch (error) {
      throw this.failure(error, signal, limit);
    } finally {
      limit.end();
    }
  }

  /**
   * One request whose answer is read as it comes, for as long as it takes. Throws like {@link request} when no head of an answer came
   * within the time of an answer.
   */
  async stream(request: HttpStreamRequest): Promise<HttpStream> {
    const { signal, idleTimeoutMs } = request;
    const limit = this.limit(signal, 'answer');
    let answer: Answer;
    try {
      answer = await this.send(request, limit.signal, idleTimeoutMs);
    } catch (error) {
      limit.end();
      throw this.failure(error, signal, limit);
    }
    limit.stopClock();
    const failure = (error: unknown): unknown => this.failure(error, signal, limit);
    return {
      status: answer.statusCode,
      headers: answer.headers,
      async *lines(maxLineBytes) {
        try {
          yield* linesOf(answer.body as AsyncIterable<Buffer>, maxLineBytes);
        } catch (error) {
          throw failure(error);
        } finally {
          limit.end();
        }
      },
      async text(keepBytes = KEPT_BYTES) {
        try {
          return (await readBounded(answer.body, keepBytes)).toString('utf8');
        } catch (error) {
          throw failure(error);
        } finally {
          limit.end();
        }
      },
    };
  }

  private send(
    { method, path, headers, body, signal }: HttpRequest,
    limit: AbortSignal,
    idleMs: number,
  ): Promise<Answer> {
    signal.throwIfAborted();
    this.refresh();
    return this.dispatcher.request({
      origin: this.origin,
      path,
      method,
      headers,
      body: body ?? null,
      signal: limit,
      headersTimeout: idleMs,
      bodyTimeout: idleMs,
      ...(this.options.keepAlive ? {} : { reset: true }),
    });
  }

  /** The caller's signal together with the time for an answer. */
  private limit(signal: AbortSignal, what: string): Limit {
    const { responseTimeoutMs } = this.options;
    const limit = new AbortController();
    const onAbort = (): void => limit.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer =
      responseTimeoutMs === 0
        ? undefined
        : setTimeout(
            () => limit.abort(new Error(`no ${what} within ${responseTimeoutMs / 1000} s`)),
            responseTimeoutMs,
          );
    return {
      signal: limit.signal,
      stopClock: () => clearTimeout(timer),
      end() {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      },
    };
  }

  private failure(error: unknown, signal: AbortSignal, limit: Limit): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof RetryableError) return error;
    const cause = limit.signal.aborted ? limit.signal.reason : error;
    return new RetryableError(`${this.place}: ${describeFailure(cause)}`, { cause });
  }

  /** Where requests go, for messages: `https://es:9200 (through http://proxy:3128)`. */
  get place(): string {
    return this.proxy === undefined ? this.origin : `${this.origin} (through ${shownUrl(this.proxy)})`;
  }

  /** Ends all connections; requests in flight fail. */
  async close(): Promise<void> {
    await this.dispatcher.destroy();
    await Promise.all(this.retired);
  }

  /** Takes changed certificates for the connections from now on. */
  private refresh(): void {
    let changed = false;
    try {
      for (const material of [this.tls, this.proxyTls]) if (material?.refresh() === true) changed = true;
    } catch (error) {
      throw new RetryableError((error as Error).message, { cause: error });
    }
    if (!changed) return;
    // The old one lets its requests end, then closes.
    const closing: Promise<void> = this.dispatcher.close().finally(() => this.retired.delete(closing));
    this.retired.add(closing);
    this.dispatcher = this.connectAnew();
  }

  private connectAnew(): Dispatcher {
    const { options, undici } = this;
    const allowH2 = options.http2 !== undefined;
    const useH2c = options.http2 === 'only' && this.tls === undefined;
    const connect = {
      allowH2,
      useH2c,
      timeout: options.connectTimeoutMs,
      ...this.tls?.options,
      ...(options.sourceAddress === undefined ? {} : { localAddress: options.sourceAddress }),
      ...(options.prefer === undefined ? {} : { lookup: preferring(options.prefer) }),
      // The library's type is a union that wants `path` or `port`, which it fills in itself.
    } as buildConnector.BuildOptions;
    const pool = {
      allowH2,
      useH2c,
      pipelining: options.keepAlive ? 1 : 0,
      keepAliveTimeout: options.keepAliveIdleMs,
      ...(options.maxRequestsPerConnection === 0
        ? {}
        : { maxRequestsPerClient: options.maxRequestsPerConnection }),
      ...(options.maxConnections === 0 ? {} : { connections: options.maxConnections }),
    };
    if (this.proxy === undefined) return new undici.Pool(this.origin, { ...pool, connect });
    return new undici.ProxyAgent({
      ...pool,
      uri: this.proxy,
      requestTls: connect,
      proxyTls: {
        allowH2: false,
        timeout: options.connectTimeoutMs,
        ...this.proxyTls?.options,
      } as buildConnector.BuildOptions,
    });
  }
}

interface Limit {
  signal: AbortSignal;
  stopClock(): void;
  end(): void;
}

/** Reads an answer's body: keeps its start, reads the rest away, gives up on an endless one. */
async function readBounded(body: Dispatcher.ResponseData['body'], keepBytes: number): Promise<Buffer> {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let total = 0;
  for await (const piece of body as AsyncIterable<Buffer>) {
    if (keptBytes < keepBytes) {
      const part = piece.subarray(0, keepBytes - keptBytes);
      kept.push(part);
      keptBytes += part.length;
    }
    total += piece.length;
    // Leaving the loop destroys the body and with it the connection.
    if (total > Math.max(READ_BYTES, keepBytes)) break;
  }
  return Buffer.concat(kept);
}
