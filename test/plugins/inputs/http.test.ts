import { describe, expect, it } from 'vitest';
import http from '../../../plugins/inputs/http.ts';
import { optionsOf } from '../../contract/support.ts';
import { open, send } from './http/harness.ts';

const problems = (written: Record<string, string | string[]>): string[] =>
  (http.check?.(optionsOf(http.options, written), []) ?? []).map(
    ({ key, message, level = 'error' }) => `${level} ${key}: ${message}`,
  );

describe('options', () => {
  it('are fine as they are, on this machine alone', () => {
    expect(problems({})).toEqual([]);
    expect(optionsOf(http.options, {})).toMatchObject({
      listen: '127.0.0.1',
      port: 9880,
      successful_response_code: 201,
    });
    for (const listen of ['::1', 'localhost', '127.1.2.3']) expect(problems({ listen })).toEqual([]);
  });

  it('warn once of what other machines can reach without encryption or authentication', () => {
    const tls = { tls: 'on', 'tls.crt_file': 'c', 'tls.key_file': 'k' };
    const listen = '0.0.0.0';
    expect(problems({ listen })).toEqual([
      expect.stringMatching(/^warning listen: .*neither encryption nor authentication/),
    ]);
    expect(problems({ listen: '::', token: 'x' })).toEqual([expect.stringMatching(/no encryption/)]);
    expect(problems({ listen, ...tls })).toEqual([expect.stringMatching(/no authentication/)]);
    expect(problems({ listen, ...tls, token: 'x' })).toEqual([]);
    expect(problems({ listen, ...tls, 'tls.verify_client_cert': 'on', 'tls.ca_file': 'a' })).toEqual([]);
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ token: ' ' }, /token: is empty/],
    [{ http_user: 'u' }, /http_user: stands alone/],
    [{ http_passwd: 'p' }, /http_passwd: stands alone/],
    [{ http_user: 'a:b', http_passwd: 'p' }, /holds a ":"/],
    [{ 'oauth2.*': 'validate on' }, /oauth2.*not there yet/],
    [{ successful_response_code: '500' }, /none of 200, 201, 202, 204/],
    [{ success_header: 'Content-Length 7' }, /the server sets itself/],
    [{ success_header: 'X(Y) 7' }, /is no header/],
    [{ ack_timeout: '0' }, /at least 1ms/],
    [{ buffer_max_size: '0' }, /from 1 byte to 256M/],
    [{ buffer_max_size: '1G' }, /from 1 byte to 256M/],
    [{ tag_key: '$a.b' }, /tag_key: cannot be read/],
    [{ tls: 'on', 'tls.crt_file': 'c' }, /tls\.key_file is missing/],
    [{ 'tls.verify_client_cert': 'on', 'tls.ca_file': 'a' }, /no effect without tls/],
    [
      { tls: 'on', 'tls.crt_file': 'c', 'tls.key_file': 'k', 'tls.verify_client_cert': 'on' },
      /needs the authorities/,
    ],
    [{ listen: 'http://x' }, /is not an address/],
  ])('refuses %j', (written, message) => {
    expect(problems(written)).toEqual([expect.stringMatching(message)]);
  });

  it('say which tags can come', () => {
    const tags = (written: Record<string, string>, tag: string) =>
      http.tags?.(optionsOf(http.options, written), tag);
    expect(tags({}, 'http.0')).toBe('any');
    expect(tags({ tag: 'app' }, 'app')).toEqual(['app']);
    expect(tags({ tag: 'app', tag_key: 'k' }, 'app')).toBe('any');
  });
});

describe('tags', () => {
  it('are the path, unless one is configured', async () => {
    const free = await open();
    for (const path of ['/', '/app.log', '/a/b-c?x=1']) await send(free.port, { path, body: '{"a":1}' });
    expect(free.collector.events.map(({ tag }) => tag)).toEqual(['test', 'app.log', 'a_b_c']);
    const fixed = await open({ options: { tag: 'fixed' } });
    await send(fixed.port, { path: '/app.log', body: '{"a":1}' });
    expect(fixed.collector.events.map(({ tag }) => tag)).toEqual(['fixed']);
  });

  it('come from a key of each record, and one receipt answers for all their batches', async () => {
    const { port, collector, receipts, emitted, answered } = await open({
      hold: true,
      options: { tag_key: "$meta['tag']" },
    });
    const answer = send(port, {
      path: '/rest',
      body: '[{"meta":{"tag":"a"},"n":1},{"meta":{"tag":"b/c"},"n":2},{"n":3},{"meta":{"tag":"a"},"n":4},{"meta":{"tag":5},"n":6}]',
    });
    await emitted(3);
    expect(collector.events.map(({ tag, record }) => [tag, (record as { n: number }).n])).toEqual([
      ['a', 1],
      ['a', 4],
      ['b_c', 2],
      ['rest', 3],
      ['rest', 6],
    ]);
    receipts[0]?.release();
    receipts[1]?.release();
    expect(answered(201)).toBe(0);
    receipts[2]?.release();
    expect((await answer).status).toBe(201);
  });

  it('have an underscore for every byte that no tag may have, as in Fluent Bit', async () => {
    const { port, collector } = await open({ options: { tag_key: 'tag' } });
    await send(port, { path: '/a', body: '[{"tag":"my-app/x y"},{"tag":"é*"},{"tag":""}]' });
    expect(collector.events.map(({ tag }) => tag)).toEqual(['my_app_x_y', '___', 'a']);
  });

  it('are refused with the whole body when they are too long or too many', async () => {
    const { port, collector } = await open({ options: { tag_key: 'tag' } });
    const { status, body } = await send(port, {
      body: JSON.stringify([{ tag: 'good' }, { tag: 'x'.repeat(257) }]),
    });
    expect([status, JSON.parse(body)]).toEqual([
      400,
      { error: expect.stringMatching(/The key tag of a record holds no tag/) },
    ]);
    expect((await send(port, { path: `/${'x'.repeat(300)}`, body: '{}' })).status).toBe(400);
    const many = Array.from({ length: 1001 }, (_, n) => ({ tag: `t${n}` }));
    expect((await send(port, { body: JSON.stringify(many) })).status).toBe(413);
    expect(collector.events).toEqual([]);
    expect((await send(port, { body: JSON.stringify(many.slice(1)) })).status).toBe(201);
  });
});

describe('remote addresses', () => {
  it('are the first of X-Forwarded-For, spliced into the text, unless the record has one', async () => {
    const { port, collector } = await open({ options: { add_remote_addr: 'on' } });
    await send(port, {
      body: '[{"a":1.0},{},{"REMOTE_ADDR":"own"}]',
      headers: { 'x-forwarded-for': ' 10.0.0.1 , proxy' },
    });
    await send(port, { body: '{"b":1}' });
    expect(collector.records).toEqual([
      { a: 1, REMOTE_ADDR: '10.0.0.1' },
      { REMOTE_ADDR: '10.0.0.1' },
      { REMOTE_ADDR: 'own' },
      { b: 1 },
    ]);
  });
});

describe('success', () => {
  it('has its code and headers', async () => {
    const { port } = await open({
      options: { successful_response_code: '200', success_header: ['X-One 1', 'X-Two two words'] },
    });
    const { status, headers, body } = await send(port, { body: '{"a":1}' });
    expect([status, headers['x-one'], headers['x-two'], headers['content-length'], body]).toEqual([
      200,
      '1',
      'two words',
      '0',
      '',
    ]);
    const silent = await open({ options: { successful_response_code: '204' } });
    expect((await send(silent.port, { body: '[]' })).status).toBe(204);
  });
});

describe('health', () => {
  it('is answered where it is wanted, without credentials', async () => {
    const { port } = await open({ options: { enable_health_endpoint: 'on', token: 'x' } });
    expect(await send(port, { method: 'GET', path: '/health' })).toMatchObject({
      status: 200,
      body: '{"status":"ok"}\n',
    });
    const without = await open();
    expect((await send(without.port, { method: 'GET', path: '/health' })).status).toBe(405);
  });
});
