/**
 * Our HTTP client under the clients of the AWS SDK: certificates, proxies, timeouts and bounds are the same as for every other output.
 *
 * An SDK client speaks to several hosts (a bucket has one of its own, STS is another): there is one client per origin, made when it is
 * first spoken to.
 *
 * Source of the interface: `HttpHandler` of @smithy/core/protocols.
 */
import { buildQueryString } from '@smithy/core/protocols';
import type { HttpHandler } from '@smithy/core/protocols';
import type { HttpHandlerOptions, HttpRequest, HttpResponse } from '@smithy/types';
import { loadHttpClient, RetryableError } from '../../../src/plugin.ts';
import type { HttpClient, OptionValues } from '../../../src/plugin.ts';
import { httpClientOptions } from '../http-destination.ts';
import type { httpConnectionOptions } from '../http-destination.ts';

/** A listing of a thousand uploads is a few hundred kilobytes. */
const ANSWER_BYTES = 8 * 1024 * 1024;
/** The connection's own business; some of them our client refuses. */
const HOP_HEADERS = new Set(['connection', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade']);

/** An answer that remembers where it came from. */
export interface PlacedResponse extends HttpResponse {
  /** As {@link HttpClient.place}. */
  place: string;
}

export class AwsHttpHandler implements HttpHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  private readonly connection: OptionValues<typeof httpConnectionOptions>;
  private readonly clients = new Map<string, Promise<HttpClient>>();

  constructor(connection: OptionValues<typeof httpConnectionOptions>) {
    this.connection = connection;
  }

  /**
   * One request. The body is bytes or text, not a stream: what is sent must be there to be sent again. Throws {@link RetryableError} when
   * no whole answer came, and the signal's reason when that was aborted.
   */
  async handle(
    request: HttpRequest,
    { abortSignal }: HttpHandlerOptions = {},
  ): Promise<{ response: PlacedResponse }> {
    const { protocol, hostname, port, path, query = {}, body } = request;
    const client = await this.clientOf(protocol === 'https:', hostname, port);
    const search = buildQueryString(query);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(request.headers))
      if (!HOP_HEADERS.has(name.toLowerCase())) headers[name] = value;
    const answer = await client.request({
      method: methodOf(request.method),
      path: search === '' ? path : `${path}?${search}`,
      headers,
      ...(body === undefined || body === null ? {} : { body: bytesOf(body) }),
      keepBytes: ANSWER_BYTES,
      signal: abortSignal instanceof AbortSignal ? abortSignal : NEVER,
    });
    if (answer.bytes.length >= ANSWER_BYTES)
      throw new RetryableError(`${client.place}: the answer has more than ${ANSWER_BYTES} bytes`);
    const response: PlacedResponse = {
      place: client.place,
      statusCode: answer.status,
      headers: flatten(answer.headers),
      // The SDK changes the prototype of what it gets.
      body: new Uint8Array(answer.bytes.buffer, answer.bytes.byteOffset, answer.bytes.length),
    };
    return { response };
  }

  /** Has no settings that a client could change. */
  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }

  /** Ends all connections. The SDK's own `destroy` is not there: several clients share a handler. */
  async close(): Promise<void> {
    for (const client of this.clients.values()) {
      // One that could not be opened has said so to whoever wanted it.
      const opened = await client.catch(() => undefined);
      await opened?.close();
    }
  }

  private clientOf(tls: boolean, host: string, port = tls ? 443 : 80): Promise<HttpClient> {
    const origin = `${tls ? 'https' : 'http'}://${host}:${port}`;
    let client = this.clients.get(origin);
    if (client === undefined) {
      client = this.open(tls, host, port);
      this.clients.set(origin, client);
      // A certificate that cannot be read now may be readable later.
      client.catch(() => this.clients.delete(origin));
    }
    return client;
  }

  private async open(tls: boolean, host: string, port: number): Promise<HttpClient> {
    const { HttpClient: Client } = await loadHttpClient();
    return Client.create(httpClientOptions({ ...this.connection, tls, host, port }));
  }
}

const NEVER = new AbortController().signal;

function methodOf(method: string): 'POST' | 'PUT' | 'GET' | 'HEAD' | 'DELETE' {
  switch (method) {
    case 'POST':
    case 'PUT':
    case 'GET':
    case 'HEAD':
    case 'DELETE':
      return method;
    default:
      throw new TypeError(`There is no AWS request with the method ${method}.`);
  }
}

function bytesOf(body: unknown): Uint8Array | string {
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  throw new TypeError('The body of an AWS request must be text or bytes, not a stream.');
}

function flatten(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) flat[name] = typeof value === 'string' ? value : value.join(', ');
  return flat;
}
