/** Fluent Bit's paths, with its bodies: `/`, `/api/v1/…`, `/api/v2/…`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { refusal } from './access.ts';
import type { ApiContext, ReloadOutcome } from './context.ts';
import { EXPOSITION_TYPE, toPrometheus, toText } from './exposition.ts';
import {
  failures,
  FLUENT_BIT_VERSION,
  fluentBitMetrics,
  fluentBitMetricsV1,
  reloads,
} from './fluent-bit-metrics.ts';
import type { InstanceNames } from './fluent-bit-metrics.ts';
import { HealthWindow } from './health-window.ts';

/** Registers the routes; close what it returns with the server. */
export function registerFluentBitRoutes(server: FastifyInstance, context: ApiContext): HealthWindow {
  const { metrics } = context;
  const { service } = context.definition();
  const health = new HealthWindow(service, () => failures(metrics));

  server.get('/', () => ({
    tailrace: { version: context.version },
    'fluent-bit': { version: FLUENT_BIT_VERSION, edition: 'Tailrace', flags: [] },
  }));

  server.get('/api/v1/uptime', () => {
    const seconds = Math.floor(process.uptime());
    return { uptime_sec: seconds, uptime_hr: `Tailrace has been running: ${words(seconds)}` };
  });

  server.get('/api/v1/plugins', () => ({
    plugins: {
      inputs: context.registry.names('input'),
      filters: context.registry.names('filter'),
      outputs: context.registry.names('output'),
    },
  }));

  server.get('/api/v1/metrics', () => fluentBitMetricsV1(metrics, names(context)));

  const prometheus = async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    reply.type(EXPOSITION_TYPE).send(await toPrometheus(fluentBitMetrics(metrics, names(context))));
  server.get('/api/v1/metrics/prometheus', prometheus);
  server.get('/api/v2/metrics/prometheus', prometheus);

  server.get('/api/v2/metrics', (_request, reply) =>
    reply
      .type('text/plain; charset=utf-8')
      .send(toText(fluentBitMetrics(metrics, names(context)), new Date())),
  );

  // `/api/v1/storage` answers 404 without storage.metrics, and there is no disk buffer to tell of: it is not registered.

  server.get('/api/v1/health', (_request, reply) => {
    if (!context.definition().service.healthCheck) return reply.callNotFound();
    const { healthy } = health.state();
    return reply
      .code(healthy ? 200 : 500)
      .type('text/plain')
      .send(healthy ? 'ok\n' : 'error\n');
  });

  server.get('/api/v2/health', (_request, reply) => {
    const { healthy, errors, retriesFailed } = health.state();
    return reply.code(healthy ? 200 : 500).send({
      status: healthy ? 'ok' : 'error',
      errors,
      retries_failed: retriesFailed,
      error_limit: service.hcErrorsCount,
      retry_failure_limit: service.hcRetryFailureCount,
      period_limit: service.hcPeriod,
    });
  });

  server.get('/api/v2/reload', () => ({ hot_reload_count: reloads(metrics) }));
  server.route({
    method: ['PUT', 'POST'],
    url: '/api/v2/reload',
    // Refused before the body is read.
    onRequest: async (request, reply) => {
      const caller = { address: request.socket.remoteAddress, headers: request.headers };
      const reason = refusal(caller, context.definition().service.httpToken?.reveal());
      if (reason !== undefined) return reply.code(403).send({ error: reason });
    },
    handler: async (request, reply) => {
      const body = typeof request.body === 'string' ? request.body.trim() : '';
      if (body !== '' && !/^\{\s*\}$/.test(body)) {
        return reply
          .code(400)
          .send({ error: 'The body of a reload is {} or empty: nothing can be set with it.' });
      }
      return answerReload(await context.reload(), reply);
    },
  });
  return health;
}

/** Fluent Bit's words for it, all but the last, which it cannot say: it answers before it has looked at the configuration. */
function answerReload(outcome: ReloadOutcome, reply: FastifyReply): FastifyReply {
  switch (outcome.result) {
    case 'done':
      return reply.send({ reload: 'done', status: 0 });
    case 'disabled':
      return reply.send({ reload: 'not enabled', status: -1 });
    case 'busy':
      return reply.send({ reload: 'in progress', status: -2 });
    case 'refused':
      return reply.code(400).send({ reload: 'refused', status: -3, problems: outcome.problems });
  }
}

function names(context: ApiContext): InstanceNames {
  const { inputs, filters, outputs } = context.definition();
  return {
    input: inputs.map(({ name }) => name),
    filter: filters.map(({ name }) => name),
    output: outputs.map(({ name }) => name),
  };
}

function words(seconds: number): string {
  const parts = [
    `${Math.floor(seconds / 86_400)} days`,
    `${Math.floor(seconds / 3600) % 24} hours`,
    `${Math.floor(seconds / 60) % 60} minutes`,
  ];
  return `${parts.join(', ')} and ${seconds % 60} seconds`;
}
