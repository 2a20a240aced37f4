import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decodeMulti } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import http from '../../../plugins/outputs/http.ts';
import type { Outcome, Output, Slice } from '../../../src/plugin.ts';
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import { startServer, tlsFile } from '../../net/servers.ts';
import type { Answer, Received, ServerOptions, TestServer } from '../../net/servers.ts';

const LOCAL = { 'net.proxy_env_ignore': 'on' };

describeOutput('http', async () => {
  const server = await startServer();
  return {
    output: await createOutput(
      http,
      { ...LOCAL, port: String(server.port), json_date_key: 'false' },
      contextIn('/'),
    ),
    arrived: () => server.requests.flatMap(({ body }) => parseExact(body.toString()) as unknown[]),
    cleanUp: () => server.close(),
  };
});

describe('http', () => {
  let servers: TestServer[];
  let outputs: Output[];

  beforeEach(() => {
    servers = [];
    outputs = [];
  });

  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    for (const server of servers) await server.close();
  });

  const start = async (
    options: Record<string, string | string[]> = {},
    answer?: Answer,
    serverOptions?: ServerOptions,
  ) => {
    const server = await startServer(answer, serverOptions);
    servers.push(server);
    const context = contextIn('/');
    const output = await createOutput(http, { ...LOCAL, port: String(server.port), ...options }, context);
    outputs.push(output);
    return {
      server,
      context,
      deliver: (slices: Slice[], signal = noAbort()): Promise<Outcome> => output.deliver(slices, signal),
    };
  };
  const sent = async (options: Record<string, string | string[]>, slices: Slice[]): Promise<Received> => {
    const { server, deliver } = await start(options);
    expect(await deliver(slices)).toEqual({});
    expect(server.requests).toHaveLength(1);
    return server.requests[0] as Received;
  };
  const two = (): Slice[] => [
    sliceOf('app', ['{"a":1}']),
    sliceOf('app', [{ record: '{"b":[1.0]}', nanos: 123_456_789 }]),
  ];

  describe('formats', () => {
    it('json: an array with the date', async () => {
      const { method, url, headers, body } = await sent({}, two());
      expect([method, url, headers['content-type'], headers['user-agent']]).toEqual([
        'POST',
        '/',
        'application/json',
        'Tailrace/1.2.3',
      ]);
      expect(body.toString()).toBe('[{"date":1700000000.5,"a":1},{"date":1700000000.123457,"b":[1.0]}]');
    });

    it('json_lines: a line each', async () => {
      const options = {
        format: 'json_lines',
        uri: 'in?x=1',
        http_method: 'put',
        json_date_key: '@timestamp',
        json_date_format: 'iso8601',
      };
      const { method, url, headers, body } = await sent(options, two());
      expect([method, url, headers['content-type']]).toEqual(['PUT', '/in?x=1', 'application/x-ndjson']);
      expect(body.toString()).toBe(
        '{"@timestamp":"2023-11-14T22:13:20.500000Z","a":1}\n{"@timestamp":"2023-11-14T22:13:20.123456Z","b":[1.0]}\n',
      );
    });

    it('json_stream: nothing between', async () => {
      const { body } = await sent({ format: 'json_stream', json_date_key: 'off' }, two());
      expect(body.toString()).toBe('{"a":1}{"b":[1.0]}');
    });

    it('msgpack: time, metadata, record', async () => {
      const { headers, body } = await sent({ format: 'msgpack' }, two());
      expect(headers['content-type']).toBe('application/msgpack');
      expect([...decodeMulti(body)].map((item) => (item as unknown[])[1])).toEqual([{ a: 1 }, { b: [1] }]);
    });

    it('gelf: a line each; records without short message are rejected', async () => {
      const { server, deliver } = await start({ format: 'gelf', gelf_short_message_key: 'log' });
      const outcome = await deliver([
        sliceOf('t', ['{"log":"a","level":"warning","k":{"x":1}}', '{"n":1}', '{"log":"b"}']),
      ]);
      expect(outcome.rejected).toEqual([{ index: 1, reason: expect.stringContaining('"log"') }]);
      expect(server.requests[0]?.body.toString()).toBe(
        '{"version":"1.1","short_message":"a","level":4,"timestamp":1700000000.500,"_k_x":1}\n' +
          '{"version":"1.1","short_message":"b","timestamp":1700000000.500}\n',
      );
    });

    it.each([
      ['gzip', gunzipSync],
      ['zstd', zstdDecompressSync],
    ] as const)('compresses with %s', async (compress, decompress) => {
      const { headers, body } = await sent({ compress }, two());
      expect(headers['content-encoding']).toBe(compress);
      expect(JSON.parse(decompress(body).toString())).toHaveLength(2);
    });
  });

  describe('headers', () => {
    it('sends those of the configuration, over its own', async () => {
      const header = ['X-One 1', 'X-Two a b', 'X-One 2', 'Content-Type text/plain'];
      const { headers, rawHeaders } = await sent({ header }, two());
      expect(headers).toMatchObject({ 'x-one': '1, 2', 'x-two': 'a b', 'content-type': 'text/plain' });
      expect(rawHeaders.filter((text) => text.toLowerCase() === 'content-type')).toHaveLength(1);
    });

    it('sends only the last of duplicates where that is asked for', async () => {
      const { headers } = await sent(
        { header: ['X-One 1', 'X-One 2'], allow_duplicated_headers: 'off' },
        two(),
      );
      expect(headers['x-one']).toBe('2');
    });

    it('authenticates', async () => {
      expect((await sent({ http_user: 'me', http_passwd: 'pä:ss' }, two())).headers.authorization).toBe(
        `Basic ${Buffer.from('me:pä:ss').toString('base64')}`,
      );
      expect((await sent({ http_bearer_token: 't0ken' }, two())).headers.authorization).toBe('Bearer t0ken');
    });

    it('sends the tag, with a request per tag', async () => {
      const { server, deliver } = await start({ header_tag: 'X-Tag' });
      const slices = [
        sliceOf('a', ['{"n":1}']),
        sliceOf('a', ['{"n":2}']),
        sliceOf('b\r\nX-Evil: 1é', ['{"n":3}']),
      ];
      expect(await deliver(slices)).toEqual({});
      expect(
        server.requests.map(({ headers, body }) => [
          headers['x-tag'],
          (JSON.parse(body.toString()) as unknown[]).length,
        ]),
      ).toEqual([
        ['a', 2],
        ['b%0D%0AX-Evil:%201%C3%A9', 1],
      ]);
      expect(server.requests[1]?.headers['x-evil']).toBeUndefined();
    });
  });

  describe('body_key and headers_key', () => {
    const options = { body_key: '$body', headers_key: '$headers' };

    it('makes a request of each record, rejecting what is none', async () => {
      const { server, deliver } = await start({ ...options, header: 'X-Ours 1' });
      const outcome = await deliver([
        sliceOf('t', [
          '{"body":"one","headers":{"Content-Type":"text/plain","n":1}}',
          '{"body":{"no":"text"},"headers":{}}',
          '{"body":"x"}',
          '{"body":"evil","headers":{"X-A":"1\\r\\nX-B: 2"}}',
          '{"body":"zwölf","headers":{}}',
        ]),
      ]);
      expect(outcome.rejected?.map(({ index }) => index)).toEqual([1, 2, 3]);
      expect(server.requests.map(({ body }) => body.toString())).toEqual(['one', 'zwölf']);
      expect(server.requests[0]?.headers).toMatchObject({ 'content-type': 'text/plain', 'x-ours': '1' });
    });

    it('accounts for each record by itself', async () => {
      const statuses = [200, 422, 503];
      const { server, deliver } = await start(options, (_request, response, index) => {
        response.writeHead(statuses[index] ?? 200, { 'retry-after': '3' }).end();
      });
      const records = ['a', 'b', 'c', 'd'].map((body) => `{"body":"${body}","headers":{}}`);
      expect(await deliver([sliceOf('t', records)])).toMatchObject({
        rejected: [{ index: 1, status: 422 }],
        retry: [2, 3],
        retryAfterMs: 3000,
        reason: expect.stringContaining('503'),
      });
      expect(server.requests).toHaveLength(3);
    });
  });

  describe('answers', () => {
    const answered = async (status: number, slices = two()): Promise<unknown> => {
      const { deliver } = await start({}, (_request, response) => {
        response.writeHead(status, { 'retry-after': '2' }).end('why');
      });
      return deliver(slices).catch((error: unknown) => error);
    };

    it('503: all again, when the destination says', async () => {
      const error = await answered(503);
      expect(error).toBeInstanceOf(RetryableError);
      expect(error).toMatchObject({
        retryAfterMs: 2000,
        message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/ answered 503 \(why\)$/),
      });
    });

    it('401: the destination’s fault, with what to do', async () => {
      expect(await answered(401)).toMatchObject({
        name: 'RetryableError',
        message: expect.stringContaining('check user and password'),
      });
    });

    it('413: to be halved', async () => {
      const error = await answered(413);
      expect(error).toBeInstanceOf(SplitError);
      expect(error).toMatchObject({ status: 413 });
    });

    it('a failure at the second tag asks again from there', async () => {
      const { deliver } = await start({ header_tag: 'x-tag' }, (_request, response, index) => {
        response.writeHead(index === 1 ? 400 : 200).end();
      });
      const slices = [
        sliceOf('a', ['{"n":1}', '{"n":2}']),
        sliceOf('b', ['{"n":3}', '{"n":4}']),
        sliceOf('c', ['{"n":5}']),
      ];
      expect(await deliver(slices)).toMatchObject({
        retry: [2, 3, 4],
        reason: expect.stringContaining('400'),
      });
    });

    it('gives up on a silent destination when the agent stops', async () => {
      const stop = new AbortController();
      const reason = new Error('The agent stops.');
      const { deliver } = await start({}, () => stop.abort(reason));
      await expect(deliver(two(), stop.signal)).rejects.toBe(reason);
    });

    it('gives up on a silent destination by itself', async () => {
      const { deliver } = await start({ 'http.response_timeout': '50ms' }, () => {});
      await expect(deliver(two())).rejects.toThrow(/no whole answer within 0\.05 s/);
    });
  });

  it('speaks TLS, and says when it verifies nothing', async () => {
    const tls = { tls: { certificate: 'server' } };
    const verified = await start({ tls: 'on', 'tls.ca_file': tlsFile('ca.pem') }, undefined, tls);
    expect(await verified.deliver(two())).toEqual({});
    expect(verified.context.metrics.gauge('tailrace_output_tls_unverified', '').sum()).toBe(0);
    const unverified = await start({ tls: 'on', 'tls.verify': 'off' }, undefined, tls);
    expect(await unverified.deliver(two())).toEqual({});
    expect(unverified.context.metrics.gauge('tailrace_output_tls_unverified', '').sum()).toBe(1);
    expect(problemsOf(http, { tls: 'on', 'tls.verify': 'off' })).toEqual([
      expect.stringMatching(/^tls\.verify is off/),
    ]);
  });

  it('says in the check what cannot work', () => {
    expect(problemsOf(http, {})).toEqual([]);
    expect(problemsOf(http, { host: 'http://x/' })).toEqual([expect.stringMatching(/^host is not a host/)]);
    expect(problemsOf(http, { proxy: 'socks' })).toEqual([expect.stringMatching(/^proxy is not/)]);
    expect(problemsOf(http, { uri: '/a b' })).toEqual([expect.stringMatching(/^uri holds/)]);
    expect(problemsOf(http, { header: ['A: 1'] })).toEqual([
      expect.stringMatching(/^header has the name "A:"/),
    ]);
    expect(problemsOf(http, { header: ['Content-Length 1'] })).toEqual([
      expect.stringMatching(/^header sets Content-Length/),
    ]);
    expect(problemsOf(http, { body_key: '$a' })).toEqual([expect.stringMatching(/^body_key stands alone/)]);
    expect(problemsOf(http, { body_key: '$a', headers_key: '$' })).toEqual([
      expect.stringMatching(/^headers_key cannot be read/),
    ]);
    expect(problemsOf(http, { aws_auth: 'on' })).toEqual([
      expect.stringMatching(/^aws_auth is not there yet/),
    ]);
    expect(problemsOf(http, { 'oauth2.*': 'enable on' })).toEqual([expect.stringMatching(/not there yet/)]);
    expect(problemsOf(http, { 'tls.crt_file': 'x' })).toEqual([
      expect.stringMatching(/^tls\.crt_file stands alone/),
    ]);
    expect(problemsOf(http, { http_user: 'a', http_bearer_token: 'b' })).toEqual([
      expect.stringMatching(/exclude each other/),
    ]);
  });

  it('lets no credential into messages', async () => {
    const options = {
      http_user: 'me',
      http_passwd: 'canary-1',
      proxy: 'http://me:canary-2@127.0.0.1:1',
      'net.connect_timeout': '1s',
    };
    const { deliver } = await start(options);
    const error = (await deliver(two()).catch((reason: unknown) => reason)) as Error;
    expect(error).toBeInstanceOf(RetryableError);
    expect(error.message).toContain('through http://127.0.0.1:1');
    expect(error.message).not.toContain('canary');
  });
});
