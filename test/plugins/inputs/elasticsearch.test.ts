import { once } from 'node:events';
import { connect } from 'node:http2';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import elasticsearch from '../../../plugins/inputs/elasticsearch.ts';
import { readAnswer } from '../../../plugins/shared/bulk/answer.ts';
import { optionsOf } from '../../contract/support.ts';
import { dial, open as openInput, send as post } from './http/harness.ts';
import type { Answer, Opened, OpenOptions, Post } from './http/harness.ts';

const open = (options: OpenOptions = {}): Promise<Opened> =>
  openInput({
    ...options,
    create: (written, context) => elasticsearch.create(optionsOf(elasticsearch.options, written), context),
  });

const NDJSON = 'application/x-ndjson';

const send = (port: number, body: string | Buffer, options: Post = {}): Promise<Answer> =>
  post(port, {
    path: '/_bulk',
    type: NDJSON,
    body,
    ...options,
    headers: { 'user-agent': 'shipper', ...options.headers },
  });

interface Item {
  _index: string;
  _id: string | null;
  status: number;
  result?: string;
  error?: { type: string; reason: string };
}

/** The answer to a bulk request, and its items with their operation. */
async function bulk(port: number, body: string | Buffer, options: Post = {}) {
  const { status, body: text } = await send(port, body, options);
  const answer = JSON.parse(text) as { errors: boolean; took: number; items: Record<string, Item>[] };
  const items = answer.items.map((item) => {
    const [[operation, said]] = Object.entries(item) as [[string, Item]];
    return { operation, ...said };
  });
  return { status, errors: answer.errors, items };
}

/** Status, type and reason of the answer to a request that is refused. */
async function refused(port: number, body: string | Buffer, options: Post = {}) {
  const answer = await send(port, body, options);
  const { error, status } = JSON.parse(answer.body) as {
    status: number;
    error: { type: string; reason: string; root_cause: unknown[] };
  };
  expect(error.root_cause).toEqual([{ type: error.type, reason: error.reason }]);
  expect(status).toBe(answer.status);
  expect(answer.headers['x-elastic-product']).toBe('Elasticsearch');
  return [answer.status, error.type, error.reason];
}

const ask = (port: number, method: string, path: string, headers: Record<string, string> = {}) =>
  post(port, { method, path, headers });

describe('options', () => {
  const problems = (written: Record<string, string>): string[] =>
    (elasticsearch.check?.(optionsOf(elasticsearch.options, written), []) ?? []).map(
      ({ key, message, level = 'error' }) => `${level} ${key}: ${message}`,
    );

  it('are fine as they are, on this machine alone', () => {
    expect(problems({})).toEqual([]);
    expect(optionsOf(elasticsearch.options, {})).toMatchObject({
      port: 9200,
      listen: '127.0.0.1',
      meta_key: '@meta',
      version: '8.0.0',
      hostname: 'localhost',
    });
    const tls = { tls: 'on', 'tls.crt_file': 'c', 'tls.key_file': 'k' };
    expect(problems({ listen: '0.0.0.0', ...tls, api_key: 'x' })).toEqual([]);
    expect(problems({ listen: '0.0.0.0', ...tls })).toEqual([expect.stringMatching(/no authentication/)]);
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ api_key: ' ' }, /api_key: is empty/],
    [{ version: 'new' }, /version: is no version/],
    [{ meta_key: '@timestamp' }, /meta_key: is the same as time_key/],
    [{ tag_key: '$a.b' }, /tag_key: cannot be read/],
    [{ buffer_max_size: '1G' }, /from 1 byte to 256M/],
  ])('refuse %j', (written, message) => {
    expect(problems(written)).toEqual([expect.stringMatching(message)]);
  });

  it('say which tags can come', () => {
    expect(elasticsearch.tags?.(optionsOf(elasticsearch.options, {}), 'es')).toEqual(['es']);
    expect(elasticsearch.tags?.(optionsOf(elasticsearch.options, { tag_key: 'k' }), 'es')).toBe('any');
  });
});

describe('bulk requests', () => {
  it('become records with their actions, and are answered item by item', async () => {
    const { port, collector } = await open();
    const body = `{"create":{"_index":"logs"}}
{"@timestamp":"2023-11-14T22:13:20.123456789Z","msg":"a","n":12345678901234567890,"f":1.0}
{"index":{"_index":"other","_id":"7","pipeline":"p"}}
{"@timestamp":1700000000500}

 {"create":{}} \r
 { } \r
{"create":{"_index":"logs"}}
{"msg":"last","a":\r"b"}`;
    const before = Math.floor(Date.now() / 1000);
    const { status, errors, items } = await bulk(port, body);
    expect([status, errors]).toEqual([200, false]);
    expect(items).toEqual([
      expect.objectContaining({ operation: 'create', _index: 'logs', status: 201, result: 'created' }),
      expect.objectContaining({ operation: 'index', _index: 'other', _id: '7', status: 201 }),
      expect.objectContaining({ operation: 'create', _index: '', status: 201 }),
      expect.objectContaining({ operation: 'create', _index: 'logs', status: 201 }),
    ]);
    expect(new Set(items.map(({ _id }) => _id)).size).toBe(4);
    expect(collector.records).toEqual([
      {
        '@meta': { create: { _index: 'logs' } },
        '@timestamp': '2023-11-14T22:13:20.123456789Z',
        msg: 'a',
        n: Number('12345678901234567890'),
        f: 1,
      },
      { '@meta': { index: { _index: 'other', _id: '7', pipeline: 'p' } }, '@timestamp': 1_700_000_000_500 },
      { '@meta': { create: {} } },
      { '@meta': { create: { _index: 'logs' } }, msg: 'last', a: 'b' },
    ]);
    const [first, second, third] = collector.events;
    expect(first).toMatchObject({ tag: 'test', seconds: 1_700_000_000, nanos: 123_456_789 });
    expect(second).toMatchObject({ seconds: 1_700_000_000, nanos: 500_000_000 });
    expect(third?.seconds).toBeGreaterThanOrEqual(before);
  });

  it('take index and type of the path where actions have none', async () => {
    const { port, collector } = await open();
    const body = '{"index":{}}\n{"a":1}\n{"index":{"_index":"own"}}\n{"a":2}\n';
    const { items } = await bulk(port, body, { path: '/logs-%61pp/_bulk?refresh=true&filter_path=errors' });
    expect(items.map(({ _index }) => _index)).toEqual(['logs-app', 'own']);
    await bulk(port, '{"index":{}}\n{"a":3}\n', { path: '/i/t/_bulk', method: 'PUT' });
    expect(collector.records).toEqual([
      { '@meta': { index: { _index: 'logs-app' } }, a: 1 },
      { '@meta': { index: { _index: 'own' } }, a: 2 },
      { '@meta': { index: { _index: 'i', _type: 't' } }, a: 3 },
    ]);
  });

  it('come compressed, and in all types of JSON', async () => {
    const { port, collector } = await open();
    const body = '{"create":{}}\n{"a":1}\n';
    const types = [
      'application/json; charset=utf-8',
      'application/vnd.elasticsearch+x-ndjson; compatible-with=9',
      'application/vnd.elasticsearch+json;compatible-with=8',
    ];
    for (const type of types) expect((await bulk(port, body, { type })).errors).toBe(false);
    const headers = { 'content-encoding': 'gzip' };
    expect((await bulk(port, gzipSync(body), { headers })).errors).toBe(false);
    expect(collector.events).toHaveLength(4);
    const { headers: told } = await send(port, body, {
      headers: { accept: 'application/vnd.elasticsearch+json; compatible-with=9' },
    });
    expect(told['content-type']).toBe('application/vnd.elasticsearch+json; compatible-with=9');
  });

  it('have tags by key, also by that of the action', async () => {
    const { port, collector } = await open({ options: { tag_key: "$@meta['create']['_index']" } });
    await bulk(port, '{"create":{"_index":"logs"}}\n{"a":1}\n{"index":{"_index":"x"}}\n{"a":2}\n');
    expect(collector.events.map(({ tag }) => tag)).toEqual(['logs', 'test']);
  });

  it('have other keys where that is wanted; a document keeps its own', async () => {
    const { port, collector } = await open({ options: { meta_key: '"m"', time_key: '' } });
    const before = Math.floor(Date.now() / 1000);
    await bulk(
      port,
      '{"create":{}}\n{"@timestamp":"2001-01-01","__proto__":1}\n{"create":{}}\n{"\\"m\\"":1}\n{"create":{}}\n{"a":\r1}\n',
    );
    expect(collector.records).toEqual([
      JSON.parse('{"\\"m\\"":{"create":{}},"@timestamp":"2001-01-01","__proto__":1}'),
      { '"m"': 1 },
      { '"m"': { create: {} }, a: 1 },
    ]);
    expect(collector.events[0]?.seconds).toBeGreaterThanOrEqual(before);
  });

  it('carry any documents unchanged', async () => {
    const { port, collector } = await open();
    // V8 reads a key __proto__ of an object literal differently: not what is tested here.
    const document = fc
      .dictionary(
        fc.string().filter((key) => key !== '@meta' && key !== '__proto__'),
        fc.jsonValue(),
      )
      .map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
    await fc.assert(
      fc.asyncProperty(fc.array(document, { minLength: 1, maxLength: 20 }), async (documents) => {
        collector.events.length = 0;
        const body = documents.map((value) => `{"create":{}}\n${JSON.stringify(value)}\n`).join('');
        const { errors, items } = await bulk(port, body);
        expect([errors, items.length]).toEqual([false, documents.length]);
        expect(collector.records).toEqual(documents.map((value) => ({ '@meta': { create: {} }, ...value })));
      }),
      { numRuns: 30 },
    );
  });

  it('say what they cannot do by item, and take the rest', async () => {
    const { port, collector, context } = await open({ options: { tag_key: 'tag' } });
    const body = `{"create":{"_index":"a"}}
{"msg":1}
{"create":{"_index":"b"}}
{"msg":
{"update":{"_index":"c","_id":"1"}}
{"doc":{"a":1}}
{"delete":{"_index":"d","_id":2}}
{"create":{"_index":"e"}}
[1]
{"create":{"_index":"f"}}
{"tag":"b a d"}
{"create":{"_index":"g"}}
{"deep":${'['.repeat(70)}${']'.repeat(70)}}
{"create":{"_index":"h"}}
{"msg":2}
{"create":{"_index":"i"}}
`;
    const { status, errors, items } = await bulk(port, body);
    expect([status, errors]).toEqual([200, true]);
    expect(
      items.map(({ operation, _index, status: item, error }) => [operation, _index, item, error?.type]),
    ).toEqual([
      ['create', 'a', 201, undefined],
      ['create', 'b', 400, 'document_parsing_exception'],
      ['update', 'c', 400, 'illegal_argument_exception'],
      ['delete', 'd', 404, 'document_missing_exception'],
      ['create', 'e', 400, 'document_parsing_exception'],
      ['create', 'f', 400, 'document_parsing_exception'],
      ['create', 'g', 400, 'document_parsing_exception'],
      ['create', 'h', 201, undefined],
      ['create', 'i', 400, 'document_parsing_exception'],
    ]);
    expect(items[3]).toMatchObject({ _id: '2', result: 'not_found' });
    expect(collector.records).toEqual([
      { '@meta': { create: { _index: 'a' } }, msg: 1 },
      { '@meta': { create: { _index: 'h' } }, msg: 2 },
    ]);
    expect(context.metrics.counter('tailrace_input_refused_records_total', '').sum({})).toBe(7);
    expect(context.log.lines.filter(({ message }) => /Some records/.test(message))).toHaveLength(1);
    // As our own output reads it.
    const { body: text } = await send(port, body);
    expect(readAnswer(text, 9)?.map(({ status: item }) => item)).toEqual([
      201, 400, 400, 404, 400, 400, 400, 201, 400,
    ]);
  });

  it.each<[string, string, RegExp]>([
    ['', 'parse_exception', /body is required/],
    [' \n\n', 'action_request_validation_exception', /no actions/],
    [
      '{"create":{}}\n{"a":1}\nnonsense\n{}\n',
      'illegal_argument_exception',
      /line \[3\]: it is no valid JSON/,
    ],
    ['[]\n{}\n', 'illegal_argument_exception', /line \[1\]: it is no JSON object/],
    ['{}\n{}\n', 'illegal_argument_exception', /it has no action/],
    [
      `{"create":{"a":${'['.repeat(70)}${']'.repeat(70)}}}\n{}\n`,
      'illegal_argument_exception',
      /it nests too deep/,
    ],
    ['{"upsert":{}}\n{}\n', 'illegal_argument_exception', /create, index, update or delete/],
    ['{"create":1}\n{}\n', 'illegal_argument_exception', /is no JSON object/],
    [`{"create":{"_id":"${'x'.repeat(20_000)}"}}\n{}\n`, 'illegal_argument_exception', /more than 16384/],
  ])('are refused as a whole: %s', async (body, type, reason) => {
    const { port, collector } = await open();
    expect(await refused(port, body)).toEqual([400, type, expect.stringMatching(reason)]);
    expect(collector.events).toEqual([]);
  });

  it('are answered when the records are safe', async () => {
    const { port, receipts, emitted, answered } = await open({ hold: true });
    const first = bulk(port, '{"create":{}}\n{"a":1}\n');
    await emitted(1);
    expect(answered(200)).toBe(0);
    receipts[0]?.release();
    expect((await first).errors).toBe(false);
    const second = refused(port, '{"create":{}}\n{"a":1}\n');
    await emitted(2);
    receipts[1]?.giveUp();
    receipts[1]?.release();
    expect(await second).toEqual([503, expect.any(String), expect.stringMatching(/send them again/)]);
  });

  it('say once when times cannot be read', async () => {
    const { port, context, collector } = await open();
    const body = '{"create":{}}\n{"@timestamp":"soon"}\n{"create":{}}\n{"@timestamp":null}\n'.repeat(2);
    expect((await bulk(port, body)).errors).toBe(false);
    expect(collector.events).toHaveLength(4);
    const lines = context.log.lines.filter(({ message }) => /Cannot read the time/.test(message));
    expect(lines.map(({ fields }) => fields)).toEqual([{ key: '@timestamp', documents: 2, requests: 1 }]);
  });
});

it('a request of too many tags is refused as a whole', async () => {
  const { port, collector } = await open({ options: { tag_key: 'tag' } });
  const body = Array.from({ length: 1001 }, (_, n) => `{"create":{}}\n{"tag":"t${n}","msg":"a"}\n`).join('');
  expect((await refused(port, body))[0]).toBe(413);
  expect(collector.events).toEqual([]);
});

describe('single documents', () => {
  it('are records as well', async () => {
    const { port, collector } = await open();
    const put = async (method: string, path: string, body: string) => {
      const answer = await send(port, body, { method, path, type: 'application/json' });
      return [answer.status, JSON.parse(answer.body) as Item];
    };
    expect(await put('POST', '/logs/_doc?op_type=create', '{\n  "a": 1\n}\n')).toEqual([
      201,
      expect.objectContaining({ _index: 'logs', result: 'created' }),
    ]);
    expect(await put('PUT', '/logs/_doc/a%2Fb', '{"a":2}')).toEqual([
      201,
      expect.objectContaining({ _index: 'logs', _id: 'a/b' }),
    ]);
    expect((await put('PUT', '/logs/_create/7', '{"a":3}'))[0]).toBe(201);
    expect(collector.records).toEqual([
      { '@meta': { create: { _index: 'logs' } }, a: 1 },
      { '@meta': { index: { _index: 'logs', _id: 'a/b' } }, a: 2 },
      { '@meta': { create: { _index: 'logs', _id: '7' } }, a: 3 },
    ]);
    expect(await refused(port, '{', { path: '/logs/_doc' })).toEqual([
      400,
      'document_parsing_exception',
      'The document is no valid JSON.',
    ]);
    expect((await refused(port, '{}', { path: '/%zz/_doc' }))[0]).toBe(400);
  });
});

describe('other requests', () => {
  it('let shippers go on', async () => {
    const { port, collector } = await open({ options: { version: '7.10.2', hostname: 'logs.example' } });
    const get = async (path: string) => {
      const answer = await ask(port, 'GET', path);
      expect([answer.status, answer.headers['x-elastic-product']]).toEqual([200, 'Elasticsearch']);
      return JSON.parse(answer.body) as unknown;
    };
    expect(await get('/')).toMatchObject({
      version: { number: '7.10.2', build_flavor: 'default' },
      tagline: 'You Know, for Search',
    });
    expect(await get('/_nodes/http?x=1')).toMatchObject({ _nodes: { total: 1 } });
    expect(await get('/_cluster/health')).toMatchObject({ status: 'green' });
    expect(await get('/_license')).toMatchObject({ license: { status: 'active', type: 'basic' } });
    expect(await get('/_xpack')).toMatchObject({ license: { status: 'active' } });
    expect(await get('/_ilm/policy/filebeat')).toEqual({});
    expect((await ask(port, 'GET', '/_cat/health')).body).toContain(' green ');
    for (const path of ['/', '/_index_template/x', '/logs'])
      expect(await ask(port, 'HEAD', path)).toMatchObject({ status: 200, body: '' });
    const template = await send(port, '{"index_patterns":["x"]}', {
      method: 'PUT',
      path: '/_index_template/x',
    });
    expect([template.status, JSON.parse(template.body)]).toEqual([200, { acknowledged: true }]);
    expect((await ask(port, 'POST', '/logs/_refresh')).status).toBe(200);
    expect(collector.events).toEqual([]);
  });

  it('are refused', async () => {
    const { port } = await open();
    for (const path of ['/', '/logs/_search', '/_search', '/a/b/c/_bulk', '/_x/_doc'])
      expect(await refused(port, '{}', { path })).toEqual([
        400,
        'illegal_argument_exception',
        `no handler found for uri [${path}] and method [POST]`,
      ]);
    expect((await refused(port, '', { method: 'DELETE', path: '/logs' }))[0]).toBe(400);
    for (const type of ['', 'text/plain', 'application/x-www-form-urlencoded', 'application/yaml'])
      expect((await refused(port, '{"create":{}}\n{}\n', { type })).slice(0, 2)).toEqual([
        406,
        'media_type_header_exception',
      ]);
  });
});

describe('credentials', () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

  it.each<[Record<string, string>, string | undefined, number]>([
    [{ api_key: 'id:key' }, `ApiKey ${Buffer.from('id:key').toString('base64')}`, 200],
    [{ api_key: 'aWQ6a2V5' }, 'apikey aWQ6a2V5', 200],
    [{ api_key: 'id:key' }, 'ApiKey id:key', 401],
    [{ api_key: 'id:key' }, undefined, 401],
    [{ http_user: 'u', http_passwd: 'p' }, basic('u:p'), 200],
    [{ http_user: 'u', http_passwd: 'p', api_key: 'k' }, 'ApiKey k', 200],
    [{ http_user: 'u', http_passwd: 'p', api_key: 'k' }, basic('u:k'), 401],
    [{ token: 't' }, 'Bearer t', 200],
  ])('%j, %s', async (options, authorization, status) => {
    const { port } = await open({ options });
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    expect((await ask(port, 'GET', '/', headers)).status).toBe(status);
    const answer = await send(port, '{"create":{}}\n{}\n', { headers });
    expect(answer.status).toBe(status);
    if (status === 401) {
      expect(JSON.parse(answer.body)).toMatchObject({ error: { type: 'security_exception' }, status: 401 });
      expect(answer.headers['www-authenticate']).toMatch(/^(?:ApiKey|Basic) /);
    }
  });
});

describe('limits', () => {
  const large = `{"create":{}}\n{"a":"${'x'.repeat(1000)}"}\n`;

  it('say 429 when there is no room, as full queues of Elasticsearch do', async () => {
    const { port, reserved } = await open({ room: 100 });
    expect((await refused(port, large)).slice(0, 2)).toEqual([429, 'es_rejected_execution_exception']);
    expect((await send(port, large)).headers['retry-after']).toBe('1');
    expect(reserved()).toBe(0);
  });

  it('cut connections of rsyslog when there is no room: it takes any answer for a final one', async () => {
    const { port, reserved, context, answered } = await open({ room: 100 });
    const options = { path: '/_bulk', type: NDJSON };
    await expect(post(port, { ...options, body: large })).rejects.toThrow(/hang up|ECONNRESET/);
    expect([reserved(), answered('aborted')]).toEqual([0, 1]);
    expect(context.log.lines.some(({ message }) => message === 'A request was not taken')).toBe(true);
    const small = '{"create":{}}\n{}\n';
    expect((await post(port, { ...options, body: small })).status).toBe(200);
    expect((await post(port, { ...options, body: '[]\n' })).status).toBe(400);
  });

  it('say 413 to bodies over the limit, before and after decompression', async () => {
    const { port, collector } = await open({ options: { buffer_max_size: '100k' } });
    const over = large.repeat(200);
    const type = 'content_too_long_exception';
    expect((await refused(port, over)).slice(0, 2)).toEqual([413, type]);
    expect((await refused(port, over, { chunked: true })).slice(0, 2)).toEqual([413, type]);
    const headers = { 'content-encoding': 'gzip' };
    expect((await refused(port, gzipSync(over), { headers })).slice(0, 2)).toEqual([413, type]);
    expect(collector.events).toEqual([]);
  });

  it('an index of the path is no longer than in Elasticsearch: each item of the answer has it', async () => {
    const { port, collector } = await open();
    for (const path of ['_bulk', '_doc'])
      expect(
        await refused(port, '{"create":{}}\n{}\n', {
          path: `/${encodeURIComponent('ä'.repeat(128))}/${path}`,
        }),
      ).toEqual([400, 'invalid_index_name_exception', 'index name is too long, (256 > 255)']);
    expect(collector.events).toEqual([]);
    const { items } = await bulk(port, '{"create":{}}\n{}\n', { path: `/${'x'.repeat(255)}/_bulk` });
    expect(items[0]?._index).toBe('x'.repeat(255));
  });
});

it('who does not read a large answer is sent away', async () => {
  const { port, collector } = await open({
    options: { 'net.io_timeout': '100ms', max_connections: '1' },
  });
  // Its answer is more than the kernel takes for somebody who does not read.
  const body = '{"index":{"_index":"logs"}}\n{"a":"0123456789"}\n'.repeat(70_000);
  const { socket } = dial(port);
  socket.pause();
  socket.write(
    `POST /_bulk HTTP/1.1\r\nhost: x\r\nuser-agent: x\r\ncontent-type: ${NDJSON}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await collector.reached(70_000);
  const other = (): Promise<number> =>
    send(port, '{"index":{}}\n{}\n').then(
      ({ status }) => status,
      () => 0,
    );
  await expect.poll(other, { timeout: 20_000 }).toBe(200);
});

it('nor does it stay by HTTP/2, where the connection goes on for others', async () => {
  const { port, collector } = await open({ options: { 'net.io_timeout': '100ms' } });
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const call = () =>
    session.request({
      ':method': 'POST',
      ':path': '/_bulk',
      'content-type': NDJSON,
      'user-agent': 'shipper',
    });
  const unread = call();
  unread.end('{"index":{"_index":"logs"}}\n{"a":"0123456789"}\n'.repeat(5000));
  await collector.reached(5000);
  await once(unread, 'close');
  const other = call();
  other.end('{"index":{}}\n{}\n');
  const [head] = (await once(other, 'response')) as [{ ':status': number }];
  expect(head[':status']).toBe(200);
});
