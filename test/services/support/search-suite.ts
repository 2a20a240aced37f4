/** The suite that the outputs of Elasticsearch and OpenSearch share, against the real servers. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { startServer, tlsFile } from '../../net/servers.ts';
import type { AgentProcess } from '../../support/agent.ts';
import { test } from '../../support/e2e.ts';
import type { Rig } from '../../support/e2e.ts';
import { readLetters } from '../../support/letters.ts';
import type { SearchServer } from '../servers/search-server.ts';
import { Gate } from './gate.ts';
import { appendRecords, Found, recordsPipeline } from './records.ts';
import { MAPPINGS, SearchStore } from './search-store.ts';
import { settled } from './settled.ts';

const PIPELINES = join(import.meta.dirname, '../../../pipelines');
const TOTAL = 100_000;
const DELIVERED = 'tailrace_output_delivered_records_total';
const NANOS = 'time_key_nanos: on';

export interface SearchSuite {
  name: 'elasticsearch' | 'opensearch';
  start: (settings?: Readonly<Record<string, string>>) => Promise<SearchServer>;
  /** It has ingest pipelines. */
  pipelines: boolean;
}

/** What the records of the suites need of a server. */
async function prepared(server: SearchServer): Promise<SearchStore> {
  const store = new SearchStore(server);
  await store.ask('PUT', '/_index_template/records', {
    index_patterns: ['demo-*', 'killed', 'again', 'piped', 'two', 'small', 'faults'],
    template: { settings: { number_of_replicas: 0 }, mappings: MAPPINGS },
  });
  return store;
}

export function describeSearch({ name, start, pipelines }: SearchSuite): void {
  /** The pipeline of the records to a server, with these lines for the output. */
  const pipeline = (
    rig: Rig,
    port: number,
    lines: readonly string[],
    input: readonly string[] = [],
  ): string => {
    const own = [`name: ${name}`, "match: '*'", `port: ${port}`, 'net.proxy_env_ignore: on', ...lines];
    const more = input.map((line) => `      ${line}\n`).join('');
    return `${recordsPipeline(rig.path('app.log'))}${more}  outputs:\n    - ${own.join('\n      ')}\n`;
  };

  const expectAll = async (store: SearchStore, index: string, total: number): Promise<void> => {
    const found = new Found();
    await store.judge(index, found);
    found.expectComplete(total, { once: true });
    // What no page of a search shows would be there all the same.
    expect(await store.count(index)).toBe(total);
  };

  /** Runs a server of a test's own. */
  const withServer = async (
    settings: Readonly<Record<string, string>>,
    use: (store: SearchStore, server: SearchServer) => Promise<void>,
  ): Promise<void> => {
    const server = await start(settings);
    try {
      await use(await prepared(server), server);
    } finally {
      await server.close();
    }
  };

  describe('records', () => {
    let server: SearchServer;
    let store: SearchStore;

    beforeAll(async () => {
      server = await start();
      store = await prepared(server);
    });

    afterAll(() => server.close());

    test('the sample pipeline carries 100,000, into an index per day', async ({ rig }) => {
      appendRecords(rig.path('app.log'), 0, TOTAL);
      const upper = name.toUpperCase();
      const agent = await rig.start({
        config: join(PIPELINES, `${name}.yaml`),
        env: { [`${upper}_DEMO_LOG`]: rig.path('app.log'), [`${upper}_PORT`]: String(server.port) },
      });
      await settled(agent, TOTAL);
      await expectAll(store, 'demo-*', TOTAL);
      const [source] = await store.sources('demo-*');
      const day = String(source?.['@timestamp']).slice(0, 10).replaceAll('-', '.');
      expect(await store.count(`demo-${day}`)).toBeGreaterThan(0);
      const { summary } = await agent.stop();
      expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
    });

    test('a server that is killed in the middle has each of them once', async ({ rig }) => {
      rig.configure(pipeline(rig, server.port, ['index: killed', NANOS, 'bulk_max_size: 500k']));
      appendRecords(rig.path('app.log'), 0, TOTAL / 2);
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum(DELIVERED) > TOTAL / 50);
      await server.process.kill();
      appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
      await agent.said(/^The destination failed/);
      await server.process.start();
      await agent.said(/^The destination works again/);
      await settled(agent, TOTAL);
      await expectAll(store, 'killed', TOTAL);
      const { summary } = await agent.stop();
      expect(summary).toMatchObject({ delivered: TOTAL, dead_lettered: 0 });
    });

    test('an agent that is killed in the middle leaves none of them twice', async ({ rig }) => {
      rig.configure(pipeline(rig, server.port, ['index: again', NANOS, 'bulk_max_size: 500k']));
      appendRecords(rig.path('app.log'), 0, TOTAL / 2);
      for (let round = 1; round <= 3; round++) {
        const agent = await rig.start();
        await agent.until((scrape) => scrape.sum(DELIVERED) > 1000);
        await agent.kill();
      }
      appendRecords(rig.path('app.log'), TOTAL / 2, TOTAL);
      const agent = await rig.start();
      await agent.until((scrape) => scrape.sum('tailrace_output_enqueued_records_total') > 0);
      await agent.until(
        (scrape) =>
          scrape.sum('tailrace_output_buffered_records') === 0 &&
          scrape.sum('tailrace_input_file_lag_bytes') === 0,
      );
      await expectAll(store, 'again', TOTAL);
      await agent.stop();
    });

    test('a data stream takes them', async ({ rig }) => {
      await store.ask('PUT', '/_index_template/app', {
        index_patterns: ['logs-app-*'],
        data_stream: {},
        template: { settings: { number_of_replicas: 0 }, mappings: MAPPINGS },
      });
      rig.configure(pipeline(rig, server.port, ['index: logs-app-default', NANOS]));
      appendRecords(rig.path('app.log'), 0, 5000);
      const agent = await rig.start();
      await settled(agent, 5000);
      await expectAll(store, 'logs-app-default', 5000);
      await agent.stop();
    });

    test('conflicts with the mapping: dead letters with the server’s reason', async ({ rig }) => {
      await store.ask('PUT', '/strict', { mappings: { properties: { took: { type: 'long' } } } });
      rig.configure(pipeline(rig, server.port, ['index: strict', 'trace_error: on']));
      for (const [n, took] of ['1', '"soon"', '2', '{"a":1}', '3'].entries())
        appendFileSync(rig.path('app.log'), `{"n":${n},"took":${took}}\n`);
      const agent = await rig.start();
      await settled(agent, 5);
      expect(await store.count('strict')).toBe(3);
      expect(
        readLetters(rig.path('state')).map(({ status, reason }) => [
          status,
          /failed to parse field \[took\]/.test(reason),
        ]),
      ).toEqual([
        [400, true],
        [400, true],
      ]);
      await agent.said(/^A record was rejected/);
      await agent.stop();
    });

    test('on_mapping_conflict: stringify moves the field', async ({ rig }) => {
      await store.ask('PUT', '/lenient', {
        mappings: { properties: { took: { type: 'long' }, o: { properties: { x: { type: 'long' } } } } },
      });
      rig.configure(pipeline(rig, server.port, ['index: lenient', 'on_mapping_conflict: stringify', NANOS]));
      const texts = [
        '{"n":0,"took":1}',
        '{"n":1,"took":"soon","big":9007199254740993}',
        '{"n":2,"took":{"a":1}}',
        '{"n":3,"o":"concrete"}',
        '{"n":4,"o":{"x":{"y":1}}}',
        '{"n":5,"o.x":"z"}',
        '{"n":6,"took":"a","o":"b"}',
      ];
      appendFileSync(rig.path('app.log'), `${texts.join('\n')}\n`);
      const agent = await rig.start();
      await settled(agent, texts.length);
      const sources = (await store.sources('lenient')).map(({ '@timestamp': _time, ...record }) => record);
      expect(sources).toEqual([
        { n: 0, took: 1 },
        { n: 1, big: 9_007_199_254_740_993n, _conflict: { took: 'soon' } },
        { n: 2, _conflict: { took: '{"a":1}' } },
        { n: 3, _conflict: { o: 'concrete' } },
        { n: 4, o: {}, _conflict: { o_x: '{"y":1}' } },
        { n: 5, _conflict: { o_x: 'z' } },
      ]);
      // Two conflicts in one record are one too many.
      expect(readLetters(rig.path('state'))).toMatchObject([{ status: 400, record: { n: 6 } }]);
      await agent.stop();
    });

    // The build of Elasticsearch has no ingest processors.
    if (pipelines)
      test('an ingest pipeline is gone through; a missing one is waited for', async ({ rig }) => {
        rig.configure(pipeline(rig, server.port, ['index: piped', 'pipeline: mark']));
        appendRecords(rig.path('app.log'), 0, 100);
        const agent = await rig.start();
        const { error } = await agent.said(/^The destination failed/);
        expect(String(error)).toContain('pipeline with id [mark] does not exist');
        await store.ask('PUT', '/_ingest/pipeline/mark', {
          processors: [{ set: { field: 'marked', value: 'yes' } }],
        });
        await settled(agent, 100);
        const sources = await store.sources('piped');
        expect(sources).toHaveLength(100);
        expect(sources.every(({ marked }) => marked === 'yes')).toBe(true);
        await agent.stop();
      });

    test('two hosts, one of them dead: all arrives', async ({ rig }) => {
      const dead = await startServer();
      await dead.close();
      const hosts = `hosts: 127.0.0.1:${dead.port}, 127.0.0.1:${server.port}`;
      rig.configure(pipeline(rig, server.port, ['index: two', NANOS, hosts]));
      appendRecords(rig.path('app.log'), 0, 5000);
      const agent = await rig.start();
      await settled(agent, 5000);
      await expectAll(store, 'two', 5000);
      await agent.stop();
    });
  });

  describe('limits', () => {
    test('good, conflicting and refused items in one request: each as it should be', async ({ rig }) => {
      const settings = { 'thread_pool.write.size': '1', 'thread_pool.write.queue_size': '1' };
      await withServer(settings, async (store, server) => {
        await store.ask('PUT', '/mixed', {
          settings: { number_of_shards: 30, number_of_replicas: 0 },
          mappings: { properties: { n: { type: 'long' }, took: { type: 'long' } } },
        });
        const gate = await Gate.open(server.port, { keep: true });
        try {
          rig.configure(pipeline(rig, gate.port, ['index: mixed']));
          const total = 6000;
          let text = '';
          for (let n = 0; n < total; n++)
            text += `{"n":${n},"took":${n % 100 === 7 ? '"soon"' : n},"pad":"${'x'.repeat(100)}"}\n`;
          appendFileSync(rig.path('app.log'), text);
          const agent = await rig.start();
          await settled(agent, total);
          const bad = total / 100;
          expect(await store.count('mixed')).toBe(total - bad);
          const numbers = (await store.sources('mixed')).map(({ n }) => n);
          expect(numbers).toEqual(Array.from({ length: total }, (_, n) => n).filter((n) => n % 100 !== 7));
          const letters = readLetters(rig.path('state'));
          expect(letters).toHaveLength(bad);
          for (const { status, reason } of letters) {
            expect(status).toBe(400);
            expect(reason).toMatch(
              /parsing_exception: .*failed to parse field \[took\] of type \[long\].*For input string/,
            );
          }
          expect((await agent.scrape()).sum('tailrace_output_retried_records_total')).toBeGreaterThan(0);
          await agent.stop();
          // Real ones: the server took items, refused some for good and some for now, all in the same request.
          const statuses = gate.answers.map((answer) => new Set(answer.match(/(?<="status":)\d{3}/g)));
          const mixed = statuses.filter((seen) => seen.has('201') && seen.has('400') && seen.has('429'));
          expect(mixed.length).toBeGreaterThan(0);
        } finally {
          await gate.close();
        }
      });
    });

    test('413: the request is halved, down to the record that is too large alone', async ({ rig }) => {
      await withServer({ 'http.max_content_length': '512kb' }, async (store, server) => {
        rig.configure(pipeline(rig, server.port, ['index: small', NANOS], ['buffer_max_size: 1M']));
        appendRecords(rig.path('app.log'), 0, 5000);
        appendFileSync(rig.path('app.log'), `{"n":-1,"text":"${'x'.repeat(700_000)}"}\n`);
        appendRecords(rig.path('app.log'), 5000, 10_000);
        const agent = await rig.start();
        await settled(agent, 10_001);
        await expectAll(store, 'small', 10_000);
        expect(readLetters(rig.path('state'))).toMatchObject([
          { status: 413, reason: expect.stringContaining('answered 413') },
        ]);
        await agent.stop();
      });
    });
  });

  /** What a person sees of a destination that cannot be: one clear line a failed attempt, the records kept. */
  describe('faults', () => {
    const failing = async (rig: Rig, port: number, lines: readonly string[]): Promise<string> => {
      appendRecords(rig.path('app.log'), 0, 100);
      rig.configure(pipeline(rig, port, ['index: faults', NANOS, ...lines]));
      const agent = await rig.start();
      const { error, output, name: instance } = await agent.said(/^The destination failed/);
      expect(String(output ?? instance)).toContain(name);
      expect((await agent.scrape()).sum('tailrace_output_buffered_records')).toBe(100);
      expect(readLetters(rig.path('state'))).toEqual([]);
      return String(error);
    };
    const running = (rig: Rig): AgentProcess => rig.agents.at(-1) as AgentProcess;

    test('an unknown host', async ({ rig }) => {
      const error = await failing(rig, 9200, ['host: no-such-host.invalid']);
      expect(error).toMatch(/http:\/\/no-such-host\.invalid:9200.*(?:unknown|looked up)/);
    });

    test('a missing index, and none may be made: kept until it is there', async ({ rig }) => {
      await withServer({ 'action.auto_create_index': 'false' }, async (store, server) => {
        const error = await failing(rig, server.port, []);
        expect(error).toMatch(
          /127\.0\.0\.1:\d+: 100 records were not taken: 404 .*no such index \[faults\].*create the index/,
        );
        await store.ask('PUT', '/faults');
        await settled(running(rig), 100);
        await expectAll(store, 'faults', 100);
        await running(rig).stop();
      });
    });

    // These builds have no security and no TLS: a gate in front of the real server stands in for both.
    test('wrong credentials, at a gate: kept until they are right', async ({ rig }) => {
      await withServer({}, async (store, server) => {
        const gate = await Gate.open(server.port, {
          authorization: `Basic ${Buffer.from('me:right').toString('base64')}`,
        });
        try {
          const error = await failing(rig, gate.port, ['http_user: me', 'http_passwd: wrong']);
          expect(error).toMatch(/127\.0\.0\.1:\d+\/_bulk answered 401: check user and password/);
          expect(running(rig).stderr).not.toContain('wrong');
          rig.configure(
            pipeline(rig, gate.port, ['index: faults', NANOS, 'http_user: me', 'http_passwd: right']),
          );
          await running(rig).reload();
          await settled(running(rig), 100);
          await expectAll(store, 'faults', 100);
          // Back-off: not many more requests than failures that were told.
          const told = running(rig).log.filter(({ msg }) => msg.startsWith('The destination failed')).length;
          expect(gate.requests).toBeLessThan(told + 20);
          await running(rig).stop();
        } finally {
          await gate.close();
        }
      });
    });

    test('an expired certificate, at a gate: kept until there is a new one', async ({ rig }) => {
      await withServer({}, async (store, server) => {
        const gate = await Gate.open(server.port, { certificate: 'expired' });
        try {
          const error = await failing(rig, gate.port, ['tls: on', `tls.ca_file: ${tlsFile('expired.pem')}`]);
          expect(error).toMatch(/https:\/\/127\.0\.0\.1:\d+: its certificate has expired/);
          gate.renew('server');
          rig.configure(
            pipeline(rig, gate.port, [
              'index: faults',
              NANOS,
              'tls: on',
              `tls.ca_file: ${tlsFile('ca.pem')}`,
            ]),
          );
          await running(rig).reload();
          await settled(running(rig), 100);
          await expectAll(store, 'faults', 100);
          await running(rig).stop();
        } finally {
          await gate.close();
        }
      });
    });
  });
}
