/** The opentelemetry output and input against the OpenTelemetry Collector. Where a stand-in is in its place, the test says so. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest';
import { startServer, tlsFile } from '../net/servers.ts';
import type { Answer, TestServer } from '../net/servers.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import type { AgentProcess } from '../support/agent.ts';
import { COLLECTOR_CONFIG, startCollector } from './servers/otelcol.ts';
import type { Collector } from './servers/otelcol.ts';
import { collectedLogs } from './support/collected.ts';
import { appendRecords, Found, recordsPipeline } from './support/records.ts';
import { freePort } from './support/server.ts';
import { settled } from './support/settled.ts';

const SENDER = join(import.meta.dirname, '../../pipelines/opentelemetry.yaml');
const RECEIVER = join(import.meta.dirname, '../../pipelines/opentelemetry-receiver.yaml');
const TOTAL = 100_000;
const DELIVERED = 'tailrace_output_delivered_records_total';
/** One server for each test that counts what is in its file. */
const fresh = async (use: (collector: Collector) => Promise<void>): Promise<void> => {
  const collector = await startCollector();
  try {
    await use(collector);
  } finally {
    await collector.close();
  }
};

/** The pipeline of the records to a port, with these lines for the output. */
function pipeline(rig: Rig, port: number, lines: readonly string[] = []): string {
  const own = ['name: opentelemetry', "match: '*'", `port: ${port}`, 'net.proxy_env_ignore: on', ...lines];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

function expectAll(file: string, total: number, { once }: { once: boolean }): void {
  const judge = new Found();
  for (const { body, time } of collectedLogs(file)) judge.add(body, time);
  judge.expectComplete(total, { once });
}

describe('records', () => {
  const WAYS = [
    ['protobuf', 'http', ['compress: zstd']],
    ['JSON', 'http', ['encoding: json', 'compress: gzip']],
    ['gRPC', 'grpc', ['grpc: on']],
  ] as const;

  test.for(WAYS)('100,000 arrive as they were, once (%s)', async ([, port, lines], { rig }) => {
    await fresh(async (collector) => {
      appendRecords(rig.path('app.log'), 0, TOTAL);
      rig.configure(pipeline(rig, collector[port], lines));
      const agent = await rig.start();
      await settled(agent, TOTAL);
      expectAll(collector.file, TOTAL, { once: true });
      const { summary } = await agent.stop();
      expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
    });
  });

  test.for([WAYS[0], WAYS[2]] as const)(
    'none of 100,000 is missing when the Collector is killed in the middle (%s)',
    async ([, port, lines], { rig }) => {
      await fresh(async (collector) => {
        rig.configure(pipeline(rig, collector[port], lines));
        appendRecords(rig.path('app.log'), 0, TOTAL / 2);
        const agent = await rig.start();
        await agent.until((scrape) => scrape.sum(DELIVERED) > TOTAL / 20);
        await collector.process.kill();
        // What it had not finished to write must not spoil what comes behind it.
        if (!readFileSync(collector.file, 'utf8').endsWith('\n')) appendFileSync(collector.file, '\n');
        appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
        await agent.said(/^The destination failed/);
        await collector.process.start();
        await agent.said(/^The destination works again/);
        await settled(agent, TOTAL);
        expectAll(collector.file, TOTAL, { once: false });
        const { summary } = await agent.stop();
        expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
      });
    },
  );

  test('the sample pipeline sends body, attributes and severity', async ({ rig }) => {
    await fresh(async (collector) => {
      const total = 5000;
      appendRecords(rig.path('app.log'), 0, total);
      const agent = await rig.start({
        config: SENDER,
        env: { OTLP_DEMO_LOG: rig.path('app.log'), OTLP_PORT: String(collector.http) },
      });
      await settled(agent, total);
      const judge = new Found();
      for (const { body, attributes, severityText, time } of collectedLogs(collector.file)) {
        expect(severityText).toBe(attributes['level']);
        judge.add({ ...attributes, text: body }, time);
      }
      judge.expectComplete(total, { once: true });
      await agent.stop();
    });
  });
});

/** A request with all that a log record has, as an SDK would send it. */
function fullRequest(n: number): object {
  const text = (stringValue: string): object => ({ stringValue });
  return {
    resourceLogs: [
      {
        resource: {
          attributes: [
            { key: 'service.name', value: text(`shop-${n % 3}`) },
            { key: 'pid', value: { intValue: '9007199254740993' } },
          ],
          droppedAttributesCount: 1,
        },
        schemaUrl: 'https://example.com/resource',
        scopeLogs: [
          {
            scope: {
              name: 'lib',
              version: '1.2.3',
              attributes: [{ key: 'short', value: { boolValue: true } }],
              droppedAttributesCount: 2,
            },
            schemaUrl: 'https://example.com/scope',
            logRecords: [
              {
                timeUnixNano: '1700000000123456789',
                observedTimeUnixNano: '1700000001000000001',
                severityNumber: 17,
                severityText: 'ERROR',
                body: {
                  kvlistValue: {
                    values: [
                      { key: 'n', value: { intValue: String(n) } },
                      { key: 'message', value: text('grüße 日本 😀 𠀀') },
                      { key: 'log', value: {} },
                      { key: 'whole', value: { doubleValue: 2 } },
                      {
                        key: 'list',
                        value: { arrayValue: { values: [{ intValue: '-9223372036854775808' }, {}] } },
                      },
                    ],
                  },
                },
                attributes: [{ key: 'http.method', value: text('GET') }],
                droppedAttributesCount: 3,
                flags: 1,
                traceId: '5b8efff798038103d269b633813fc60c',
                spanId: 'eee19b7ec3c1b174',
                eventName: 'event',
              },
              { observedTimeUnixNano: '1700000002000000000', body: text(`only text ${n}`) },
            ],
          },
        ],
      },
    ],
  };
}

async function post(port: number, request: object): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/logs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  await response.arrayBuffer();
  return response.status;
}

test('two agents in a row keep all of it: in by HTTP, between them gRPC, out to the Collector', async ({
  rig,
}) => {
  await fresh(async (collector) => {
    const [first, second] = [await freePort(), await freePort()];
    // The sample sends by gRPC: to the second agent, and to the Collector.
    const agents = await Promise.all(
      [
        [first, second],
        [second, collector.grpc],
      ].map(([listen, to], index) =>
        rig.start({
          config: RECEIVER,
          state: `state-${index}`,
          env: { OTLP_LISTEN_PORT: String(listen), OTLP_PORT: String(to) },
        }),
      ),
    );
    for (let n = 0; n < 50; n++) expect(await post(first, fullRequest(n))).toBe(200);
    for (const agent of agents) await settled(agent, 100);
    const sent = Array.from({ length: 50 }, (_, n) => single(fullRequest(n))).flat();
    const got = readFileSync(collector.file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .flatMap((line) => single(JSON.parse(line) as object));
    expect(sortedTexts(got)).toEqual(sortedTexts(sent));
  });
});

interface Resources {
  resourceLogs: { scopeLogs: { logRecords: object[] }[] }[];
}

/** Each log record with its resource and its scope. */
function single(request: object): object[] {
  return (request as Resources).resourceLogs.flatMap(({ scopeLogs, ...resource }) =>
    scopeLogs.flatMap(({ logRecords, ...scope }) =>
      logRecords.map((record) => ({ record, scope, resource })),
    ),
  );
}

/** As texts, whose keys are in order. */
function sortedTexts(values: readonly object[]): string[] {
  const ordered = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(ordered);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .map(([key, member]) => [key, ordered(member)] as const)
        .toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
  };
  return values.map((value) => JSON.stringify(ordered(value))).toSorted();
}

/** A Collector that hands on what it gets, and answers as it is answered: it keeps nothing itself. */
function forwarding(
  port: number,
  { encoding, retry }: { encoding: 'proto' | 'json'; retry: boolean },
): string {
  return `receivers: { otlp: { protocols: { http: { endpoint: 127.0.0.1:HTTP } } } }
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:${port}
    encoding: ${encoding}
    sending_queue: { enabled: false }
    retry_on_failure: { enabled: ${retry}, initial_interval: 100ms, max_interval: 1s, max_elapsed_time: 0s }
service:
  telemetry: { metrics: { level: none } }
  pipelines: { logs: { receivers: [otlp], exporters: [otlp_http] } }
`;
}

/** What the pipeline of {@link receiverPipeline} sends to; it takes everything. */
async function startSink(answer?: Answer): Promise<TestServer> {
  const sink = await startServer(answer);
  onTestFinished(() => sink.close());
  return sink;
}

function receiverPipeline(rig: Rig, port: number, sink: number, input: readonly string[] = []): string {
  const lines = ['name: opentelemetry', `port: ${port}`, 'tag: otlp', ...input];
  return `service:
  flush: 0.1
  scheduler.base: 0.1
  scheduler.cap: 1
pipeline:
  inputs:
    - ${lines.join('\n      ')}
  outputs:
    - name: http
      match: otlp
      port: ${sink}
      format: json_lines
      json_date_key: off
      net.proxy_env_ignore: on
`;
}

describe('from the Collector', () => {
  test.for(['proto', 'json'] as const)(
    'requests are acknowledged when they are safe, and are there though the agent is killed (%s)',
    async (encoding, { rig }) => {
      const sink = await startSink();
      const port = await freePort();
      rig.configure(receiverPipeline(rig, port, sink.port));
      let agent = await rig.start();
      const collector = await startCollector({
        config: forwarding(port, { encoding, retry: true }),
        only: 'http',
      });
      try {
        const requests = 40;
        const statuses: Promise<number>[] = [];
        for (let n = 0; n < requests; n++) {
          statuses.push(post(collector.http, fullRequest(n)));
          if (n === requests / 2) {
            await statuses[0];
            await agent.kill();
            agent = await rig.start();
          }
        }
        expect(await Promise.all(statuses)).toEqual(Array(requests).fill(200));
        await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 0);
        const got = new Set(
          sink.requests.flatMap(({ body }) => body.toString().split('\n').filter(Boolean).map(nameOf)),
        );
        const expected = Array.from({ length: requests }, (_, n) => [String(n), `only text ${n}`]).flat();
        expect([...got].toSorted()).toEqual(expected.toSorted());
      } finally {
        await collector.close();
      }
    },
  );

  test('a request that is not safe in time is not acknowledged: its sender hears of it', async ({ rig }) => {
    const sink = await startSink((_request, response) => {
      response.statusCode = 503;
      response.end();
    });
    const port = await freePort();
    rig.configure(receiverPipeline(rig, port, sink.port, ['ack_timeout: 300ms']));
    // Without a disk records are safe when they are delivered.
    const agent = await rig.start({ state: 'off' });
    const collector = await startCollector({
      config: forwarding(port, { encoding: 'proto', retry: false }),
      only: 'http',
    });
    try {
      expect(await post(collector.http, fullRequest(1))).toBe(503);
      const scrape = await agent.scrape();
      expect(scrape.sum('tailrace_input_requests_total', { code: '503' })).toBeGreaterThan(0);
    } finally {
      await collector.close();
    }
  });

  test('what is no log is refused by name', async ({ rig }) => {
    const sink = await startSink();
    const port = await freePort();
    rig.configure(receiverPipeline(rig, port, sink.port));
    await rig.start();
    for (const signal of ['metrics', 'traces']) {
      const response = await fetch(`http://127.0.0.1:${port}/v1/${signal}`, { method: 'POST', body: '{}' });
      expect([response.status, await response.text()]).toEqual([
        501,
        expect.stringContaining(`Only logs are taken here, no ${signal}`),
      ]);
    }
  });
});

function nameOf(line: string): string {
  const { n, log } = JSON.parse(line) as { n?: number; log?: string };
  return n === undefined ? String(log) : String(n);
}

/** What a person sees of a destination that cannot be: one clear line a failed attempt, the records kept. */
describe('faults', () => {
  let collector: Collector;

  beforeAll(async () => {
    collector = await startCollector();
  });

  afterAll(() => collector.close());

  const failing = async (rig: Rig, port: number, lines: readonly string[]): Promise<AgentProcess> => {
    appendRecords(rig.path('app.log'), 0, 100);
    rig.configure(pipeline(rig, port, lines));
    const agent = await rig.start();
    await agent.said(/^The destination failed/);
    return agent;
  };
  const errorOf = async (agent: AgentProcess): Promise<string> => {
    const { error, output, name } = await agent.said(/^The destination failed/);
    expect(String(output ?? name)).toContain('opentelemetry');
    return String(error);
  };
  const expectKept = async (agent: AgentProcess): Promise<void> => {
    const scrape = await agent.scrape();
    expect(scrape.sum('tailrace_output_buffered_records')).toBe(100);
    expect(scrape.sum('tailrace_output_dead_lettered_records_total')).toBe(0);
  };

  test('an unknown host', async ({ rig }) => {
    const agent = await failing(rig, 4318, ['host: no-such-host.invalid']);
    expect(await errorOf(agent)).toMatch(/http:\/\/no-such-host\.invalid:4318.*(?:unknown|looked up)/);
    await expectKept(agent);
  });

  test('a path that is not there, mended by a reload', async ({ rig }) => {
    const agent = await failing(rig, collector.http, ['logs_uri: /wrong']);
    expect(await errorOf(agent)).toMatch(/\/wrong answered 404: nothing is there: check the path/);
    await expectKept(agent);
    rig.configure(pipeline(rig, collector.http));
    await agent.reload();
    await settled(agent, 100);
    await agent.stop();
  });

  const encrypted = (certificate: string): string => {
    const files = `{ cert_file: ${tlsFile(`${certificate}.pem`)}, key_file: ${tlsFile(`${certificate}.key`)} }`;
    return COLLECTOR_CONFIG.replace(/127\.0\.0\.1:(GRPC|HTTP)\b/g, `127.0.0.1:$1, tls: ${files}`);
  };

  test('an expired certificate, by HTTP and gRPC; a good one is taken', async ({ rig }) => {
    for (const [port, lines] of [
      ['http', []],
      ['grpc', ['grpc: on']],
    ] as const) {
      const expired = await startCollector({ config: encrypted('expired') });
      const state = `state-${port}`;
      appendRecords(rig.path(`${port}.log`), 0, 100);
      const configure = (to: number, authority: string): void =>
        rig.configure(
          pipeline(rig, to, ['tls: on', `tls.ca_file: ${tlsFile(authority)}`, ...lines]).replace(
            'app.log',
            `${port}.log`,
          ),
        );
      try {
        configure(expired[port], 'expired.pem');
        const agent = await rig.start({ state });
        expect(await errorOf(agent)).toMatch(/https:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
        await expectKept(agent);
        const good = await startCollector({ config: encrypted('server') });
        try {
          configure(good[port], 'ca.pem');
          await agent.reload();
          await settled(agent, 100);
          expectAll(good.file, 100, { once: true });
          await agent.stop();
        } finally {
          await good.close();
        }
      } finally {
        await expired.close();
      }
    }
  });

  test('a service of gRPC that is not there', async ({ rig }) => {
    const agent = await failing(rig, collector.grpc, ['grpc: on', 'grpc_logs_uri: /wrong.Service/Export']);
    expect(await errorOf(agent)).toMatch(/\/wrong\.Service\/Export answered UNIMPLEMENTED.*check host, port/);
    await expectKept(agent);
  });

  test('wrong credentials, at a stand-in: an agent of ours that wants a token', async ({ rig }) => {
    const sink = await startSink();
    const port = await freePort();
    rig.configure(receiverPipeline(rig, port, sink.port, ['token: right']));
    const receiver = await rig.start();
    appendRecords(rig.path('app.log'), 0, 100);
    const sender = rig.path('sender.yaml');
    for (const lines of [
      ['header: authorization Bearer wrong'],
      ['header: authorization Bearer wrong', 'grpc: on'],
    ]) {
      writeFileSync(sender, pipeline(rig, port, lines));
      const agent = await rig.start({ config: sender, state: `sender-${lines.length}` });
      expect(await errorOf(agent)).toMatch(
        /answered (?:401: check user and password|UNAUTHENTICATED: check user)/,
      );
      await expectKept(agent);
      expect(agent.stderr).not.toContain('Bearer wrong');
      writeFileSync(sender, pipeline(rig, port, [...lines.slice(1), 'header: authorization Bearer right']));
      await agent.reload();
      await settled(agent, 100);
      await agent.stop();
    }
    const refused = (await receiver.scrape()).sum('tailrace_input_requests_total', { code: '401' });
    // One probing request after the other, with back-off.
    expect(refused).toBeLessThan(40);
  });
});
