/**
 * Bulk requests by Elastic's client: it chooses the host, asks dead ones now and then whether they are back, and knows cloud ids and API
 * keys. Under it are our connections, so that `tls.*`, `net.*`, proxies and bounds are what they are everywhere.
 *
 * Its retries, its sniffing and its telemetry are off, and so is the check that the server is Elastic's product: what Fluent Bit's `es`
 * writes to is often something else that speaks the protocol.
 */
import type { ClientOptions, TransportRequestParams } from '@elastic/elasticsearch';
import type { BulkSender } from '../../shared/bulk/output.ts';
import { concluded, convey, headersOf, ping, PING_TIMEOUT_MS, targetOf } from '../../shared/bulk/exchange.ts';
import type { Exchange } from '../../shared/bulk/exchange.ts';
import type { BulkNode } from '../../shared/bulk/nodes.ts';
import { NDJSON } from '../../shared/bulk/request.ts';

export interface ElasticsearchOptions {
  nodes: readonly BulkNode[];
  auth: ClientOptions['auth'];
  path: string;
  query: Readonly<Record<string, string>>;
  headers: Readonly<Record<string, string>>;
  keepBytes: number;
}

/** Loads the client. Connects to nothing. */
export async function openElasticsearch(options: ElasticsearchOptions): Promise<BulkSender> {
  const { nodes, auth, path, query, headers, keepBytes } = options;
  const { BaseConnection, Client, ClusterConnectionPool, errors, Transport } =
    await import('@elastic/elasticsearch');
  const byOrigin = new Map(nodes.map((node) => [node.origin, node]));

  class NodeConnection extends BaseConnection {
    override async request(
      params: Parameters<InstanceType<typeof BaseConnection>['request']>[0],
      { context }: { context: { exchange?: Exchange } | null | undefined },
    ): Promise<never> {
      const node = byOrigin.get(this.url.origin) as BulkNode;
      const exchange = context?.exchange;
      const sent = headersOf(this.headers, params.headers ?? {});
      try {
        const statusCode =
          exchange === undefined
            ? await ping(node, sent)
            : await convey(node, exchange, {
                path: targetOf(params.path, params.querystring),
                headers: sent,
                body: params.body as Buffer,
                keepBytes,
              });
        // The answer itself is not the client's to read. (The type is that of two overloads, of which one is a stream.)
        return { body: '', headers: {}, statusCode } as never;
      } catch (error) {
        if (exchange?.signal.aborted === true) throw new errors.RequestAbortedError('');
        throw new errors.ConnectionError((error as Error).message);
      }
    }

    override close(): Promise<void> {
      return (byOrigin.get(this.url.origin) as BulkNode).close();
    }
  }

  class PlainTransport extends Transport {
    constructor({ productCheck: _unwanted, ...settings }: ConstructorParameters<typeof Transport>[0]) {
      super({ ...settings, openTelemetry: { enabled: false } });
    }
  }

  const client = new Client({
    nodes: nodes.map(({ origin }) => origin),
    Connection: NodeConnection,
    ConnectionPool: ClusterConnectionPool,
    Transport: PlainTransport,
    headers,
    ...(auth === undefined ? {} : { auth }),
    maxRetries: 0,
    compression: false,
    enableMetaHeader: false,
    pingTimeout: PING_TIMEOUT_MS,
    resurrectStrategy: nodes.length > 1 ? 'ping' : 'none',
    // It would take the body apart, byte by byte, for every error that it makes.
    redaction: { type: 'off' },
  });

  return {
    place: nodes.map(({ place }) => place).join(', '),
    async send(body, gzipped, signal) {
      const exchange: Exchange = { signal };
      const params: TransportRequestParams = {
        method: 'POST',
        path,
        querystring: { ...query },
        bulkBody: body as never,
      };
      try {
        await client.transport.request(params, {
          context: { exchange },
          signal,
          headers: { 'content-type': NDJSON, ...(gzipped ? { 'content-encoding': 'gzip' } : {}) },
        });
      } catch (error) {
        return concluded(exchange, error);
      }
      return concluded(exchange, undefined);
    },
    close: () => client.close(),
  };
}
