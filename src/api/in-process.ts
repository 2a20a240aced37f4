/**
 * Takes a request through an HTTP listener without a connection: for those that came in by another thread.
 *
 * Fastify's own `inject` does as much, with a library for tests that takes 5 MB.
 */
import { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { FrontAnswer, FrontRequest } from './watchdog-messages.ts';

/** A response whose headers and body are kept instead of being written in HTTP's framing. */
class KeptResponse extends ServerResponse {
  readonly chunks: Buffer[] = [];

  /** Without this, headers that are given here would go straight into the framing. */
  override writeHead(status: number, ...rest: unknown[]): this {
    for (const [name, value] of Object.entries(rest.at(-1) ?? {})) this.setHeader(name, value as string);
    return super.writeHead(status);
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    this.keep(chunk, rest[0]);
    return super.write(chunk, ...(rest as []));
  }

  override end(...args: unknown[]): this {
    // ServerResponse.end does not go by way of write.
    this.keep(args[0], args[1]);
    return super.end(...(args as []));
  }

  private keep(chunk: unknown, encoding: unknown): void {
    if (typeof chunk === 'string') {
      this.chunks.push(
        Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'),
      );
    } else if (chunk instanceof Uint8Array) this.chunks.push(Buffer.from(chunk));
  }
}

/** Resolves with what the listener answered. */
export function takeThrough(
  listener: RequestListener,
  { method, url, headers, body, address }: FrontRequest,
): Promise<FrontAnswer> {
  // Nothing is sent to it: it has an address, and an end that takes everything.
  const socket = Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), {
    remoteAddress: address,
  }) as unknown as Socket;
  const request = new IncomingMessage(socket);
  Object.assign(request, { method, url, httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 });
  request.headers = body === undefined ? headers : { ...headers, 'content-length': String(body.byteLength) };
  if (body !== undefined) request.push(body);
  request.push(null);
  request.complete = true;

  const response = new KeptResponse(request);
  response.assignSocket(socket);
  return new Promise((resolve, reject) => {
    response.once('error', reject);
    response.once('finish', () => {
      resolve({
        status: response.statusCode,
        headers: response.getHeaders(),
        // Bytes of their own: of a part of Node's pool the whole pool would go along to another thread.
        body: new Uint8Array(Buffer.concat(response.chunks)),
      });
    });
    listener(request, response);
  });
}
