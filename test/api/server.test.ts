import { spawnSync } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ApiContext, ReloadOutcome } from '../../src/api/context.ts';
import { ListenError } from '../../src/api/listen-error.ts';
import { startApi } from '../../src/api/server.ts';
import type { ApiServer } from '../../src/api/server.ts';
import type { PipelineDefinition } from '../../src/config/definition.ts';
import type { PluginRegistry } from '../../src/plugin.ts';
import type { Logger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { registerProcessMetrics } from '../../src/telemetry/process-metrics.ts';

const SERVICE = {
  httpListen: '127.0.0.1',
  httpPort: 0,
  httpToken: undefined,
  healthCheck: false,
  hcErrorsCount: 5,
  hcRetryFailureCount: 5,
  hcPeriod: 60,
};

const silent: Logger = { error() {}, warn() {}, info() {}, debug() {}, child: () => silent };

const open: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

interface SetUp {
  service?: Record<string, unknown>;
  ready?: ReturnType<ApiContext['ready']>;
  reload?: ReloadOutcome;
}

async function setUp({ service = {}, ready, reload }: SetUp = {}) {
  const metrics = new Metrics();
  registerProcessMetrics(metrics);
  const instances = {
    inputs: [{ name: 'tail.0' }],
    filters: [{ name: 'grep.0' }],
    outputs: [{ name: 'es' }],
  };
  const definition = { service: { ...SERVICE, ...service }, ...instances } as unknown as PipelineDefinition;
  const registry = {
    names: (kind: string) => [`${kind}-plugin`],
    load: () => Promise.resolve(undefined),
  } satisfies PluginRegistry;
  const reloads: number[] = [];
  const server: ApiServer = await startApi({
    version: '1.2.3',
    metrics,
    registry,
    log: silent,
    definition: () => definition,
    ready: () => ready ?? { ready: true, reasons: [] },
    reload: () => {
      reloads.push(Date.now());
      return Promise.resolve(reload ?? { result: 'done' });
    },
  });
  open.push(server);
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${server.url}${path}`, init);
    const text = await response.text();
    const json = (): unknown => JSON.parse(text);
    return { status: response.status, type: response.headers.get('content-type'), text, json };
  };
  return { metrics, server, get, reloads };
}

function count(metrics: Metrics): void {
  metrics.counter('tailrace_input_read_records_total', 'Records read.').labels({ name: 'tail.0' }).value = 10;
  metrics
    .counter('tailrace_input_created_records_total', 'Records made.')
    .labels({ name: 'tail.0' }).value = 2;
  metrics.counter('tailrace_input_read_bytes_total', 'Bytes read.').labels({ name: 'tail.0' }).value = 300;
  const dropped = metrics.counter('tailrace_output_dropped_records_total', 'Dropped.');
  dropped.labels({ name: 'es', reason: 'retry_limit' }).value = 3;
  dropped.labels({ name: 'es', reason: 'full' }).value = 4;
  metrics
    .histogram('tailrace_delivery_latency_seconds', 'Latency.', [0.1, 1])
    .labels({ input: 'tail.0', output: 'es' })(0.5, 3);
}

describe('/metrics', () => {
  it('is what Prometheus reads, names and values from the families', async () => {
    const { metrics, get } = await setUp();
    count(metrics);
    metrics.counter('tailrace_never_total', 'No series yet.');
    metrics.gauge('tailrace_odd', 'A label to escape.').labels({ name: 'a"b\\c\nd' }).value = Number.NaN;
    const { status, type, text } = await get('/metrics');
    expect(status).toBe(200);
    expect(type).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toContain(
      '# TYPE tailrace_input_read_records_total counter\ntailrace_input_read_records_total{name="tail.0"} 10\n',
    );
    expect(text).toContain('tailrace_delivery_latency_seconds_bucket{input="tail.0",output="es",le="1"} 3\n');
    expect(text).toContain('tailrace_delivery_latency_seconds_count{input="tail.0",output="es"} 3\n');
    expect(text).toContain('tailrace_odd{name="a\\"b\\\\c\\nd"}');
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(text).not.toContain('tailrace_never_total');
  });

  it('is clean in the eyes of promtool', async ({ skip }) => {
    skip(spawnSync('promtool', ['--version']).error !== undefined, 'promtool is not installed');
    const { metrics, get } = await setUp();
    count(metrics);
    for (const path of ['/metrics', '/api/v2/metrics/prometheus']) {
      const { text } = await get(path);
      const { stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], {
        input: text,
        encoding: 'utf8',
      });
      const found = `${stdout}${stderr}`
        .split('\n')
        // Fluent Bit's own names, which are not ours to mend.
        .filter(
          (line) =>
            line !== '' && !/^fluentbit_(uptime|hot_reloaded_times) counter metrics should have/.test(line),
        );
      expect(found).toEqual([]);
    }
  });
});

describe('/health and /ready', () => {
  it('say that the agent lives, and why it is not ready', async () => {
    const { get } = await setUp({ ready: { ready: false, reasons: ['es: no delivery for 40 s'] } });
    expect((await get('/health')).json()).toEqual({ status: 'ok' });
    const ready = await get('/ready');
    expect(ready.status).toBe(503);
    expect(ready.json()).toEqual({ status: 'not ready', reasons: ['es: no delivery for 40 s'] });
  });
});

describe("Fluent Bit's paths", () => {
  it('answer with its shapes', async () => {
    const { metrics, get } = await setUp();
    count(metrics);
    expect((await get('/')).json()).toMatchObject({
      tailrace: { version: '1.2.3' },
      'fluent-bit': { version: '5.1.1' },
    });
    expect((await get('/api/v1/uptime')).json()).toMatchObject({
      uptime_sec: expect.any(Number),
      uptime_hr: expect.stringMatching(/: 0 days, 0 hours, 0 minutes and \d+ seconds$/),
    });
    expect((await get('/api/v1/plugins')).json()).toEqual({
      plugins: { inputs: ['input-plugin'], filters: ['filter-plugin'], outputs: ['output-plugin'] },
    });
    expect((await get('/api/v1/metrics')).json()).toEqual({
      input: { 'tail.0': { records: 12, bytes: 300 } },
      filter: { 'grep.0': { records: 0, drop_records: 0, add_records: 0 } },
      output: {
        es: {
          proc_records: 0,
          proc_bytes: 0,
          errors: 0,
          retries: 0,
          retries_failed: 0,
          dropped_records: 7,
          retried_records: 0,
        },
      },
    });
    expect((await get('/api/v1/storage')).status).toBe(404);
  });

  it('give its series to Prometheus, and as text', async () => {
    const { metrics, get } = await setUp();
    count(metrics);
    for (const version of ['v1', 'v2']) {
      const { text } = await get(`/api/${version}/metrics/prometheus`);
      expect(text).toContain('fluentbit_input_records_total{name="tail.0"} 12\n');
      expect(text).toContain('fluentbit_output_dropped_records_total{name="es"} 7\n');
      expect(text).toContain(
        'fluentbit_output_latency_seconds_bucket{input="tail.0",output="es",le="1"} 3\n',
      );
      expect(text).toMatch(/^fluentbit_build_info\{hostname="[^"]*",version="5\.1\.1",os="\w+"\} 1$/m);
    }
    expect((await get('/api/v2/metrics')).text).toMatch(
      /^\d{4}-\S+Z fluentbit_input_records_total\{name="tail\.0"\} = 12$/m,
    );
  });

  it('judge health by the errors of the last period', async () => {
    const { metrics, get } = await setUp({ service: { healthCheck: true, hcErrorsCount: 2 } });
    const attempts = metrics.counter('tailrace_output_attempts_total', 'Attempts.');
    const refused = attempts.labels({ name: 'es', result: 'refused' });
    refused.value = 2;
    attempts.labels({ name: 'es', result: 'ok' }).value = 100;
    expect((await get('/api/v1/health')).text).toBe('ok\n');
    refused.value = 3;
    const v1 = await get('/api/v1/health');
    expect([v1.status, v1.text]).toEqual([500, 'error\n']);
    const v2 = await get('/api/v2/health');
    expect(v2.status).toBe(500);
    expect(v2.json()).toEqual({
      status: 'error',
      errors: 3,
      retries_failed: 0,
      error_limit: 2,
      retry_failure_limit: 5,
      period_limit: 60,
    });
  });

  it('has /api/v1/health only with health_check', async () => {
    const { get } = await setUp();
    expect((await get('/api/v1/health')).status).toBe(404);
    expect((await get('/api/v2/health')).status).toBe(200);
  });
});

describe('/api/v2/reload', () => {
  it.each([
    [{ result: 'done' }, 200, { reload: 'done', status: 0 }],
    [{ result: 'disabled' }, 200, { reload: 'not enabled', status: -1 }],
    [{ result: 'busy' }, 200, { reload: 'in progress', status: -2 }],
    [
      { result: 'refused', problems: ['a.yaml:1:1: no'] },
      400,
      { reload: 'refused', status: -3, problems: ['a.yaml:1:1: no'] },
    ],
  ] as const)('answers %o', async (reload, status, body) => {
    const { get } = await setUp({ reload });
    for (const method of ['PUT', 'POST']) {
      const answer = await get('/api/v2/reload', { method, body: '{}' });
      expect([answer.status, answer.json()]).toEqual([status, body]);
    }
  });

  it('counts', async () => {
    const { metrics, get } = await setUp();
    metrics.counter('tailrace_config_reloads_total', 'Reloads.').labels({ result: 'done' }).value = 3;
    metrics.counter('tailrace_config_reloads_total', 'Reloads.').labels({ result: 'refused' }).value = 1;
    expect((await get('/api/v2/reload')).json()).toEqual({ hot_reload_count: 3 });
  });

  it('takes what curl sends, nothing else, and no more than 64 KB', async () => {
    const { get, reloads } = await setUp();
    const post = (body: string, type: string) =>
      get('/api/v2/reload', { method: 'POST', body, headers: { 'content-type': type } });
    expect((await post('{}', 'application/x-www-form-urlencoded')).status).toBe(200);
    expect((await post('', 'application/json')).status).toBe(200);
    expect((await post('{"a":1}', 'application/json')).status).toBe(400);
    expect((await post(' '.repeat(65 * 1024), 'application/json')).status).toBe(413);
    expect(reloads.length).toBe(2);
  });

  it('refuses requests that a web page could send', async () => {
    const { get, reloads } = await setUp();
    const answer = await get('/api/v2/reload', {
      method: 'POST',
      headers: { origin: 'https://evil.example' },
    });
    expect(answer.status).toBe(403);
    expect(reloads.length).toBe(0);
  });
});

describe('the server', () => {
  it('says which port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    open.push({ close: () => new Promise((resolve) => other.close(() => resolve())) });
    const { port } = other.address() as AddressInfo;
    const failure = await setUp({ service: { httpPort: port } }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ListenError);
    expect((failure as ListenError).code).toBe('EADDRINUSE');
    expect((failure as ListenError).message).toContain(`port ${port} is taken`);
  });

  it('answers what is not there, and says no more than it must', async () => {
    const { get } = await setUp();
    const answer = await get('/config?token=canary');
    expect([answer.status, answer.json()]).toEqual([404, { error: 'There is no GET /config here.' }]);
  });

  it('refuses huge headers', async () => {
    const { server } = await setUp();
    const status = await new Promise((resolve) => {
      httpRequest(`${server.url}/health`, { headers: { x: 'x'.repeat(20_000) } })
        .on('response', (response) => resolve(response.statusCode))
        .end();
    });
    expect(status).toBe(431);
  });

  it('caps connections', async () => {
    const { server } = await setUp();
    const port = Number(new URL(server.url).port);
    const sockets = Array.from({ length: 80 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    const closed = new Promise<void>((resolve) => {
      let left = 80 - 64;
      for (const socket of sockets) {
        socket.on('close', () => {
          left--;
          if (left === 0) resolve();
        });
      }
    });
    await closed;
    for (const socket of sockets) socket.destroy();
  });
});
