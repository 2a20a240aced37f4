/**
 * Bulk requests by OpenSearch's client: it chooses the host and asks dead ones now and then whether they are back. Under it are our
 * connections, so that `tls.*`, `net.*`, proxies and bounds are what they are everywhere. Its retries and its sniffing are off.
 */
import { Readable } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import type { BulkSender } from '../../shared/bulk/output.ts';
import { concluded, convey, headersOf, ping, PING_TIMEOUT_MS, targetOf } from '../../shared/bulk/exchange.ts';
import type { Exchange } from '../../shared/bulk/exchange.ts';
import type { BulkNode } from '../../shared/bulk/nodes.ts';
import { NDJSON } from '../../shared/bulk/request.ts';

export interface OpensearchOptions {
  nodes: readonly BulkNode[];
  path: string;
  query: Readonly<Record<string, string>>;
  headers: Readonly<Record<string, string>>;
  keepBytes: number;
}

interface Params {
  path?: string | null;
  querystring?: string;
  headers?: Readonly<Record<string, unknown>>;
  body?: unknown;
}

type Callback = (error: Error | null, response: IncomingMessage | null) => void;

/** Loads the client. Connects to nothing. */
export async function openOpensearch(options: OpensearchOptions): Promise<BulkSender> {
  const { nodes, path, query, headers, keepBytes } = options;
  const { Client, Connection, errors } = await import('@opensearch-project/opensearch');
  const byOrigin = new Map(nodes.map((node) => [node.origin, node]));
  /** By the request that the client passes through as it is; its own pings have none. */
  const exchanges = new WeakMap<object, Exchange>();

  class NodeConnection extends Connection {
    override request(params: object, callback: Callback): never {
      const node = byOrigin.get(this.url.origin) as BulkNode;
      const exchange = exchanges.get(params);
      const { path: to = path, querystring = '', headers: own = {}, body } = params as Params;
      const sent = headersOf(this.headers, headers, own);
      const sending =
        exchange === undefined
          ? ping(node, sent)
          : convey(node, exchange, {
              path: targetOf(to ?? path, querystring),
              headers: sent,
              body: body as Buffer,
              keepBytes,
            });
      void this.answer(sending, exchange, callback);
      return { abort() {} } as never;
    }

    private async answer(
      sending: Promise<number>,
      exchange: Exchange | undefined,
      callback: Callback,
    ): Promise<void> {
      let statusCode: number;
      try {
        statusCode = await sending;
      } catch (error) {
        const aborted = exchange?.signal.aborted === true;
        const { message } = error as Error;
        callback(
          aborted ? new errors.RequestAbortedError(message) : new errors.ConnectionError(message),
          null,
        );
        return;
      }
      // The answer itself is not the client's to read.
      callback(null, answerOf(statusCode));
    }
  }

  const client = new Client({
    nodes: nodes.map(({ origin }) => origin),
    Connection: NodeConnection,
    // It would open one of its own for each host.
    agent: () => undefined,
    headers: { ...headers },
    maxRetries: 0,
    pingTimeout: PING_TIMEOUT_MS,
    resurrectStrategy: nodes.length > 1 ? 'ping' : 'none',
  });

  return {
    place: nodes.map(({ place }) => place).join(', '),
    async send(body, gzipped, signal) {
      const exchange: Exchange = { signal };
      const params = { method: 'POST', path, querystring: { ...query }, bulkBody: body as never };
      exchanges.set(params, exchange);
      try {
        await client.transport.request(params, {
          headers: { 'content-type': NDJSON, ...(gzipped ? { 'content-encoding': 'gzip' } : {}) },
        });
      } catch (error) {
        return concluded(exchange, error);
      }
      return concluded(exchange, undefined);
    },
    // The client itself holds nothing, and its `close` never ends when it is called twice.
    async close() {
      await Promise.all(nodes.map((node) => node.close()));
    },
  };
}

function answerOf(statusCode: number): IncomingMessage {
  return Object.assign(Readable.from([]), { statusCode, headers: {} }) as unknown as IncomingMessage;
}
