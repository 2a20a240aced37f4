import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import splunk from '../../../plugins/inputs/splunk.ts';
import { optionsOf } from '../../contract/support.ts';
import { open as openInput, send as post } from './http/harness.ts';
import type { Answer, Opened, OpenOptions, Post } from './http/harness.ts';

const open = (options: OpenOptions = {}): Promise<Opened> =>
  openInput({
    ...options,
    create: (written, context) => splunk.create(optionsOf(splunk.options, written), context),
  });

const EVENT = '/services/collector/event';
const RAW = '/services/collector/raw';
const ACK = '/services/collector/ack';
const CHANNEL = '7A1C2B3D-0000-4000-8000-0123456789AB';

const send = (port: number, body: string | Buffer, options: Post = {}): Promise<Answer> =>
  post(port, { path: EVENT, body, ...options });

/** Status and text of the answer to a body. */
const told = async (port: number, body: string | Buffer, options: Post = {}): Promise<[number, unknown]> => {
  const answer = await send(port, body, options);
  return [answer.status, JSON.parse(answer.body)];
};

const SUCCESS = [200, { text: 'Success', code: 0 }];

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('options', () => {
  const problems = (written: Record<string, string>): string[] =>
    (splunk.check?.(optionsOf(splunk.options, written), []) ?? []).map(
      ({ key, message, level = 'error' }) => `${level} ${key}: ${message}`,
    );

  it('are fine as they are, on this machine alone', () => {
    expect(problems({})).toEqual([]);
    expect(optionsOf(splunk.options, {})).toMatchObject({
      port: 8088,
      listen: '127.0.0.1',
      record: 'envelope',
    });
    const tls = { tls: 'on', 'tls.crt_file': 'c', 'tls.key_file': 'k' };
    expect(problems({ listen: '0.0.0.0', ...tls, splunk_token: 'x' })).toEqual([]);
    expect(problems({ listen: '0.0.0.0', ...tls })).toEqual([expect.stringMatching(/no authentication/)]);
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ splunk_token: ' , ' }, /splunk_token: is empty/],
    [{ success_header: 'Content-Length 7' }, /the server sets itself/],
    [{ tag_key: '$a.b' }, /tag_key: cannot be read/],
    [{ 'oauth2.*': 'validate on' }, /not there yet/],
  ])('refuse %j', (written, message) => {
    expect(problems(written)).toEqual([expect.stringMatching(message)]);
  });

  it('say which tags can come', () => {
    expect(splunk.tags?.(optionsOf(splunk.options, {}), 'splunk.0')).toEqual(['splunk.0']);
    expect(splunk.tags?.(optionsOf(splunk.options, { tag_key: 'k' }), 'splunk.0')).toBe('any');
  });
});

describe('events', () => {
  it('are the envelopes as they came, with their times', async () => {
    const { port, collector } = await open();
    const body = `{"time":1700000000.123456789,"host":"h","sourcetype":"s","index":"i","fields":{"k":1.0},"event":"a line"}
      {"time":"1700000001","event":{"a":
1}}{"event":5,"nested":{"key":"value"}}`;
    const before = Math.floor(Date.now() / 1000);
    expect(await told(port, body)).toEqual(SUCCESS);
    expect(collector.records).toEqual([
      {
        time: 1_700_000_000.123_456_7,
        host: 'h',
        sourcetype: 's',
        index: 'i',
        fields: { k: 1 },
        event: 'a line',
      },
      { time: '1700000001', event: { a: 1 } },
      { event: 5, nested: { key: 'value' } },
    ]);
    const [first, second, third] = collector.events;
    expect(first).toMatchObject({ tag: 'test', seconds: 1_700_000_000, nanos: 123_456_789 });
    expect(second).toMatchObject({ seconds: 1_700_000_001, nanos: 0, metadata: undefined });
    expect(third?.seconds).toBeGreaterThanOrEqual(before);
  });

  it('may be the record themselves, the envelope in the metadata', async () => {
    const { port, collector } = await open({ options: { record: 'event' } });
    const body = `{"time":1,"host":"h","fields":{"k":12345678901234567890},"event":{"a":1.0,"n":12345678901234567890}}
      {"event":"text"}{"event":{"x":[1,
      2]}}{"event":12345678901234567890}`;
    expect(await told(port, body, { path: `${EVENT}?host=other&source=web` })).toEqual(SUCCESS);
    expect(collector.records).toEqual([
      { a: 1, n: Number('12345678901234567890') },
      { log: 'text' },
      { x: [1, 2] },
      { log: Number('12345678901234567890') },
    ]);
    expect(collector.events.map(({ metadata }) => metadata)).toEqual([
      { splunk: { host: 'h', source: 'web', fields: { k: 12_345_678_901_234_567_890n } } },
      { splunk: { host: 'other', source: 'web' } },
      { splunk: { host: 'other', source: 'web' } },
      { splunk: { host: 'other', source: 'web' } },
    ]);
    expect(collector.events[0]).toMatchObject({ seconds: 1, nanos: 0 });
  });

  it('come by all the paths, in lists, compressed', async () => {
    const { port, collector } = await open();
    for (const path of [
      '/services/collector',
      '/services/collector/',
      `${EVENT}/1.0`,
      '/Services/Collector/Event',
    ]) {
      expect(await told(port, '[{"event":"a"},{"event":"b"}]', { path })).toEqual(SUCCESS);
    }
    const headers = { 'content-encoding': 'gzip' };
    expect(await told(port, gzipSync('{"event":"a"}'), { headers, type: 'text/plain' })).toEqual(SUCCESS);
    expect(collector.events).toHaveLength(9);
  });

  it('are lines of text by the raw endpoint, and by the other where they are no JSON', async () => {
    const { port, collector } = await open();
    const body = '{"no":"envelope"}\r\n\n  two\n';
    expect(await told(port, body, { path: `${RAW}?sourcetype=s&index=i&channel=${CHANNEL}` })).toEqual([
      200,
      { text: 'Success', code: 0, ackId: 0 },
    ]);
    expect(await told(port, 'GET / 200', { path: `${RAW}/1.0` })).toEqual(SUCCESS);
    expect(await told(port, '1, 2, 3', { type: 'text/plain' })).toEqual(SUCCESS);
    expect(collector.records).toEqual([
      { log: '{"no":"envelope"}' },
      { log: '  two' },
      { log: 'GET / 200' },
      { log: '1, 2, 3' },
    ]);
    expect(collector.events.map(({ metadata }) => metadata)).toEqual([
      { splunk: { sourcetype: 's', index: 'i' } },
      { splunk: { sourcetype: 's', index: 'i' } },
      undefined,
      undefined,
    ]);
  });

  it('have the tag of a key, and the address of their sender', async () => {
    const { port, collector } = await open({
      options: { tag_key: 'index', add_remote_addr: 'on', remote_addr_key: 'from' },
    });
    await send(port, '{"event":"a","index":"web"}{"event":"b"}');
    await send(port, '{"event":"c","from":"forged"}', { headers: { 'x-forwarded-for': '10.0.0.1, proxy' } });
    expect(collector.events.map(({ tag, record }) => [tag, record])).toEqual([
      ['web', { event: 'a', index: 'web', from: '127.0.0.1' }],
      ['test', { event: 'b', from: '127.0.0.1' }],
      ['test', { event: 'c', from: '10.0.0.1' }],
    ]);
  });
});

describe('bad events', () => {
  it.each<[string, number, string, number | undefined]>([
    ['', 5, 'No data', undefined],
    ['  \n', 5, 'No data', undefined],
    ['[]', 5, 'No data', undefined],
    ['{"event":', 6, 'Invalid data format', 0],
    ['{"event":a}', 6, 'Invalid data format', 0],
    ['[1]', 6, 'Invalid data format', 0],
    [`{"event":${'['.repeat(70)}${']'.repeat(70)}}`, 6, 'Invalid data format', 0],
    ['{"evant":1}', 12, 'Event field is required', 0],
    ['{"event":""}', 13, 'Event field cannot be blank', 0],
    ['{"event":null}', 13, 'Event field cannot be blank', 0],
    ['{"event":1,"fields":[]}', 15, 'Error in handling indexed fields', 0],
  ])('%j', async (body, code, text, number) => {
    const { port, collector } = await open();
    expect(await told(port, body)).toEqual([
      400,
      { text, code, ...(number === undefined ? {} : { 'invalid-event-number': number }) },
    ]);
    expect(collector.events).toEqual([]);
  });

  it('are named, and the others are taken before the answer goes out', async () => {
    const { port, collector, receipts, emitted, context, answered } = await open({
      hold: true,
      options: { tag_key: 'tag' },
    });
    const answer = told(
      port,
      '{"event":"a"}{"event":"b","tag":"b a d"}{"event":""}{"event":"c","tag":"c"}{"event":x}\n{"event":"d"}',
    );
    await emitted(2);
    expect(collector.records).toEqual([{ event: 'a' }, { event: 'd' }, { event: 'c', tag: 'c' }]);
    expect(answered(400)).toBe(0);
    for (const receipt of receipts) receipt.release();
    expect(await answer).toEqual([400, { text: 'Invalid data format', code: 6, 'invalid-event-number': 1 }]);
    expect(context.metrics.counter('tailrace_input_refused_records_total', '').sum({})).toBe(3);
    expect(context.log.lines.filter(({ message }) => /Some records/.test(message))).toHaveLength(1);
  });
});

it('a body of too many tags is refused as a whole', async () => {
  const { port, collector } = await open({ options: { tag_key: 'index' } });
  const body = Array.from({ length: 1001 }, (_, n) => `{"event":1,"index":"i${n}"}`).join('');
  expect((await send(port, body)).status).toBe(413);
  expect(collector.events).toEqual([]);
});

describe('tokens', () => {
  const options = { splunk_token: 'one, two' };

  it.each<[string | undefined, number, string, number]>([
    ['Splunk one', 200, 'Success', 0],
    ['splunk  two', 200, 'Success', 0],
    [basic('x:one'), 200, 'Success', 0],
    [undefined, 401, 'Token is required', 2],
    ['', 401, 'Token is required', 2],
    ['Splunk', 401, 'Invalid authorization', 3],
    ['Bearer one', 401, 'Invalid authorization', 3],
    ['Splunk onE', 403, 'Invalid token', 4],
    ['Splunk one, two', 403, 'Invalid token', 4],
    [basic('one:x'), 403, 'Invalid token', 4],
  ])('%s', async (authorization, status, text, code) => {
    const { port } = await open({ options });
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    expect(await told(port, '{"event":1}', { headers })).toEqual([status, { text, code }]);
  });

  it('are kept in the metadata, in the record, or not at all', async () => {
    const body = '{"event":1}';
    const headers = { authorization: basic('x:one') };
    const kept = async (more: Record<string, string>) => {
      const { port, collector } = await open({ options: { ...options, ...more } });
      await send(port, body, { headers });
      return [collector.records[0], collector.events[0]?.metadata];
    };
    expect(await kept({})).toEqual([{ event: 1 }, undefined]);
    expect(await kept({ store_token_in_metadata: 'on' })).toEqual([
      { event: 1 },
      { hec_token: 'Splunk one' },
    ]);
    expect(await kept({ store_token_in_metadata: 'off', splunk_token_key: 'k' })).toEqual([
      { event: 1, k: 'Splunk one' },
      undefined,
    ]);
  });

  it('do not appear in the log', async () => {
    const { port, context } = await open({ options });
    await send(port, '{"event":1}', { headers: { authorization: 'Splunk canary' } });
    expect(JSON.stringify(context.log.lines)).not.toContain('canary');
  });
});

describe('acknowledgements', () => {
  const channel = { 'x-splunk-request-channel': CHANNEL };

  it('are numbers per channel that are true once they were given out', async () => {
    const { port } = await open();
    const event = '{"event":1}';
    expect(await told(port, event, { headers: channel })).toEqual([
      200,
      { text: 'Success', code: 0, ackId: 0 },
    ]);
    expect(await told(port, event, { path: `${EVENT}?channel=${CHANNEL.toLowerCase()}` })).toEqual([
      200,
      { text: 'Success', code: 0, ackId: 1 },
    ]);
    expect(await told(port, event)).toEqual(SUCCESS);
    const ask = (body: string, path = ACK) => told(port, body, { path, headers: channel });
    expect(await ask('{"acks":[0,1,2]}')).toEqual([200, { acks: { 0: true, 1: true, 2: false } }]);
    expect(await ask('{"acks":[0]}', `${ACK}/1.0`)).toEqual([200, { acks: { 0: true } }]);
    expect(
      await told(port, '{"acks":[0]}', { path: `${ACK}?channel=00000000-0000-0000-0000-000000000000` }),
    ).toEqual([200, { acks: { 0: false } }]);
    for (const bad of ['', '{}', '{"acks":[-1]}', '{"acks":["0"]}'])
      expect(await ask(bad)).toEqual([400, expect.objectContaining({ code: bad === '' ? 6 : 6 })]);
  });

  it('are for who names a channel, and may be off', async () => {
    const { port } = await open();
    expect(await told(port, '{"acks":[0]}', { path: ACK })).toEqual([
      400,
      { text: 'Data channel is missing', code: 10 },
    ]);
    expect(await told(port, '{"event":1}', { path: `${EVENT}?channel=x` })).toEqual([
      400,
      { text: 'Invalid data channel', code: 11 },
    ]);
    const without = await open({ options: { indexer_ack: 'off' } });
    expect(await told(without.port, '{"acks":[0]}', { path: ACK, headers: channel })).toEqual([
      400,
      { text: 'ACK is disabled', code: 14 },
    ]);
    expect(await told(without.port, '{"event":1}', { headers: channel })).toEqual(SUCCESS);
  });

  it('are not given for what was given up', async () => {
    const { port, receipts, emitted } = await open({ hold: true });
    const answer = told(port, '{"event":1}', { headers: channel });
    await emitted(1);
    receipts[0]?.giveUp();
    receipts[0]?.release();
    expect(await answer).toEqual([503, { text: 'Server is busy', code: 9 }]);
    expect(await told(port, '{"acks":[0]}', { path: ACK, headers: channel })).toEqual([
      200,
      { acks: { 0: false } },
    ]);
  });
});

describe('other requests', () => {
  it('health, and what Docker looks at, need no token', async () => {
    const { port } = await open({ options: { splunk_token: 'x' } });
    for (const path of ['/services/collector/health', '/services/collector/health/1.0'])
      expect(await told(port, '', { method: 'GET', path })).toEqual([
        200,
        { text: 'HEC is healthy', code: 17 },
      ]);
    expect((await send(port, '', { method: 'OPTIONS', path: `${EVENT}/1.0` })).status).toBe(200);
    const full = await open({ room: 0 });
    expect(await told(full.port, '', { method: 'GET', path: '/services/collector/health' })).toEqual([
      503,
      { text: 'HEC is unhealthy, queues are full', code: 18 },
    ]);
  });

  it('are refused', async () => {
    const { port } = await open();
    expect((await send(port, '{}', { path: '/services/collector/mint' })).status).toBe(404);
    expect((await send(port, '', { method: 'GET' })).status).toBe(405);
    expect((await send(port, '', { path: '/services/collector/health' })).status).toBe(405);
  });
});

describe('answers', () => {
  it('have the headers of the configuration', async () => {
    const { port } = await open({ options: { success_header: ['X-One 1'] } });
    expect((await send(port, '{"event":1}')).headers['x-one']).toBe('1');
    const { headers } = await send(port, '{"event":1}', { headers: { 'x-splunk-request-channel': CHANNEL } });
    expect(headers['x-one']).toBe('1');
    expect((await send(port, '')).headers['x-one']).toBeUndefined();
  });

  it('say 503 with code 9 when there is no room, and when to come again', async () => {
    const { port, answered, reserved } = await open({ room: 10 });
    const { status, headers, body } = await send(port, '{"event":"12345"}');
    expect([status, headers['retry-after'], JSON.parse(body)]).toEqual([
      503,
      '1',
      { text: 'Server is busy', code: 9 },
    ]);
    expect([answered(503), answered(429), reserved()]).toEqual([1, 0, 0]);
  });

  it('say 413 to bodies over the limit, before and after decompression', async () => {
    const { port, collector } = await open({ options: { buffer_max_size: '1k' } });
    const large = `{"event":"${'x'.repeat(1000)}"}`;
    const detail = 'The body is larger than buffer_max_size, 1000 bytes: send less at a time.';
    const refused = [413, { text: 'Request entity too large', code: 27, detail }];
    expect(await told(port, large)).toEqual(refused);
    expect(await told(port, gzipSync(large), { headers: { 'content-encoding': 'gzip' } })).toEqual(refused);
    expect(await told(port, large.repeat(3), { chunked: true })).toEqual(refused);
    expect(collector.events).toEqual([]);
  });

  it('say what is wrong with a compressed body', async () => {
    const { port } = await open();
    expect(await told(port, 'no gzip', { headers: { 'content-encoding': 'gzip' } })).toEqual([
      400,
      { text: 'Invalid data format', code: 6 },
    ]);
    expect((await send(port, 'x', { headers: { 'content-encoding': 'br' } })).status).toBe(415);
  });
});
