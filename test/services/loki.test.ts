/** The loki output against Grafana Loki. Where a stand-in is in its place, the test says so. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startServer, tlsFile } from '../net/servers.ts';
import type { TestServer } from '../net/servers.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { readLetters } from '../support/letters.ts';
import type { AgentProcess } from '../support/agent.ts';
import { startLoki } from './servers/loki.ts';
import type { LokiServer } from './servers/loki.ts';
import { addEntries, queryAll } from './support/loki-query.ts';
import type { FoundEntry } from './support/loki-query.ts';
import { appendRecords, Found, nanosOf, recordsPipeline } from './support/records.ts';
import { settled } from './support/settled.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/loki.yaml');
const TOTAL = 100_000;
const FAST = [
  '-distributor.ingestion-rate-limit-mb=200',
  '-distributor.ingestion-burst-size-mb=200',
  '-ingester.per-stream-rate-limit=200MB',
  '-ingester.per-stream-rate-limit-burst=200MB',
];
const WINDOW = { from: nanosOf(0) - 1_000_000_000n * 86_400n * 25n, to: nanosOf(TOTAL) };
const DELIVERED = 'tailrace_output_delivered_records_total';

/** The pipeline of the records to a Loki, with these lines for the output. */
function pipeline(rig: Rig, port: number, lines: readonly string[]): string {
  const own = ['name: loki', "match: '*'", `port: ${port}`, 'net.proxy_env_ignore: on', ...lines];
  return `${recordsPipeline(rig.path('app.log'))}  outputs:\n    - ${own.join('\n      ')}\n`;
}

/** Writes an entry's line with a time of its own, seconds from now. */
function lineAt(second: number, record: Record<string, unknown>): string {
  const time = new Date(Date.now() + second * 1000).toISOString();
  return `${JSON.stringify({ time, ...record })}\n`;
}

const found = async (server: LokiServer, selector: string, tenant?: string): Promise<FoundEntry[]> =>
  queryAll(server.url, selector, {
    ...WINDOW,
    to: BigInt(Date.now() + 86_400_000) * 1_000_000n,
    ...(tenant === undefined ? {} : { tenant }),
  });

const messages = (entries: readonly FoundEntry[]): string[] =>
  entries.map(({ line }) => (JSON.parse(line) as { m: string }).m).toSorted();

describe('records', () => {
  let server: LokiServer;

  beforeAll(async () => {
    server = await startLoki(FAST);
  });

  afterAll(() => server.close());

  const judged = async (job: string, labelKeys: readonly string[] = []): Promise<Found> => {
    const judge = new Found();
    addEntries(judge, await found(server, `{job="${job}"}`), labelKeys);
    return judge;
  };
  const expectAll = async (job: string, total: number, labelKeys: readonly string[] = []): Promise<void> => {
    (await judged(job, labelKeys)).expectComplete(total, { once: true });
  };

  test('the sample pipeline carries 100,000', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, TOTAL);
    const agent = await rig.start({
      config: SAMPLE,
      env: { LOKI_DEMO_LOG: rig.path('app.log'), LOKI_PORT: String(server.port) },
    });
    await settled(agent, TOTAL);
    await expectAll('demo', TOTAL, ['level']);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });

  test('JSON carries them as well', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, 20_000);
    rig.configure(pipeline(rig, server.port, ['labels: job=json', 'compress: gzip']));
    const agent = await rig.start();
    await settled(agent, 20_000);
    await expectAll('json', 20_000);
    await agent.stop();
  });

  test('a Loki that is killed in the middle has all of them', async ({ rig }) => {
    rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=killed', 'batch_size: 200k']));
    appendRecords(rig.path('app.log'), 0, TOTAL / 2);
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum(DELIVERED) > TOTAL / 20);
    await server.process.kill();
    appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
    await agent.said(/^The destination failed/);
    await server.process.start();
    await agent.said(/^The destination works again/);
    await settled(agent, TOTAL);
    const judge = await judged('killed');
    judge.expectComplete(TOTAL, { once: false });
    // Loki may have had the request that it was killed over, and does not know it after its restart: 200 kB.
    expect(judge.total - TOTAL).toBeLessThanOrEqual(1000);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
  });

  test('what is sent twice within a block of Loki is there once', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, 500);
    rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=twice']));
    for (const state of ['one', 'two']) {
      const agent = await rig.start({ state });
      await settled(agent, 500);
      await agent.stop();
    }
    await expectAll('twice', 500);
  });

  test('a label with too many values becomes structured metadata', async ({ rig }) => {
    appendRecords(rig.path('app.log'), 0, 2000);
    rig.configure(
      pipeline(rig, server.port, ['format: protobuf', 'labels: job=guarded, n=$n', 'max_label_values: 50']),
    );
    const agent = await rig.start();
    await settled(agent, 2000);
    const range = new URLSearchParams({
      'match[]': '{job="guarded"}',
      start: String(WINDOW.from),
      end: String(WINDOW.to),
    });
    const series = (await (await fetch(`${server.url}/loki/api/v1/series?${range.toString()}`)).json()) as {
      data: { n?: string }[];
    };
    expect(series.data).toHaveLength(51);
    const numbers = (await found(server, '{job="guarded"}')).map(({ labels }) => Number(labels['n']));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 2000 }, (_, n) => n));
    expect(agent.log.filter(({ msg }) => msg.startsWith('A label has too many values'))).toHaveLength(1);
    const scrape = await agent.scrape();
    expect(scrape.sum('tailrace_output_labels_moved_total', { limit: 'values' })).toBe(1950);
    await agent.stop();
  });

  describe('what Loki refuses', () => {
    const MIXED = [
      lineAt(-40 * 86_400, { m: 'old 1' }),
      lineAt(-30, { m: 'good 1' }),
      lineAt(-20, { m: 'long', text: 'x'.repeat(2000) }),
      lineAt(-10, { m: 'good 2' }),
      lineAt(-20 * 86_400, { m: 'old 2' }),
      lineAt(7200, { m: 'future' }),
      lineAt(-5, { m: 'good 3' }),
    ].join('');

    test.for(['protobuf', 'json'])(
      'becomes dead letters with its reason, the rest is there (%s)',
      async (format, { rig }) => {
        appendFileSync(rig.path('app.log'), MIXED);
        rig.configure(pipeline(rig, server.port, [`format: ${format}`, `labels: job=mixed-${format}`]));
        const agent = await rig.start();
        await settled(agent, 7);
        expect(messages(await found(server, `{job="mixed-${format}"}`))).toEqual([
          'good 1',
          'good 2',
          'good 3',
        ]);
        const letters = readLetters(rig.path('state'));
        expect(
          letters
            .map(({ status, reason, record, attempts }) => [
              (record as unknown as { m: string }).m,
              status,
              attempts,
              /too (?:old|new)|max entry size/.exec(reason)?.[0],
            ])
            .toSorted(),
        ).toEqual([
          ['future', 400, 1, 'too new'],
          ['long', 400, 1, 'max entry size'],
          ['old 1', 400, 1, 'too old'],
          ['old 2', 400, 1, 'too old'],
        ]);
        // Nothing that it took was sent again.
        expect((await agent.scrape()).sum('tailrace_output_retried_records_total')).toBe(0);
        await agent.stop();
      },
    );

    test('because it is too far behind becomes dead letters, of each stream', async ({ rig }) => {
      rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=behind, s=$s']));
      appendFileSync(
        rig.path('app.log'),
        lineAt(-10, { s: 'a', m: 'new a' }) + lineAt(-10, { s: 'b', m: 'new b' }),
      );
      const agent = await rig.start();
      await settled(agent, 2);
      appendFileSync(
        rig.path('app.log'),
        lineAt(-7200, { s: 'a', m: 'late a' }) +
          lineAt(-7100, { s: 'b', m: 'late b' }) +
          lineAt(-60, { s: 'a', m: 'good a' }) +
          lineAt(-60, { s: 'b', m: 'good b' }) +
          lineAt(-60, { s: 'c', m: 'good c' }),
      );
      await settled(agent, 7);
      expect(messages(await found(server, '{job="behind"}'))).toEqual([
        'good a',
        'good b',
        'good c',
        'new a',
        'new b',
      ]);
      const letters = readLetters(rig.path('state'));
      expect(
        letters
          .map(({ record, reason }) => [(record as unknown as { m: string }).m, reason.slice(0, 20)])
          .toSorted(),
      ).toEqual([
        ['late a', 'entry too far behind'],
        ['late b', 'entry too far behind'],
      ]);
      await agent.stop();
    });

    test('of a push of several streams is only told for the last: the reason for a request per stream', async () => {
      const at = (seconds: number): string =>
        String(BigInt(Math.floor(Date.now() / 1000 + seconds)) * 1_000_000_000n);
      const push = async (streams: unknown): Promise<number> => {
        const response = await fetch(`${server.url}/loki/api/v1/push`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ streams }),
        });
        await response.arrayBuffer();
        return response.status;
      };
      const late = { stream: { job: 'hidden', s: 'late' }, values: [[at(-7200), '{"m":"late"}']] };
      const good = { stream: { job: 'hidden', s: 'good' }, values: [[at(-5), '{"m":"good"}']] };
      expect(await push([{ ...late, values: [[at(-10), '{"m":"new"}']] }])).toBe(204);
      expect(await push([good, late])).toBe(400);
      expect(await push([late, good])).toBe(204);
      expect(messages(await found(server, '{job="hidden"}'))).toEqual(['good', 'new']);
    });
  });
});

describe('limits', () => {
  test('of the rate are waited for: nothing is lost', async ({ rig }) => {
    const server = await startLoki([
      '-distributor.ingestion-rate-limit-mb=0.5',
      '-distributor.ingestion-burst-size-mb=0.6',
    ]);
    try {
      appendRecords(rig.path('app.log'), 0, 10_000);
      rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=slow']));
      const agent = await rig.start();
      await settled(agent, 10_000);
      const judge = new Found();
      addEntries(judge, await found(server, '{job="slow"}'));
      judge.expectComplete(10_000, { once: true });
      expect(agent.log.some(({ error }) => /answered 429 \(ingestion rate limit/.test(String(error)))).toBe(
        true,
      );
      await agent.stop();
    } finally {
      await server.close();
    }
  });

  test('of a stream’s rate hold up that stream, and it is complete in the end', async ({ rig }) => {
    const server = await startLoki([
      '-ingester.per-stream-rate-limit=300KB',
      '-ingester.per-stream-rate-limit-burst=400KB',
    ]);
    try {
      appendRecords(rig.path('app.log'), 0, 8000);
      rig.configure(
        pipeline(rig, server.port, [
          'format: protobuf',
          'labels: job=slow, level=$level',
          'batch_size: 300k',
        ]),
      );
      const agent = await rig.start();
      await settled(agent, 8000);
      const judge = new Found();
      addEntries(judge, await found(server, '{job="slow"}'), ['level']);
      judge.expectComplete(8000, { once: true });
      await agent.stop();
    } finally {
      await server.close();
    }
  });

  test('of streams hold up what is beyond', async ({ rig }) => {
    const server = await startLoki([
      '-ingester.max-streams-per-user=2',
      '-ingester.max-global-streams-per-user=0',
    ]);
    try {
      for (const s of ['a', 'b', 'c'])
        appendFileSync(rig.path('app.log'), lineAt(-5, { s, m: `first ${s}` }));
      rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=many, s=$s']));
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum(DELIVERED) === 2);
      const { error } = await agent.said(/sent again|destination failed/);
      expect(String(error)).toMatch(/answered 429 \(maximum active stream limit exceeded/i);
      expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(1);
      expect(await found(server, '{job="many"}')).toHaveLength(2);
    } finally {
      await server.close();
    }
  });
});

test('labels that Loki wants are named, and the records wait for them', async ({ rig }) => {
  const server = await startLoki(['-validation.enforced-labels=env']);
  try {
    appendFileSync(rig.path('app.log'), lineAt(-5, { m: 'waits' }));
    rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=wanted']));
    const agent = await rig.start();
    const { error } = await agent.said(/^The destination failed/);
    expect(String(error)).toMatch(/it wants every stream to have the labels env: add them to labels/);
    rig.configure(pipeline(rig, server.port, ['format: protobuf', 'labels: job=wanted, env=test']));
    await agent.reload();
    await settled(agent, 1);
    expect(messages(await found(server, '{job="wanted"}'))).toEqual(['waits']);
    await agent.stop();
  } finally {
    await server.close();
  }
});

describe('tenants', () => {
  test('are told apart by a key; without one the advice is to set it, and nothing is lost', async ({
    rig,
  }) => {
    const server = await startLoki(['-auth.enabled=true']);
    try {
      for (const [n, t] of ['red', 'blue', undefined, 'red'].entries())
        appendFileSync(rig.path('app.log'), lineAt(-20 + n, { t, m: `m${n}` }));
      const lines = ['format: protobuf', 'labels: job=tenants', 'tenant_id_key: $t', 'remove_keys: t'];
      rig.configure(pipeline(rig, server.port, lines));
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum(DELIVERED) === 3);
      await agent.said(/./);
      await agent.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 1);
      const failure = await agent.said(/^The destination failed|sent again/);
      expect(String(failure['error'])).toMatch(/answered 401: it keeps tenants apart: set tenant_id/);
      rig.configure(pipeline(rig, server.port, [...lines, 'tenant_id: rest']));
      await agent.reload();
      await settled(agent, 4);
      for (const [tenant, expected] of [
        ['red', ['m0', 'm3']],
        ['blue', ['m1']],
        ['rest', ['m2']],
      ] as const) {
        expect(messages(await found(server, '{job="tenants"}', tenant))).toEqual(expected);
      }
      await agent.stop();
    } finally {
      await server.close();
    }
  });
});

/** What a person sees of a destination that cannot be: one clear line a failed attempt, the records kept. */
describe('faults', () => {
  const failing = async (rig: Rig, port: number, lines: readonly string[]): Promise<AgentProcess> => {
    appendRecords(rig.path('app.log'), 0, 100);
    rig.configure(pipeline(rig, port, ['format: protobuf', 'labels: job=faults', ...lines]));
    const agent = await rig.start();
    await agent.said(/^The destination failed/);
    return agent;
  };
  const errorOf = async (agent: AgentProcess): Promise<string> => {
    const { error, output, name } = await agent.said(/^The destination failed/);
    expect(String(output ?? name)).toContain('loki');
    return String(error);
  };

  test('an unknown host', async ({ rig }) => {
    const agent = await failing(rig, 3100, ['host: no-such-host.invalid']);
    expect(await errorOf(agent)).toMatch(/http:\/\/no-such-host\.invalid:3100.*(?:unknown|looked up)/);
    expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(100);
  });

  test('wrong credentials, at a stand-in: Loki itself has none', async ({ rig }) => {
    const server: TestServer = await startServer((request, response) => {
      const good = request.headers.authorization === `Basic ${Buffer.from('me:right').toString('base64')}`;
      response.statusCode = good ? 204 : 401;
      response.end();
    });
    try {
      const agent = await failing(rig, server.port, ['http_user: me', 'http_passwd: wrong']);
      expect(await errorOf(agent)).toMatch(
        /127\.0\.0\.1:\d+\/loki\/api\/v1\/push answered 401: check user and password/,
      );
      expect(agent.stderr).not.toContain('wrong');
      const lines = ['format: protobuf', 'labels: job=faults', 'http_user: me', 'http_passwd: right'];
      rig.configure(pipeline(rig, server.port, lines));
      await agent.reload();
      await settled(agent, 100);
      // Back-off: not many more requests than failures that were told.
      const told = agent.log.filter(({ msg }) => msg.startsWith('The destination failed')).length;
      expect(server.requests.length).toBeLessThan(told + 20);
      await agent.stop();
    } finally {
      await server.close();
    }
  });

  test('an expired certificate, at a stand-in', async ({ rig }) => {
    const server = await startServer(undefined, { tls: { certificate: 'expired' } });
    try {
      const agent = await failing(rig, server.port, ['tls: on', `tls.ca_file: ${tlsFile('expired.pem')}`]);
      expect(await errorOf(agent)).toMatch(/https:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
      expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(100);
    } finally {
      await server.close();
    }
  });
});
