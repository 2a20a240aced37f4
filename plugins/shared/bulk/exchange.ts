/**
 * Between a store's client and our HTTP client: the client chooses the host, adds the credentials and keeps account of dead hosts; request
 * and answer go through here, past its serializers, retries and buffers.
 */
import { RetryableError } from '../../../src/plugin.ts';
import type { BulkNode } from './nodes.ts';
import type { BulkResponse } from './output.ts';

/** How long a host that was dead gets to show that it is not. Milliseconds. */
export const PING_TIMEOUT_MS = 3000;

/** One bulk request: what it came to is left here. */
export interface Exchange {
  readonly signal: AbortSignal;
  response?: BulkResponse;
  failure?: unknown;
}

export interface Conveyed {
  path: string;
  headers: Record<string, string | string[]>;
  body: Buffer;
  keepBytes: number;
}

/** Path and query of a request. */
export function targetOf(path: string, query: string | null | undefined): string {
  return query === undefined || query === null || query === '' ? path : `${path}?${query}`;
}

/** Sends the request of an exchange to a host; answers with the status. Throws after it has noted why. */
export async function convey(node: BulkNode, exchange: Exchange, request: Conveyed): Promise<number> {
  const { path, headers, body, keepBytes } = request;
  try {
    const {
      status,
      headers: answered,
      bytes,
    } = await node.request({
      method: 'POST',
      path,
      headers,
      body,
      keepBytes,
      signal: exchange.signal,
    });
    exchange.response = {
      status,
      headers: answered,
      text: bytes.toString('utf8'),
      place: `${node.place}${path.replace(/\?.*/s, '')}`,
      cut: bytes.length >= keepBytes,
    };
    return status;
  } catch (error) {
    exchange.failure = error;
    throw error;
  }
}

/** The status that a host answers with when it is asked for nothing. Throws when there is no answer. */
export async function ping(node: BulkNode, headers: Record<string, string | string[]>): Promise<number> {
  const { status } = await node.request({
    method: 'GET',
    path: '/',
    headers,
    signal: AbortSignal.timeout(PING_TIMEOUT_MS),
  });
  return status;
}

/** What an exchange came to. `error` is what the client threw, which for many statuses it does. */
export function concluded({ signal, response, failure }: Exchange, error: unknown): BulkResponse {
  signal.throwIfAborted();
  if (response !== undefined) return response;
  throw failure ?? error ?? new RetryableError('The request was never sent.');
}

/** Headers as the clients have them, without those that are not set. */
export function headersOf(
  ...parts: readonly Readonly<Record<string, unknown>>[]
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const part of parts)
    for (const [name, value] of Object.entries(part))
      if (typeof value === 'string' || Array.isArray(value)) headers[name] = value as string | string[];
  return headers;
}
