/** Requests to the API server or a kubelet: JSON with the token, every answer bounded, failures by their reason. */
import { isRecord, loadHttpClient, RetryableError, retryAfterMs } from '../../../../src/plugin.ts';
import type { HttpClient, HttpStream } from '../../../../src/plugin.ts';
import { ApiFailure, failureOf } from './failure.ts';
import type { ApiSettings } from './settings.ts';
import { TokenSource } from './token.ts';

/** Until a connection must stand, and until an answer must be whole. Milliseconds. */
const CONNECT_MS = 5000;
const ANSWER_MS = 30_000;
/** A connection that nobody uses is closed: only the one of the watch stands. Milliseconds. */
const IDLE_MS = 10_000;
/** Of an answer that is no success, bytes. */
const REFUSAL_BYTES = 16 * 1024;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** What the answer to an unsuccessful request is kept in; JSON of `Status`, or text of a proxy. */
interface Refusal {
  status: number;
  headers: HttpStream['headers'];
  text: string;
}

export class KubeClient {
  private readonly http: HttpClient;
  private readonly token: TokenSource;
  private readonly userAgent: string;
  /** Told of the bytes of every answer. */
  readonly received: (bytes: number) => void;

  private constructor(http: HttpClient, settings: ApiSettings, received: (bytes: number) => void) {
    this.http = http;
    this.received = received;
    this.token = new TokenSource(settings);
    this.userAgent = settings.userAgent;
  }

  /** Throws for certificates that cannot be used. */
  static async create(settings: ApiSettings, received: (bytes: number) => void): Promise<KubeClient> {
    const { HttpClient: Client } = await loadHttpClient();
    const { host, port, tls } = settings;
    const http = await Client.create({
      host,
      port,
      tls,
      // It is never behind a proxy, and the token is nothing for one.
      ignoreProxyEnvironment: true,
      connectTimeoutMs: CONNECT_MS,
      responseTimeoutMs: ANSWER_MS,
      readIdleTimeoutMs: ANSWER_MS,
      keepAlive: true,
      keepAliveIdleMs: IDLE_MS,
      maxRequestsPerConnection: 0,
      // One for a watch, the others for what is asked for by name.
      maxConnections: 4,
    });
    return new KubeClient(http, settings, received);
  }

  /** Scheme, host and port. */
  get origin(): string {
    return this.http.origin;
  }

  /** A JSON document. Throws {@link ApiFailure}; `too_large` for more than `maxBytes`. */
  async get(path: string, query: Query, maxBytes: number, signal: AbortSignal): Promise<unknown> {
    return this.authorized(async (headers) => {
      const response = await this.http.request({
        method: 'GET',
        path: withQuery(path, query),
        headers,
        keepBytes: maxBytes + 1,
        signal,
      });
      this.received(response.bytes.length);
      if (response.status !== 200) return { refused: response };
      if (response.bytes.length > maxBytes)
        throw new ApiFailure(
          'too_large',
          `${this.origin}${path}: the answer has more than ${maxBytes} bytes.`,
        );
      return { answer: parse(response.text, `${this.origin}${path}`) };
    });
  }

  /** A stream of JSON lines. Throws {@link ApiFailure} when it does not begin; reading it throws {@link RetryableError}. */
  async stream(path: string, query: Query, idleTimeoutMs: number, signal: AbortSignal): Promise<HttpStream> {
    return this.authorized(async (headers) => {
      const stream = await this.http.stream({
        method: 'GET',
        path: withQuery(path, query),
        headers,
        idleTimeoutMs,
        signal,
      });
      if (stream.status === 200) return { answer: stream };
      const { status, headers: answered } = stream;
      return { refused: { status, headers: answered, text: await stream.text(REFUSAL_BYTES) } };
    });
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  /** Makes a request with the token; once more where that was refused and there is another by now. */
  private async authorized<T>(
    request: (headers: Record<string, string>) => Promise<{ answer: T } | { refused: Refusal }>,
  ): Promise<T> {
    for (let used: string | undefined, tries = 1; ; tries++) {
      const token = await this.token.current();
      const result = await this.attempt(() =>
        request({
          accept: 'application/json',
          'user-agent': this.userAgent,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        }),
      );
      if ('answer' in result) return result.answer;
      const { status, headers, text } = result.refused;
      if (status === 401) {
        this.token.refused();
        used = token;
        if (tries === 1 && (await this.token.current()) !== used) continue;
      }
      throw failureOf(
        status,
        parseOrNothing(text),
        this.origin,
        retryAfterMs(headers['retry-after'], Date.now()),
      );
    }
  }

  private async attempt<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      if (error instanceof RetryableError)
        throw new ApiFailure('unreachable', error.message, { cause: error });
      throw error;
    }
  }
}

/** A path of a namespaced object, each part escaped. */
export function objectPath(...parts: readonly string[]): string {
  return `/api/v1/${parts.map(encodeURIComponent).join('/')}`;
}

function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined);
  if (pairs.length === 0) return path;
  return `${path}?${new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString()}`;
}

function parse(text: string, place: string): unknown {
  const value = parseOrNothing(text);
  if (!isRecord(value)) throw new ApiFailure('bad_answer', `${place}: the answer is no JSON object.`);
  return value;
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
