/**
 * The agent's HTTP server: its own metrics and health, and Fluent Bit's paths. Read-only but for the reload, which only this
 * machine or the token may ask for. Everything about a request is bounded: size, headers, time, number.
 */
import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import { registerAgentRoutes } from './agent-routes.ts';
import type { ApiContext } from './context.ts';
import { registerFluentBitRoutes } from './fluent-bit-routes.ts';
import { ListenError } from './listen-error.ts';

const BODY_LIMIT = 64 * 1024;
const HEADER_LIMIT = 16 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const MAX_CONNECTIONS = 64;

export interface ApiServer {
  /** `http://127.0.0.1:2020`, with the real port. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts listening where the configuration says. Throws {@link ListenError}. */
export async function startApi(context: ApiContext): Promise<ApiServer> {
  const { httpListen: host, httpPort: port } = context.definition().service;
  const server = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: IDLE_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { ignoreTrailingSlash: true },
    http: {
      maxHeaderSize: HEADER_LIMIT,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  acceptAnyBody(server);
  answerErrors(server, context);
  registerAgentRoutes(server, context);
  const health = registerFluentBitRoutes(server, context);
  try {
    await server.listen({ host, port });
  } catch (error) {
    health.close();
    await server.close();
    throw new ListenError(host, port, error as NodeJS.ErrnoException);
  }
  const address = server.server.address();
  const realPort = typeof address === 'object' && address !== null ? address.port : port;
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${realPort}`,
    async close() {
      health.close();
      await server.close();
    },
  };
}

/** `curl -X POST -d '{}'` says that it sends a form: the routes look at the text themselves. */
function acceptAnyBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
}

function answerErrors(server: FastifyInstance, context: ApiContext): void {
  server.setNotFoundHandler((request, reply) => {
    void reply
      .code(404)
      .send({ error: `There is no ${request.method} ${request.url.split('?')[0] ?? ''} here.` });
  });
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) context.log.error({ error }, 'Answering an HTTP request failed');
    void reply.code(status).send({ error: status >= 500 ? 'Internal error; see the log.' : error.message });
  });
}
