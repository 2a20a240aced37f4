/** The paths of our own: `/metrics`, `/health`, `/ready`. */
import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';
import { EXPOSITION_TYPE, toPrometheus } from './exposition.ts';

export function registerAgentRoutes(server: FastifyInstance, context: ApiContext): void {
  server.get('/metrics', async (_request, reply) => {
    const text = await toPrometheus(context.metrics.families.values());
    return reply.type(EXPOSITION_TYPE).send(text);
  });

  // Alive: the event loop answers. Restarting helps where it does not.
  server.get('/health', () => ({ status: 'ok' }));

  // Ready: records flow. Restarting would not help where they do not.
  server.get('/ready', async (_request, reply) => {
    const { ready, reasons } = context.ready();
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', reasons });
  });
}
