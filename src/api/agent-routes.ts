/** The paths of our own: `/metrics` and `/ready`. `/health` is answered by the thread that serves (watchdog-front.ts). */
import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';
import { EXPOSITION_TYPE, toPrometheus } from './exposition.ts';

export function registerAgentRoutes(server: FastifyInstance, context: ApiContext): void {
  server.get('/metrics', async (_request, reply) => {
    const text = await toPrometheus(context.metrics.families.values());
    return reply.type(EXPOSITION_TYPE).send(text);
  });

  // Ready: records flow. Restarting would not help where they do not.
  server.get('/ready', async (_request, reply) => {
    const { ready, reasons } = context.ready();
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', reasons });
  });
}
