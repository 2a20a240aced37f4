/**
 * The routes of the HTTP API: the agent's own metrics and health, and Fluent Bit's paths. Read-only but for the reload, which only
 * this machine or the token may ask for.
 */
import { fastify } from 'fastify';
import type { FastifyInstance } from 'fastify';
import { mainLoop } from '../telemetry/heartbeat.ts';
import { registerAgentRoutes } from './agent-routes.ts';
import type { ApiContext } from './context.ts';
import { registerFluentBitRoutes } from './fluent-bit-routes.ts';
import { takeThrough } from './in-process.ts';
import type { FrontAnswer, FrontRequest } from './watchdog-messages.ts';

export interface Routes {
  /** Never rejects. */
  answer(request: FrontRequest): Promise<FrontAnswer>;
  close(): Promise<void>;
}

export async function openRoutes(context: ApiContext): Promise<Routes> {
  const server = fastify({ logger: false, routerOptions: { ignoreTrailingSlash: true } });
  markStage(server);
  acceptAnyBody(server);
  answerErrors(server, context);
  registerAgentRoutes(server, context);
  const health = registerFluentBitRoutes(server, context);
  await server.ready();
  return {
    answer: (request) => answer(server, context, request),
    async close() {
      health.close();
      await server.close();
    },
  };
}

/** Takes a request of the thread that serves through the routes. */
async function answer(
  server: FastifyInstance,
  { log }: ApiContext,
  request: FrontRequest,
): Promise<FrontAnswer> {
  try {
    return await takeThrough((incoming, response) => server.routing(incoming, response), request);
  } catch (error) {
    log.error({ error }, 'Answering an HTTP request failed');
    return {
      status: 500,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: JSON.stringify({ error: 'Internal error; see the log.' }),
    };
  }
}

/** A stall in a route has a name. */
function markStage(server: FastifyInstance): void {
  const stage = mainLoop.stage('the HTTP API');
  server.addHook('onRequest', (_request, _reply, done) => {
    mainLoop.enter(stage);
    done();
  });
  server.addHook('onResponse', (_request, _reply, done) => {
    mainLoop.leave();
    done();
  });
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
