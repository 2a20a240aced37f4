/**
 * Bodies that become much more than they are, at every input that takes requests: what they become is reserved as well, and what can never
 * be reserved is refused for good.
 */
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import elasticsearch from '../../../../plugins/inputs/elasticsearch.ts';
import http from '../../../../plugins/inputs/http.ts';
import opentelemetry from '../../../../plugins/inputs/opentelemetry.ts';
import splunk from '../../../../plugins/inputs/splunk.ts';
import { optionsOf } from '../../../contract/support.ts';
import { open, send } from './harness.ts';
import type { OpenOptions, Post } from './harness.ts';

type Create = NonNullable<OpenOptions['create']>;

const INPUTS: Readonly<Record<string, Create>> = {
  http: (written, context) => http.create(optionsOf(http.options, written), context),
  splunk: (written, context) => splunk.create(optionsOf(splunk.options, written), context),
  elasticsearch: (written, context) =>
    elasticsearch.create(optionsOf(elasticsearch.options, written), context),
  opentelemetry: (written, context) =>
    opentelemetry.create(optionsOf(opentelemetry.options, written), context),
};

const LARGEST = 400_000;
const many = <T>(count: number, one: T): T[] => Array.from({ length: count }, () => one);
const JSON_TYPE = 'application/json';
const NDJSON = 'application/x-ndjson';
const MSGPACK = 'application/msgpack';
const agent = { 'user-agent': 'shipper' };
const bulk: Post = { path: '/_bulk', type: NDJSON, headers: agent };
const hec: Post = { path: '/services/collector', type: JSON_TYPE };
const otlp: Post = { path: '/v1/logs', type: JSON_TYPE };

/** A message of protobuf as field `number` of another. */
function field(number: number, message: Buffer): Buffer {
  const length = Buffer.from([
    (message.length & 0x7f) | 0x80,
    ((message.length >> 7) & 0x7f) | 0x80,
    message.length >> 14,
  ]);
  return Buffer.concat([Buffer.from([(number << 3) | 2]), length, message]);
}

/** A list of MessagePack under the key of a map. */
function mapsInMap(count: number): Buffer {
  const head = Buffer.from([0x81, 0xa1, 0x61, 0xdd, 0, 0, 0, 0]);
  head.writeUInt32BE(count, 4);
  return Buffer.concat([head, Buffer.alloc(count, 0x80)]);
}

describe('what becomes much more than it is', () => {
  it.each<[input: string, what: string, request: Post, options?: Record<string, string>]>([
    ['http', 'a list of empty maps', { body: `[${many(20_000, '{}').join()}]` }],
    ['http', 'empty maps one behind the other', { body: '{}'.repeat(20_000) }],
    ['http', 'lines of empty maps', { type: NDJSON, body: '{}\n'.repeat(20_000) }],
    ['http', 'small records', { type: NDJSON, body: '{"a":1}\n'.repeat(10_000) }],
    ['http', 'a record of empty maps', { body: `{"a":[${many(20_000, '{}').join()}]}` }],
    ['http', 'empty maps in MessagePack', { type: MSGPACK, body: Buffer.alloc(20_000, 0x80) }],
    ['http', 'a record of them', { type: MSGPACK, body: mapsInMap(20_000) }],
    [
      'http',
      'an address of a proxy that is a story',
      { body: '{"a":1}'.repeat(100), headers: { 'x-forwarded-for': 'x'.repeat(10_000) } },
      { add_remote_addr: 'on' },
    ],
    ['splunk', 'small envelopes', { ...hec, body: '{"event":1}'.repeat(10_000) }],
    ['splunk', 'envelopes of nothing', { ...hec, body: '{}'.repeat(20_000) }],
    ['splunk', 'short lines', { path: '/services/collector/raw', body: 'a\n'.repeat(20_000) }],
    [
      'splunk',
      'a source in the URL that is a story',
      { path: `/services/collector/raw?source=${'x'.repeat(10_000)}`, body: 'a\n'.repeat(100) },
    ],
    ['elasticsearch', 'tiny documents', { ...bulk, body: '{"index":{}}\n{}\n'.repeat(10_000) }],
    ['elasticsearch', 'refused items', { ...bulk, body: '{"delete":{}}\n'.repeat(10_000) }],
    [
      'elasticsearch',
      'an index whose name is a story',
      { ...bulk, path: `/${'x'.repeat(255)}/_bulk`, body: '{"index":{}}\n{}\n'.repeat(2000) },
    ],
    [
      'elasticsearch',
      'one that nothing is taken for',
      { ...bulk, path: `/${'x'.repeat(255)}/_bulk`, body: '{"delete":{}}\n'.repeat(2000) },
    ],
    [
      'elasticsearch',
      'a document of empty maps',
      { ...bulk, body: `{"index":{}}\n{"a":[${many(20_000, '{}').join()}]}\n` },
    ],
    [
      'opentelemetry',
      'empty log records',
      { ...otlp, body: `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${many(20_000, '{}').join()}]}]}]}` },
    ],
    [
      'opentelemetry',
      'empty log records in protobuf',
      {
        ...otlp,
        type: 'application/x-protobuf',
        body: field(1, field(2, Buffer.alloc(40_000, Buffer.from([0x12, 0])))),
      },
    ],
  ])('%s: %s', async (input, _what, request, options = {}) => {
    const create = INPUTS[input] as Create;
    const { port, collector, reserved, answered } = await open({ options, largest: LARGEST, create });
    const answer = await send(port, request);
    expect(answer.status).toBe(413);
    expect(answer.body).toMatch(/more than the 400000 bytes of memory .* raise mem_buf_limit/);
    expect([answered(413), reserved(), collector.events]).toEqual([1, 0, []]);
    // Where there is room now and then, it is a matter of time.
    const busy = await open({ options, room: LARGEST, create });
    expect((await send(busy.port, request)).status).toBe(input === 'splunk' ? 503 : 429);
    expect([busy.reserved(), busy.collector.events]).toEqual([0, []]);
  });

  it.each<[input: string, request: Post, records: number]>([
    ['http', { body: `[${many(1000, '{}').join()}]` }, 1000],
    [
      'http',
      {
        type: NDJSON,
        body: '{"message":"a line of a log as it is","status":200,"level":"info"}\n'.repeat(5000),
      },
      5000,
    ],
    ['splunk', { ...hec, body: '{"event":1}'.repeat(1000) }, 1000],
    ['elasticsearch', { ...bulk, body: '{"index":{}}\n{}\n'.repeat(1000) }, 1000],
    [
      'opentelemetry',
      { ...otlp, body: `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${many(1000, '{}').join()}]}]}]}` },
      1000,
    ],
  ])(
    '%s: a few small ones, and usual ones, need no more room than their body',
    async (input, request, records) => {
      const { port, collector } = await open({
        room: Buffer.byteLength(request.body ?? ''),
        create: INPUTS[input] as Create,
      });
      expect((await send(port, request)).status).toBeLessThan(300);
      expect(collector.events).toHaveLength(records);
    },
  );
});

it('opentelemetry: a resource that says much of many records is refused', async () => {
  const create = INPUTS['opentelemetry'] as Create;
  const { port, collector } = await open({ options: { buffer_max_size: '100k' }, create });
  const resource = { attributes: [{ key: 'a', value: { stringValue: 'x'.repeat(50_000) } }] };
  const body = (records: number): string =>
    JSON.stringify({ resourceLogs: [{ resource, scopeLogs: [{ logRecords: many(records, {}) }] }] });
  const refused = await send(port, { ...otlp, body: body(50) });
  expect([refused.status, collector.events]).toEqual([413, []]);
  expect(refused.body).toMatch(/16 times buffer_max_size/);
  expect((await send(port, { ...otlp, body: body(20) })).status).toBe(201);
  expect(collector.events).toHaveLength(20);
});

describe('a body for which there can never be room', () => {
  const large = JSON.stringify({ text: 'x'.repeat(90_000) });
  const zipped = { 'content-encoding': 'gzip' };

  it.each<[string, Post]>([
    ['of a length that is said', { body: large }],
    ['of one that is not', { body: large, chunked: true }],
    ['that is compressed', { body: gzipSync(large), headers: zipped }],
  ])('%s: 413, with the option to raise', async (_what, request) => {
    const { port, collector, answered, reserved, context } = await open({ largest: 80_000 });
    const answer = await send(port, request);
    expect(answer.status).toBe(413);
    expect(answer.headers['retry-after']).toBeUndefined();
    expect(answer.body).toMatch(/The body .* more than the 80000 bytes of memory .* raise mem_buf_limit/);
    expect([answered(413), answered(429), reserved(), collector.events]).toEqual([1, 0, 0, []]);
    expect(context.log.lines.at(-1)).toMatchObject({ level: 'warn', fields: { status: 413 } });
  });

  it('one that just fits is taken, though it is read in steps', async () => {
    const { port, collector } = await open({ room: 90_100, largest: 90_100 });
    expect((await send(port, { body: large, chunked: true })).status).toBe(201);
    expect(collector.events).toHaveLength(1);
  });
});
