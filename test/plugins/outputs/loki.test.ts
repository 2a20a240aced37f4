import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import loki from '../../../plugins/outputs/loki.ts';
import type { Outcome, Output, Slice } from '../../../src/plugin.ts';
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import type { Event } from '../../contract/support.ts';
import { startServer, tlsFile } from '../../net/servers.ts';
import type { Answer, ServerOptions, TestServer } from '../../net/servers.ts';
import { readPush } from '../../support/loki-push.ts';
import type { PushedStream } from '../../support/loki-push.ts';

const LOCAL = { 'net.proxy_env_ignore': 'on' };

for (const format of ['json', 'protobuf']) {
  describeOutput(`loki as ${format}`, async () => {
    const server = await startServer();
    return {
      output: await createOutput(loki, { ...LOCAL, port: String(server.port), format }, contextIn('/')),
      arrived: () =>
        server.requests
          .flatMap(readPush)
          .flatMap(({ entries }) => entries)
          .map(({ line }) => parseExact(line)),
      cleanUp: () => server.close(),
    };
  });
}

describe('loki', () => {
  let servers: TestServer[];
  let outputs: Output[];
  let folder: string;

  beforeEach(() => {
    servers = [];
    outputs = [];
    folder = mkdtempSync(join(tmpdir(), 'tailrace-loki-'));
  });

  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (
    options: Record<string, string | string[]> = {},
    answer?: Answer,
    serverOptions?: ServerOptions,
  ) => {
    const server = await startServer(answer, serverOptions);
    servers.push(server);
    const context = contextIn(folder);
    const output = await createOutput(loki, { ...LOCAL, port: String(server.port), ...options }, context);
    outputs.push(output);
    return {
      server,
      context,
      deliver: (slices: Slice[], signal = noAbort()): Promise<Outcome> => output.deliver(slices, signal),
    };
  };

  /** The streams that records become, as both formats, which must be the same. */
  const streamsOf = async (
    options: Record<string, string | string[]>,
    events: readonly (Event | string)[],
    tag = 'app.web',
  ): Promise<PushedStream[]> => {
    const found: PushedStream[][] = [];
    for (const format of ['json', 'protobuf']) {
      const { server, deliver } = await start({ ...options, format });
      expect(await deliver([sliceOf(tag, events)])).toEqual({});
      found.push(server.requests.flatMap(readPush));
    }
    expect(withoutEmpty(found[1])).toEqual(withoutEmpty(found[0]));
    return found[0] as PushedStream[];
  };

  const lines = (streams: PushedStream[]): string[] =>
    streams.flatMap(({ entries }) => entries.map(({ line }) => line));

  describe('requests', () => {
    it('are JSON unless told otherwise', async () => {
      const { server, deliver } = await start({ labels: 'job=fb', tenant_id: 'team-a', header: ['X-One 1'] });
      expect(await deliver([sliceOf('t', [{ record: '{"a":"ü"}', nanos: 7 }, '{"b":1}'])])).toEqual({});
      const [request] = server.requests;
      expect([request?.method, request?.url]).toEqual(['POST', '/loki/api/v1/push']);
      expect(request?.headers).toMatchObject({
        'content-type': 'application/json',
        'x-scope-orgid': 'team-a',
        'x-one': '1',
        'user-agent': 'Tailrace/1.2.3',
      });
      expect(request?.body.toString()).toBe(
        '{"streams":[{"stream":{"job":"fb"},"values":[["1700000000000000007","{\\"a\\":\\"ü\\"}"],["1700000000500000000","{\\"b\\":1}"]]}]}',
      );
    });

    it('can be protobuf with snappy', async () => {
      const { server, deliver } = await start({ format: 'protobuf', uri: 'other/push' });
      expect(await deliver([sliceOf('t', ['{"a":"ü"}'])])).toEqual({});
      expect(server.requests[0]?.url).toBe('/other/push');
      expect(server.requests[0]?.headers['content-type']).toBe('application/x-protobuf');
      expect(server.requests.flatMap(readPush)).toEqual([
        { labels: { job: 'fluent-bit' }, entries: [{ at: 1_700_000_000_500_000_000n, line: '{"a":"ü"}' }] },
      ]);
    });

    it('can be JSON with gzip', async () => {
      const { server, deliver } = await start({ compress: 'gzip' });
      expect(await deliver([sliceOf('t', ['{"a":1}'])])).toEqual({});
      expect(server.requests[0]?.headers['content-encoding']).toBe('gzip');
      expect(lines(server.requests.flatMap(readPush))).toEqual(['{"a":1}']);
    });

    it.each([
      [{ http_user: 'me', http_passwd: 'secret' }, `Basic ${Buffer.from('me:secret').toString('base64')}`],
      [{ bearer_token: 'token' }, 'Bearer token'],
    ])('carry credentials', async (options, expected) => {
      const { server, deliver } = await start(options);
      await deliver([sliceOf('t', ['{}'])]);
      expect(server.requests[0]?.headers.authorization).toBe(expected);
    });
  });

  describe('labels', () => {
    const KUBERNETES =
      '{"log":"a","level":"warn","kubernetes":{"pod_name":"p-1","labels":{"app.kubernetes.io/name":"shop","n":1}}}';

    it('come from the record, which then is without them', async () => {
      const streams = await streamsOf(
        { labels: ["job=fb, level=$level, $kubernetes['pod_name']"].join(','), label_keys: '$missing' },
        [KUBERNETES, '{"log":"b","level":""}'],
      );
      expect(streams.map(({ labels }) => labels)).toEqual([
        { job: 'fb', level: 'warn', kubernetes_pod_name: 'p-1' },
        { job: 'fb' },
      ]);
      expect(lines(streams).map((line) => JSON.parse(line) as unknown)).toEqual([
        { log: 'a', kubernetes: { labels: { 'app.kubernetes.io/name': 'shop', n: 1 } } },
        { log: 'b' },
      ]);
    });

    it('come from the tag, without a record being read', async () => {
      const streams = await streamsOf({ labels: 'app=$TAG[1],tag=$TAG' }, ['{ "x": 1.0 }']);
      expect(streams).toEqual([
        {
          labels: { app: 'web', tag: 'app.web' },
          entries: [{ at: 1_700_000_000_500_000_000n, line: '{ "x": 1.0 }' }],
        },
      ]);
    });

    it('come from Kubernetes', async () => {
      const streams = await streamsOf({ auto_kubernetes_labels: 'on', labels: 'job=fb' }, [KUBERNETES, '{}']);
      expect(streams.map(({ labels }) => labels)).toEqual([
        { job: 'fb', app_kubernetes_io_name: 'shop' },
        { job: 'fb' },
      ]);
      expect(lines(streams)).toEqual([KUBERNETES, '{}']);
    });

    it('come from a label map', async () => {
      writeFileSync(join(folder, 'map.json'), '{"level":"severity","kubernetes":{"pod_name":"pod"}}');
      const streams = await streamsOf({ label_map_path: 'map.json', remove_keys: 'kubernetes' }, [
        KUBERNETES,
      ]);
      expect(streams.map(({ labels }) => labels)).toEqual([{ severity: 'warn', pod: 'p-1' }]);
      expect(lines(streams)).toEqual(['{"log":"a"}']);
    });

    it('cannot come from a map that is not there or none', async () => {
      await expect(start({ label_map_path: 'none.json' })).rejects.toThrow(
        /Reading the label map .*none\.json/,
      );
      writeFileSync(join(folder, 'bad.json'), '{"a":1}');
      await expect(start({ label_map_path: 'bad.json' })).rejects.toThrow(
        /holds neither a text nor a map at a/,
      );
    });

    it('cannot break out of their stream', async () => {
      const value = 'x", job="forged"} \\ \n }';
      const streams = await streamsOf({ label_keys: '$v' }, [{ record: { v: value, a: 1 } }]);
      expect(streams).toEqual([
        { labels: { v: value }, entries: [{ at: 1_700_000_000_500_000_000n, line: '{"a":1}' }] },
      ]);
    });

    it('group records, oldest first', async () => {
      const events = [3, 1, 2, 1, 4].map((second, n) => ({
        record: { n, k: n % 2 === 0 ? 'even' : 'odd' },
        seconds: 1_700_000_000 + second,
        nanos: 0,
      }));
      const streams = await streamsOf({ label_keys: '$k' }, events);
      expect(streams.map(({ labels, entries }) => [labels['k'], ...entries.map(({ line }) => line)])).toEqual(
        [
          ['even', '{"n":2}', '{"n":0}', '{"n":4}'],
          ['odd', '{"n":1}', '{"n":3}'],
        ],
      );
    });

    it('with too many values become structured metadata', async () => {
      const streams = await streamsOf({ label_keys: '$id', max_label_values: '2' }, [
        '{"id":"1"}',
        '{"id":"2"}',
        '{"id":"3"}',
        '{"id":"1"}',
      ]);
      expect(streams.map(({ labels, entries }) => [labels, entries.map(({ metadata }) => metadata)])).toEqual(
        [
          [{ id: '1' }, [undefined]],
          [{ id: '2' }, [undefined]],
          [{ job: 'fluent-bit' }, [{ id: '3' }, { id: '1' }]],
        ],
      );
    });
  });

  describe('structured metadata', () => {
    it('comes from the record, which then is without it', async () => {
      const streams = await streamsOf(
        {
          labels: 'job=fb',
          structured_metadata: 'trace=$trace_id,$span,fixed=x',
          structured_metadata_map_keys: "$kubernetes['labels']",
        },
        ['{"trace_id":"t1","kubernetes":{"labels":{"a.b":"c","n":1,"trace":"over"}}}', '{"m":2}'],
      );
      expect(streams[0]?.entries.map(({ line, metadata }) => [line, metadata])).toEqual([
        ['{"kubernetes":{}}', { a_b: 'c', n: '1', trace: 't1', fixed: 'x' }],
        ['{"m":2}', { fixed: 'x' }],
      ]);
    });

    it('is there in JSON even where it is empty', async () => {
      const streams = await streamsOf({ structured_metadata: '$a' }, ['{"b":1}']);
      expect(streams[0]?.entries[0]?.metadata).toEqual({});
    });

    it('can be the same for all, without a record being read', async () => {
      const streams = await streamsOf({ structured_metadata: 'tag=$TAG' }, ['{ "b": 1 }', '{}']);
      expect(streams[0]?.entries.map(({ line, metadata }) => [line, metadata])).toEqual([
        ['{ "b": 1 }', { tag: 'app.web' }],
        ['{}', { tag: 'app.web' }],
      ]);
    });
  });

  it.each([
    [{ line_format: 'key_value' }, 'level="warn" log="only "one" key"'],
    [{ remove_keys: "level, $x['y']" }, '{"log":"only \\"one\\" key"}'],
    [{ remove_keys: 'level', drop_single_key: 'on' }, '"only \\"one\\" key"'],
    [{ remove_keys: 'level', drop_single_key: 'true' }, '"only \\"one\\" key"'],
    [{ remove_keys: 'level', drop_single_key: 'raw' }, 'only "one" key'],
    [{ drop_single_key: 'raw' }, '{"level":"warn","log":"only \\"one\\" key"}'],
    [{ remove_keys: 'level', drop_single_key: 'raw', line_format: 'key_value' }, 'only "one" key'],
  ])('writes lines as %j says', async (options, line) => {
    expect(
      lines(
        await streamsOf(options as Record<string, string>, ['{"level":"warn","log":"only \\"one\\" key"}']),
      ),
    ).toEqual([line]);
  });

  describe('tenants', () => {
    const RECORDS = ['{"t":"a","n":1}', '{"t":"b","n":2}', '{"n":3}', '{"t":"a","n":4}', '{"t":5,"n":5}'];
    const tenantOf = (request: { headers: Record<string, string | string[] | undefined> }): string =>
      String(request.headers['x-scope-orgid']);

    it('by key have a request each', async () => {
      const { server, deliver } = await start({ tenant_id_key: 't', tenant_id: 'rest', remove_keys: 't' });
      expect(await deliver([sliceOf('x', RECORDS)])).toEqual({});
      const found = server.requests
        .map((request) => [tenantOf(request), ...lines(readPush(request))])
        .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1));
      expect(found).toEqual([
        ['a', '{"n":1}', '{"n":4}'],
        ['b', '{"n":2}'],
        ['rest', '{"n":3}', '{"n":5}'],
      ]);
    });

    it('come in the order in which they are met', async () => {
      const { server, deliver } = await start({ tenant_id_key: '$t', label_keys: '$n' });
      const events = Array.from({ length: 40 }, (_, n) => ({ record: { t: `t${n % 4}`, n } }));
      expect(await deliver([sliceOf('x', events)])).toEqual({});
      expect([...new Set(server.requests.map(tenantOf))]).toEqual(['t0', 't1', 't2', 't3']);
      expect(server.requests).toHaveLength(40);
    });

    it('have no part in the failure of another', async () => {
      const { deliver } = await start({ tenant_id_key: '$t' }, (request, response) => {
        if (tenantOf(request) === 'a') response.statusCode = 429;
        else if (tenantOf(request) === 'b') {
          response.statusCode = 400;
          response.write(
            "max entry size '6' bytes exceeded for stream '{}' while adding an entry with length '15' bytes\n",
          );
        }
        response.end();
      });
      expect(await deliver([sliceOf('x', RECORDS)])).toEqual({
        retry: [0, 3],
        rejected: [{ index: 1, status: 400, reason: expect.stringMatching(/^max entry size '6' bytes/) }],
        reason: expect.stringMatching(/push \(tenant a\) answered 429/),
      });
    });

    it('cannot bring a header along', async () => {
      const { server, deliver } = await start({ tenant_id_key: '$t' });
      expect(await deliver([sliceOf('x', [{ record: { t: 'a\r\nx: y' } }, '{"t":"ok"}'])])).toEqual({
        retry: [],
        rejected: [{ index: 0, reason: 'The tenant id of the record is none that a request can carry.' }],
      });
      expect(server.requests.map(tenantOf)).toEqual(['ok']);
    });
  });

  describe('outcomes', () => {
    const answering =
      (status: number, text: string): Answer =>
      (_, response) => {
        response.statusCode = status;
        response.end(text);
      };
    const failing = async (
      status: number,
      text: string,
      options: Record<string, string> = {},
    ): Promise<unknown> => {
      const { deliver } = await start(options, answering(status, text));
      return deliver([sliceOf('x', ['{"a":1}', '{"b":2}'])]).catch((error: unknown) => error);
    };

    it('reject what Loki says it refused, and nothing else', async () => {
      expect(
        await failing(
          400,
          "max entry size '6' bytes exceeded for stream '{job=\"x\"}' while adding an entry with length '7' bytes\n",
        ),
      ).toBeInstanceOf(SplitError);
      const { deliver } = await start(
        {},
        answering(
          400,
          "max entry size '6' bytes exceeded for stream '{job=\"x\"}' while adding an entry with length '9' bytes\n",
        ),
      );
      expect(await deliver([sliceOf('x', ['{"a":1}', '{"b":234}', '{"c":3}'])])).toEqual({
        retry: [],
        rejected: [{ index: 1, status: 400, reason: expect.stringMatching(/^max entry size '6' bytes/) }],
      });
    });

    it('halve what they cannot read', async () => {
      expect(await failing(400, 'what?')).toBeInstanceOf(SplitError);
      expect(await failing(413, 'request body too large')).toMatchObject({ name: 'SplitError', status: 413 });
    });

    it('leave it to the queue whose fault labels are, and a clock', async () => {
      const labels = "stream '{job=\"x\"}' has label value too long: 'x'\n";
      expect(await failing(400, labels)).toMatchObject({ name: 'SplitError', status: 400 });
      const young = "2 errors like: entry for stream '{}' has timestamp too new: 2023-11-14T22:13:20Z\n";
      expect(await failing(400, young)).toMatchObject({ name: 'SplitError', status: 400 });
    });

    it.each([
      [
        400,
        "missing required labels 'env,team' for user 'x' for stream '{}'",
        /wants .* the labels env,team: add them/,
      ],
      [401, 'no org id', /answered 401: it keeps tenants apart: set tenant_id/],
      [401, 'bad', /answered 401: check user and password or token \(bad\)/],
      [404, '', /loki\/api\/v1\/push answered 404: nothing is there: check the path/],
      [429, 'Maximum active stream limit exceeded', /answered 429 \(Maximum active/],
      [500, 'empty ring', /answered 500 \(empty ring\)/],
      [503, '', /answered 503/],
    ])('send again after %i %s', async (status, text, message) => {
      const error = (await failing(status, text)) as Error;
      expect(error).toBeInstanceOf(RetryableError);
      expect(error.message).toMatch(message);
    });

    it('say that a tenant is to be sent again, and what is unclear', async () => {
      const { deliver } = await start(
        {},
        answering(
          400,
          "entry with timestamp x ignored, reason: 'entry too far behind, entry timestamp is: x, oldest acceptable timestamp is: 2023-11-14T22:13:20Z',\nuser 'fake', total ignored: 1 out of 3 for stream: {}\n",
        ),
      );
      const events = [
        { record: '{"a":1}', seconds: 1_600_000_000 },
        { record: '{"a":2}', seconds: 1_700_000_000 },
        { record: '{"a":3}', seconds: 1_700_000_001 },
      ];
      expect(await deliver([sliceOf('x', events)])).toEqual({
        retry: [1],
        rejected: [{ index: 0, status: 400, reason: expect.stringMatching(/^entry too far behind/) }],
        reason: 'Loki did not say which entries it took',
      });
    });

    it('make smaller requests while the rate limit refuses whole ones', async () => {
      const text =
        "ingestion rate limit exceeded for user fake (limit: 10 bytes/sec) while attempting to ingest '40' lines totaling '40000' bytes";
      const sizes: number[] = [];
      const { deliver } = await start({}, (request, response) => {
        sizes.push(request.body.length);
        response.statusCode = request.body.length > 30_000 ? 429 : 204;
        response.end(text);
      });
      const slice = sliceOf(
        'x',
        Array.from({ length: 40 }, (_, n) => ({ record: { n, text: 'x'.repeat(1000) } })),
      );
      await expect(deliver([slice])).rejects.toThrow(/ingestion rate limit/);
      expect(sizes).toEqual([expect.closeTo(42_000, -4)]);
      expect(await deliver([slice])).toEqual({});
      expect(sizes).toHaveLength(4);
    });

    it('send a stream per request, or as many as told', async () => {
      const events = Array.from({ length: 20 }, (_, n) => ({ record: { k: `k${n % 10}`, n } }));
      for (const [streams_per_request, requests] of [
        ['1', 10],
        ['4', 3],
        ['0', 1],
      ] as const) {
        const { server, deliver } = await start({ label_keys: '$k', streams_per_request });
        expect(await deliver([sliceOf('x', events)])).toEqual({});
        expect(server.requests).toHaveLength(requests);
        expect(lines(server.requests.flatMap(readPush))).toHaveLength(20);
      }
    });

    it('stop at the first request that gets no answer', async () => {
      const { server, deliver } = await start({ label_keys: '$k' }, (_, response) => {
        response.destroy();
      });
      const events = Array.from({ length: 100 }, (_, n) => ({ record: { k: `k${n}` } }));
      await expect(deliver([sliceOf('x', events)])).rejects.toThrow(RetryableError);
      expect(server.requests.length).toBeLessThan(20);
    });
  });

  it('names host and cause for a certificate that has expired', async () => {
    const { deliver } = await start({ tls: 'on', 'tls.ca_file': tlsFile('expired.pem') }, undefined, {
      tls: { certificate: 'expired' },
    });
    await expect(deliver([sliceOf('x', ['{}'])])).rejects.toThrow(
      /^https:\/\/127\.0\.0\.1:\d+: its certificate has expired/,
    );
  });

  it('says in the check what cannot work', () => {
    expect(problemsOf(loki, {})).toEqual([]);
    expect(problemsOf(loki, { labels: 'a=b,job', structured_metadata: '$a.b' })).toEqual([
      expect.stringMatching(/^labels has "job", which is no label: write name=value/),
      expect.stringMatching(/^structured_metadata has "\$a\.b", which cannot be read/),
    ]);
    expect(problemsOf(loki, { label_keys: 'level', structured_metadata_map_keys: '$' })).toEqual([
      'label_keys has "level", which is no record accessor: write $level',
      expect.stringMatching(/^structured_metadata_map_keys cannot be read/),
    ]);
    expect(problemsOf(loki, { tenant_id_key: '$a[' })).toEqual([
      expect.stringMatching(/^tenant_id_key cannot/),
    ]);
    expect(problemsOf(loki, { tenant_id: 'a b' })).toEqual([expect.stringMatching(/^tenant_id holds/)]);
    expect(problemsOf(loki, { uri: '/a b' })).toEqual([expect.stringMatching(/^uri holds/)]);
    expect(problemsOf(loki, { compress: 'gzip', format: 'protobuf' })).toEqual([
      expect.stringMatching(/^compress does not go with format protobuf/),
    ]);
    expect(problemsOf(loki, { http_user: 'a', bearer_token: 'b' })).toEqual([
      expect.stringMatching(/^bearer_token and http_user exclude each other/),
    ]);
  });
});

/** Empty metadata is nothing in protobuf. */
function withoutEmpty(streams: PushedStream[] = []): PushedStream[] {
  return streams.map(({ labels, entries }) => ({
    labels,
    entries: entries.map(({ at, line, metadata = {} }) => ({ at, line, metadata })),
  }));
}
