import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { registry } from '../../../plugins/index.ts';
import elasticsearch from '../../../plugins/outputs/elasticsearch.ts';
import opensearch from '../../../plugins/outputs/opensearch.ts';
import type { Outcome, Output, Slice } from '../../../src/plugin.ts';
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, problemsOf, sliceOf } from '../../contract/support.ts';
import { startServer, tlsFile } from '../../net/servers.ts';
import type { Answer, Received, TestServer } from '../../net/servers.ts';
import { itemsOf, startBulkServer } from './bulk-server.ts';
import type { Judge } from './bulk-server.ts';

const LOCAL = { 'net.proxy_env_ignore': 'on' };
type Options = Record<string, string | string[]>;

const OUTPUTS = { elasticsearch, opensearch };

describe.each(['elasticsearch', 'opensearch'] as const)('%s', (name) => {
  const definition = OUTPUTS[name];
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

  describeOutput(name, async () => {
    const server = await startBulkServer();
    return {
      output: await createOutput(definition, { ...LOCAL, port: String(server.port) }, contextIn('/')),
      arrived: () =>
        server.requests.flatMap(itemsOf).map(({ document: { '@timestamp': _time, ...record } }) => record),
      cleanUp: () => server.close(),
    };
  });

  const open = async (server: TestServer, options: Options = {}) => {
    servers.push(server);
    const context = contextIn('/');
    const output = await createOutput(
      definition,
      { ...LOCAL, port: String(server.port), ...options },
      context,
    );
    outputs.push(output);
    return {
      server,
      context,
      output,
      deliver: (slices: Slice[], signal = noAbort()): Promise<Outcome> => output.deliver(slices, signal),
    };
  };
  const start = async (options: Options = {}, judge?: Judge) => open(await startBulkServer(judge), options);
  const answering = async (answer: Answer, options: Options = {}) => open(await startServer(answer), options);
  const sent = async (options: Options, slices: Slice[]): Promise<Received> => {
    const { server, deliver } = await start(options);
    expect(await deliver(slices)).toEqual({});
    expect(server.requests).toHaveLength(1);
    return server.requests[0] as Received;
  };
  const lines = async (options: Options, slices: Slice[]): Promise<string[]> =>
    (await sent(options, slices)).body.toString().trimEnd().split('\n');
  const two = (): Slice[] => [
    sliceOf('app', ['{"a":1}']),
    sliceOf('app', [{ record: ' { "b":[1.0]}', nanos: 123_456_789 }]),
  ];
  const NO_ID = { id: 'none' };

  it('sends action lines and the records’ own text, with the time', async () => {
    const { method, url, headers, body } = await sent(NO_ID, two());
    expect(method).toBe('POST');
    expect(url).toBe('/_bulk');
    expect(headers).toMatchObject({
      'content-type': 'application/x-ndjson',
      accept: 'application/json',
      'user-agent': 'Tailrace/1.2.3',
      'content-length': String(body.length),
    });
    expect(headers['x-elastic-client-meta']).toBeUndefined();
    expect(body.toString()).toBe(
      '{"create":{"_index":"fluent-bit"}}\n{"@timestamp":"2023-11-14T22:13:20.500Z","a":1}\n' +
        '{"create":{"_index":"fluent-bit"}}\n{"@timestamp":"2023-11-14T22:13:20.123Z", "b":[1.0]}\n',
    );
  });

  describe('answers', () => {
    const records = (count: number): Slice[] => [
      sliceOf(
        'app',
        Array.from({ length: count }, (_, n) => `{"n":${n}}`),
      ),
    ];
    const failure = (type: string, reason: string, cause?: object) => ({
      type,
      reason,
      ...(cause === undefined ? {} : { caused_by: cause }),
    });

    it('each item by itself', async () => {
      const judge: Judge = ({ document: { n } }) =>
        [
          { status: 201 },
          { status: 409, error: failure('version_conflict_engine_exception', 'document already exists') },
          { status: 429, error: failure('es_rejected_execution_exception', 'rejected execution') },
          { status: 400, error: failure('document_parsing_exception', 'failed', { type: 'x', reason: 'y' }) },
          { status: 503, error: failure('unavailable_shards_exception', 'primary shard is not active') },
          { status: 404, error: failure('index_not_found_exception', 'no such index [x]') },
          { status: 201 },
        ][Number(n)];
      const { server, deliver } = await start({}, judge);
      expect(await deliver(records(7))).toEqual({
        retry: [2, 4, 5],
        rejected: [{ index: 3, status: 400, reason: 'document_parsing_exception: failed (caused by x: y)' }],
        reason: expect.stringMatching(
          /^http:\/\/127\.0\.0\.1:\d+: 3 records were not taken: 429 es_rejected_execution_exception: rejected/,
        ),
      });
      expect(server.requests).toHaveLength(1);
    });

    it('an attempt of which nothing is taken is the destination’s failure', async () => {
      const { deliver } = await start({}, () => ({
        status: 404,
        error: failure('index_not_found_exception', 'no such index [x]'),
      }));
      await expect(deliver(records(2))).rejects.toThrow(RetryableError);
      await expect(deliver(records(2))).rejects.toThrow(/no such index \[x\]: create the index/);
    });

    it('a missing pipeline is nobody’s dead letter', async () => {
      const reason = 'pipeline with id [nope] does not exist';
      const { deliver, server } = await start({ pipeline: 'nope' }, () => ({
        status: 400,
        error: failure('illegal_argument_exception', reason),
      }));
      await expect(deliver(records(2))).rejects.toThrow(reason);
      expect(server.requests[0]?.url).toContain('pipeline=nope');
    });

    it('413 is to be halved', async () => {
      const { deliver } = await answering((_request, response) => response.writeHead(413).end());
      const error = await deliver(records(2)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SplitError);
      expect(error).toMatchObject({ status: 413 });
    });

    it.each([
      [401, /_bulk answered 401: check user and password or token \(security_exception: no\)$/],
      [403, /_bulk answered 403: the credentials may not write there/],
      [404, /_bulk answered 404/],
      [429, /_bulk answered 429/],
      [503, /_bulk answered 503/],
    ])('%d is the destination’s fault', async (status, message) => {
      const { deliver } = await answering((_request, response) => {
        response
          .writeHead(status, { 'retry-after': '2', 'content-type': 'application/json' })
          .end(
            '{"error":{"root_cause":[],"type":"security_exception","reason":"no"},"status":' + status + '}',
          );
      });
      const error = await deliver(records(2)).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RetryableError);
      expect(error).toMatchObject({ message: expect.stringMatching(message), retryAfterMs: 2000 });
    });

    it.each(['<html>', '', '{}', '{"errors":true,"items":[]}', '{"errors":true,"items":[{"create":{'])(
      'an answer that is none leaves all open: %s',
      async (text) => {
        const { deliver } = await answering((_request, response) => {
          response.writeHead(200, { 'content-type': 'application/json' }).end(text);
        });
        await expect(deliver(records(2))).rejects.toThrow(
          /_bulk answered 200 with .*: check host, port and path$/,
        );
      },
    );

    it('an answer that is longer than what is kept is asked for again, in halves', async () => {
      const { deliver } = await answering(
        (_request, response) => response.end(`{"errors":true,"items":[${'{},'.repeat(1000)}`),
        { buffer_size: '1k' },
      );
      await expect(deliver(records(2))).rejects.toThrow(SplitError);
    });

    it('reads the answer of a server that leaves out the items', async () => {
      const { deliver } = await answering((_request, response) => response.end('{"took":1,"errors":false}'));
      expect(await deliver(records(2))).toEqual({});
    });

    it('gives up on a silent destination when the agent stops', async () => {
      const stop = new AbortController();
      const reason = new Error('The agent stops.');
      const { deliver } = await answering(() => stop.abort(reason));
      await expect(deliver(records(1), stop.signal)).rejects.toBe(reason);
    });
  });

  describe('size', () => {
    it('no body is larger than bulk_max_size; what does not fit alone is rejected', async () => {
      const { server, deliver } = await start({ ...NO_ID, bulk_max_size: '1000' });
      const texts = Array.from({ length: 20 }, (_, n) => `{"n":${n},"t":"${'x'.repeat(n * 10)}"}`);
      texts.splice(7, 0, `{"n":"big","t":"${'x'.repeat(1000)}"}`);
      const { rejected, retry } = await deliver([sliceOf('app', texts)]);
      expect(retry).toBeUndefined();
      expect(rejected).toEqual([
        { index: 7, status: 413, reason: expect.stringContaining('more than bulk_max_size (1000)') },
      ]);
      expect(server.requests.length).toBeGreaterThan(3);
      for (const { body } of server.requests) expect(body.length).toBeLessThanOrEqual(1000);
      expect(server.requests.flatMap(itemsOf).map(({ document: { n } }) => n)).toEqual(
        Array.from({ length: 20 }, (_, n) => n),
      );
    });

    it('a failure behind the first body asks again from there', async () => {
      const { server, deliver } = await answering(
        (request, response, index) => {
          if (index === 1) response.writeHead(503, { 'retry-after': '3' }).end();
          else response.end(`{"errors":false,"items":${JSON.stringify(itemsOf(request))}}`);
        },
        { ...NO_ID, bulk_max_size: '1000' },
      );
      const texts = Array.from({ length: 30 }, (_, n) => `{"n":${n}}`);
      const { retry, retryAfterMs, reason } = await deliver([sliceOf('app', texts)]);
      const first = itemsOf(server.requests[0] as Received).length;
      expect(retry).toEqual(Array.from({ length: 30 - first }, (_, n) => first + n));
      expect(retryAfterMs).toBe(3000);
      expect(reason).toContain('503');
      expect(server.requests).toHaveLength(2);
    });
  });

  describe('on_mapping_conflict: stringify', () => {
    const conflict = (field: string) => ({
      status: 400,
      error: {
        type: 'document_parsing_exception',
        reason: `[1:2] failed to parse field [${field}] of type [long] in document with id 'x'. Preview of field's value: 'y'`,
      },
    });

    it('sends the records once more with the field as text; what comes of that counts', async () => {
      const judge: Judge = ({ document: { n, _conflict: moved } }, request) => {
        if (request === 0)
          return [undefined, conflict('n'), undefined, conflict('n'), conflict('gone')][Number(n) % 5];
        return (moved as { n: string }).n === '3' ? conflict('_conflict.n') : undefined;
      };
      const { server, deliver } = await start({ on_mapping_conflict: 'stringify' }, judge);
      const texts = Array.from({ length: 5 }, (_, n) => `{"n":${n},"big":12345678901234567890}`);
      const { rejected, retry } = await deliver([sliceOf('app', texts)]);
      expect(retry).toBeUndefined();
      expect(rejected?.map(({ index }) => index).toSorted()).toEqual([3, 4]);
      expect(server.requests).toHaveLength(2);
      expect((server.requests[1] as Received).body.toString()).toContain(
        '{"@timestamp":"2023-11-14T22:13:20.500Z","big":12345678901234567890,"_conflict":{"n":"1"}}\n',
      );
    });

    it('when the second request fails, they are sent again later', async () => {
      const { deliver } = await answering(
        (_request, response, index) => {
          if (index > 0) response.writeHead(503).end();
          else
            response.end(
              JSON.stringify({
                errors: true,
                items: [{ create: { status: 201 } }, { create: conflict('n') }],
              }),
            );
        },
        { on_mapping_conflict: 'stringify' },
      );
      expect(await deliver([sliceOf('app', ['{"n":1}', '{"n":"y"}'])])).toMatchObject({
        retry: [1],
        rejected: [],
        reason: expect.stringContaining('503'),
      });
    });

    it('off: a dead letter with the server’s reason', async () => {
      const { server, deliver } = await start({}, () => conflict('n'));
      expect((await deliver([sliceOf('app', ['{"n":"y"}'])])).rejected).toEqual([
        { index: 0, status: 400, reason: expect.stringContaining('failed to parse field [n]') },
      ]);
      expect(server.requests).toHaveLength(1);
    });
  });

  describe('hosts', () => {
    it('a dead host fails over to the next', async () => {
      const dead = await startBulkServer();
      await dead.close();
      const alive = await startBulkServer();
      const { deliver } = await open(alive, {
        hosts: `127.0.0.1:${dead.port}, 127.0.0.1:${alive.port}`,
      });
      const outcomes = [];
      for (let n = 0; n < 4; n++)
        outcomes.push(
          await deliver([sliceOf('app', [`{"n":${n}}`])]).catch((error: unknown) => (error as Error).message),
        );
      // It is asked once, and then left alone.
      expect(outcomes.filter((outcome) => typeof outcome === 'string')).toEqual([
        expect.stringContaining(`127.0.0.1:${dead.port}: the connection was refused`),
      ]);
      expect(alive.requests).toHaveLength(3);
    });

    it('requests go to all in turn', async () => {
      const [one, other] = [await startBulkServer(), await startBulkServer()];
      servers.push(other);
      const { deliver } = await open(one, { hosts: `127.0.0.1:${one.port}, 127.0.0.1:${other.port}` });
      for (let n = 0; n < 4; n++) await deliver([sliceOf('app', [`{"n":${n}}`])]);
      expect([one.requests.length, other.requests.length]).toEqual([2, 2]);
    });
  });

  describe('options', () => {
    it('index with date and fields; logstash_format', async () => {
      const indexes = async (options: Options, record = '{"service":"Web/1","d":"%Y"}') =>
        itemsOf(await sent(options, [sliceOf('app.web', [record])])).map(({ meta }) => meta['_index']);
      expect(await indexes({ index: 'logs-%Y.%m.%d' })).toEqual(['logs-2023.11.14']);
      expect(await indexes({ index: 'logs-$service.%Y' })).toEqual(['logs-web_1.2023']);
      expect(await indexes({ index: 'logs-$d' })).toEqual(['logs-%y']);
      expect(await indexes({ index: 'logs-$TAG[1]' })).toEqual(['logs-web']);
      expect(await indexes({ logstash_format: 'on' })).toEqual(['logstash-2023.11.14']);
      const key = { logstash_format: 'on', logstash_prefix: 'app', logstash_prefix_key: '$service' };
      expect(await indexes(key)).toEqual(['web_1-2023.11.14']);
      expect(await indexes(key, '{}')).toEqual(['app-2023.11.14']);
      expect(await indexes(key, '{"service":".security"}')).toEqual(['security-2023.11.14']);
      expect(
        await indexes({ logstash_format: 'on', logstash_prefix_separator: '_', logstash_dateformat: '%Y' }),
      ).toEqual(['logstash_2023']);
      expect(await indexes({ index: 'i-%Y', current_time_index: 'on' })).toEqual([
        `i-${new Date().getUTCFullYear()}`,
      ]);
    });

    it('rejects a record without a name for its index', async () => {
      const { server, deliver } = await start({ index: '$service' });
      const { rejected } = await deliver([sliceOf('app', ['{}', '{"service":"a"}', '{"service":"..."}'])]);
      expect(rejected?.map(({ index }) => index)).toEqual([0, 2]);
      expect(server.requests.flatMap(itemsOf)).toHaveLength(1);
    });

    it('write operations', async () => {
      const one = [sliceOf('app', ['{"k":"a\\"\\n","n":1}'])];
      const time = '"@timestamp":"2023-11-14T22:13:20.500Z"';
      expect(await lines({ ...NO_ID, write_operation: 'index' }, one)).toEqual([
        '{"index":{"_index":"fluent-bit"}}',
        `{${time},"k":"a\\"\\n","n":1}`,
      ]);
      expect(await lines({ write_operation: 'update', id_key: 'k' }, one)).toEqual([
        '{"update":{"_index":"fluent-bit","_id":"a\\"\\n"}}',
        `{"doc":{${time},"k":"a\\"\\n","n":1}}`,
      ]);
      expect(await lines({ write_operation: 'upsert', id_key: '$n' }, one)).toEqual([
        '{"update":{"_index":"fluent-bit","_id":"1"}}',
        `{"doc_as_upsert":true,"doc":{${time},"k":"a\\"\\n","n":1}}`,
      ]);
    });

    it('id_key: too long or missing', async () => {
      const texts = ['{"k":"a"}', '{}', `{"k":"${'x'.repeat(513)}"}`];
      const update = await start({ write_operation: 'update', id_key: 'k' });
      expect((await update.deliver([sliceOf('app', texts)])).rejected?.map(({ index }) => index)).toEqual([
        1, 2,
      ]);
      const create = await start({ id_key: 'k', ...NO_ID });
      expect((await create.deliver([sliceOf('app', texts)])).rejected?.map(({ index }) => index)).toEqual([
        2,
      ]);
      expect(create.server.requests.flatMap(itemsOf).map(({ meta }) => meta['_id'])).toEqual([
        'a',
        undefined,
      ]);
    });

    it('time and tag: the record’s own keys stay', async () => {
      const slices = [sliceOf('a"b', ['{"@timestamp":"mine"}', '{"flb-key":1,"x":{"@timestamp":2}}', '{}'])];
      const documents = (
        await lines({ ...NO_ID, include_tag_key: 'on', time_key_nanos: 'on' }, slices)
      ).filter((_, at) => at % 2 === 1);
      const time = '"@timestamp":"2023-11-14T22:13:20.500000000Z"';
      expect(documents).toEqual([
        '{"flb-key":"a\\"b","@timestamp":"mine"}',
        `{${time},"flb-key":1,"x":{"@timestamp":2}}`,
        `{${time},"flb-key":"a\\"b"}`,
      ]);
    });

    it('time formats', async () => {
      const time = async (options: Options) =>
        (await lines({ ...NO_ID, time_key: 't', ...options }, [sliceOf('app', ['{}'])]))[1];
      expect(await time({ time_key_format: '%s' })).toBe('{"t":"1700000000.500Z"}');
      expect(await time({ time_key_format: '%H:%M:%S.%6N"' })).toBe('{"t":"22:13:20.500000\\""}');
    });

    it('replace_dots', async () => {
      const slices = [sliceOf('app', ['{"a.b":{"c.d":[{"e.f":12345678901234567890}]},"a_b":1}'])];
      expect((await lines({ ...NO_ID, replace_dots: 'on' }, slices))[1]).toBe(
        '{"@timestamp":"2023-11-14T22:13:20.500Z","a_b_":{"c_d":[{"e_f":12345678901234567890}]},"a_b":1}',
      );
    });

    it('types, path, gzip, credentials', async () => {
      const old = await sent({ ...NO_ID, type: 'doc', suppress_type_name: 'off', path: '/es/' }, two());
      expect(old.url).toBe('/es/_bulk');
      expect(itemsOf(old)[0]?.meta).toEqual({ _index: 'fluent-bit', _type: 'doc' });
      const secured = await sent({ http_user: 'me', http_passwd: 'pä:ss', compress: 'gzip' }, two());
      expect(secured.headers).toMatchObject({
        authorization: `Basic ${Buffer.from('me:pä:ss').toString('base64')}`,
        'content-encoding': 'gzip',
      });
      expect(itemsOf(secured)).toHaveLength(2);
    });

    it('signs for AWS, also for Serverless', async () => {
      const environment = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'canary' };
      const before = { ...process.env };
      Object.assign(process.env, environment);
      try {
        const options = { aws_auth: 'on', aws_region: 'eu-west-1', aws_service_name: 'aoss' };
        const { headers, body } = await sent(options, two());
        expect(headers.authorization).toMatch(
          /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/aoss\/aws4_request, SignedHeaders=.*host.*x-amz-content-sha256.*, Signature=[0-9a-f]{64}$/,
        );
        expect(headers['x-amz-content-sha256']).toMatch(/^[0-9a-f]{64}$/);
        // Its time series take no ids.
        expect(body.toString()).not.toContain('_id');
      } finally {
        for (const key of Object.keys(environment)) delete process.env[key];
        Object.assign(process.env, before);
      }
    });

    it('traces', async () => {
      const { context, deliver } = await start({ trace_output: 'on', trace_error: 'on' }, () => ({
        status: 400,
        error: 'why',
      }));
      await deliver(two());
      expect(JSON.stringify(context.log.lines)).toContain('A bulk request');
      expect(JSON.stringify(context.log.lines)).toContain('A record was rejected');
    });

    it('speaks TLS', async () => {
      const server = await startBulkServer(undefined, { tls: { certificate: 'server' } });
      const { deliver } = await open(server, { tls: 'on', 'tls.ca_file': tlsFile('ca.pem') });
      expect(await deliver(two())).toEqual({});
    });
  });

  it('says in the check what cannot work', () => {
    const problems = (options: Options) => problemsOf(definition, options);
    expect(problems({})).toEqual([]);
    expect(problems({ index: '$TAG-x' })).toEqual([]);
    expect(problems({ index: '$service' })).toEqual([expect.stringMatching(/^index lets whoever/)]);
    expect(problems({ logstash_format: 'on', logstash_prefix_key: '$service' })).toEqual([
      expect.stringMatching(/^logstash_prefix_key lets whoever/),
    ]);
    expect(problems({ index: 'Logs' })).toEqual([expect.stringMatching(/^index has upper-case/)]);
    expect(problems({ index: 'a b' })).toEqual([expect.stringMatching(/^index has " "/)]);
    expect(problems({ index: '_a' })).toEqual([expect.stringMatching(/^index begins with/)]);
    expect(problems({ index: 'x-$Service-A.b' })).toEqual([]);
    expect(problems({ index: 'x-$Service.B' })).toEqual([expect.stringMatching(/^index has upper-case/)]);
    expect(problems({ index: "x-$k['N'].%Y.%m" })).toEqual([]);
    expect(problems({ logstash_format: 'on', logstash_prefix: 'A' })).toEqual([
      expect.stringMatching(/^logstash_prefix has upper-case/),
    ]);
    expect(problems({ id_key: '$a[' })).toEqual([expect.stringMatching(/^id_key cannot be read/)]);
    expect(problems({ hosts: 'http://a/' })).toEqual([expect.stringMatching(/^hosts is not a host/)]);
    expect(problems({ write_operation: 'upsert' })).toEqual([
      expect.stringMatching(/^write_operation needs id_key/),
    ]);
    expect(problems({ generate_id: 'on', id: 'none' })).toEqual([
      expect.stringMatching(/^generate_id and id: none/),
    ]);
    expect(problems({ path: '/a b' })).toEqual([expect.stringMatching(/^path holds/)]);
    expect(problems({ bulk_max_size: '10' })).toEqual([expect.stringMatching(/^bulk_max_size is less/)]);
    expect(problems({ aws_auth: 'on', http_user: 'x', tls: 'on' })).toEqual([
      expect.stringMatching(/^http_user and aws_auth/),
    ]);
  });

  it('lets no credential into messages', async () => {
    const { deliver } = await answering((_request, response) => response.writeHead(401).end(), {
      http_user: 'me',
      http_passwd: 'canary-1',
    });
    const error = (await deliver(two()).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message).toContain('401');
    expect(JSON.stringify(error)).not.toContain('canary');
    expect(error.message).not.toContain('canary');
  });
});

describe('elasticsearch alone', () => {
  it('is es too', async () => {
    expect(elasticsearch).toMatchObject({ name: 'elasticsearch', aliases: ['es'] });
    expect(await registry.load('output', 'es')).toBe(elasticsearch);
  });

  it.each([
    [{ http_api_key: 'a2V5' }, 'ApiKey a2V5'],
    [{ cloud_auth: 'me:p:w' }, `Basic ${Buffer.from('me:p:w').toString('base64')}`],
  ])('authenticates: %o', async (options, authorization) => {
    const server = await startBulkServer();
    const output = await createOutput(
      elasticsearch,
      { ...LOCAL, port: String(server.port), ...options },
      contextIn('/'),
    );
    try {
      await output.deliver([sliceOf('app', ['{}'])], noAbort());
      expect(server.requests[0]?.headers.authorization).toBe(authorization);
    } finally {
      await output.close?.();
      await server.close();
    }
  });

  it('finds the deployment of a cloud id', async () => {
    const id = `prod:${Buffer.from('eu-west-1.aws.found.invalid:9243$abc123$kib').toString('base64')}`;
    expect(problemsOf(elasticsearch, { cloud_id: id })).toEqual([]);
    const output = await createOutput(elasticsearch, { ...LOCAL, cloud_id: id }, contextIn('/'));
    await expect(output.deliver([sliceOf('app', ['{}'])], noAbort())).rejects.toThrow(
      /^https:\/\/abc123\.eu-west-1\.aws\.found\.invalid:9243: the host name/,
    );
    await output.close?.();
  });

  it('says in the check what cannot work', () => {
    const problems = (options: Options) => problemsOf(elasticsearch, options);
    expect(problems({ cloud_id: 'x' })).toEqual([expect.stringMatching(/^cloud_id is not/)]);
    expect(problems({ cloud_auth: 'x' })).toEqual([expect.stringMatching(/^cloud_auth is not/)]);
    expect(problems({ upstream: '/x' })).toEqual([expect.stringMatching(/^upstream is not there yet/)]);
    expect(problems({ http_user: 'a', http_api_key: 'b' })).toEqual([
      expect.stringMatching(/^http_api_key and http_user exclude/),
    ]);
  });
});
