import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeJsonLogs } from '../../../src/codec/otlp/decode-json.ts';
import { decodeProtoLogs } from '../../../src/codec/otlp/decode-proto.ts';
import { encodeJsonLogs } from '../../../src/codec/otlp/encode-json.ts';
import { encodeProtoLogs } from '../../../src/codec/otlp/encode-proto.ts';
import { Double, MAX_VALUE_DEPTH, OtlpError } from '../../../src/codec/otlp/model.ts';
import type { OtlpMap, OtlpValue, OutgoingRecord, OutgoingResource } from '../../../src/codec/otlp/model.ts';
import { parseTyped } from '../../../src/codec/otlp/typed-json.ts';
import { parseExact } from '../../../src/event/json.ts';
import { isReadRight } from '../../support/json-keys.ts';

interface Read {
  time: bigint;
  body: string;
  isMap: boolean;
  fields: unknown;
  resource: unknown;
  scope: unknown;
}

function read(bytes: Buffer | string): Read[] {
  const taken: { record: Omit<Read, 'resource' | 'scope'>; group: { resource: unknown; scope: unknown } }[] =
    [];
  if (typeof bytes === 'string') decodeJsonLogs(bytes, (record, group) => taken.push({ record, group }));
  else decodeProtoLogs(bytes, (record, group) => taken.push({ record, group }));
  return taken.map(({ record, group }) => ({ ...record, ...group }));
}

const record = (more: Partial<OutgoingRecord>): OutgoingRecord => ({
  time: 0n,
  observedTime: 0n,
  severityNumber: 0,
  severityText: '',
  body: null,
  attributes: [],
  droppedAttributesCount: 0,
  flags: 0,
  traceId: '',
  spanId: '',
  eventName: '',
  ...more,
});

const alone = (more: Partial<OutgoingRecord>): OutgoingResource[] => [
  { resource: {}, scopes: [{ scope: {}, records: [record(more)] }] },
];

/** What a reader should see of a body: text in both encodings. */
function bodies(body: OtlpValue): string[] {
  return [encodeProtoLogs(alone({ body })), encodeJsonLogs(alone({ body }))].map(
    (bytes) => read(bytes)[0]?.body ?? 'no record',
  );
}

/** Expected from the recorded requests, which an OpenTelemetry Collector 0.161.0 sent (otlp_http exporter, proto and json). */
const RESOURCE = {
  attributes: { 'service.name': 'shop', n: -9223372036854775808n },
  dropped_attributes_count: 2,
  schema_url: 'https://example.com/r',
};
const SCOPE = {
  name: 'lib',
  version: '1.2',
  attributes: { s: true },
  dropped_attributes_count: 1,
  schema_url: 'https://example.com/s',
};
const COLLECTED: Read[] = [
  {
    time: 1700000000123456789n,
    isMap: true,
    body: '{"text":"grüße 日本 😀 \ufeff","int":9223372036854775807,"whole":2.0,"half":-0.5,"yes":true,"no":false,"nothing":null,"bytes":"AAEC/w==","list":[1,null,[],{}],"map":{"deep":""}}',
    fields: {
      timestamp: 1700000000123456789n,
      observed_timestamp: 1700000001000000001n,
      severity_number: 17,
      severity_text: 'ERROR',
      attributes: { a: 'b', big: 9007199254740993n },
      dropped_attributes_count: 3,
      trace_flags: 1,
      trace_id: '5b8efff798038103d269b633813fc60c',
      span_id: 'eee19b7ec3c1b174',
      event_name: 'event',
    },
    resource: RESOURCE,
    scope: SCOPE,
  },
  {
    time: 1700000002000000000n,
    isMap: false,
    body: '"\ufeffonly text"',
    fields: { observed_timestamp: 1700000002000000000n },
    resource: RESOURCE,
    scope: SCOPE,
  },
  { time: 0n, isMap: false, body: 'null', fields: {}, resource: RESOURCE, scope: SCOPE },
  { time: 1n, isMap: false, body: '"NaN"', fields: { timestamp: 1 }, resource: RESOURCE, scope: {} },
  { time: 2n, isMap: false, body: '5', fields: { timestamp: 2 }, resource: {}, scope: {} },
];

describe('what a Collector sent', () => {
  const file = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));

  it('is read from protobuf', () => {
    expect(read(file('collector.pb'))).toEqual(COLLECTED);
  });

  it('is read from JSON', () => {
    expect(read(file('collector.json').toString('utf8'))).toEqual(COLLECTED);
  });

  it('is no protobuf with a byte missing, at any place, or is less', () => {
    const bytes = file('collector.pb');
    for (let length = 0; length < bytes.length; length++) {
      try {
        expect(read(bytes.subarray(0, length)).length).toBeLessThanOrEqual(COLLECTED.length);
      } catch (error) {
        expect(error).toBeInstanceOf(OtlpError);
      }
    }
  });

  it('ends in records or an error of ours, whatever bytes are changed', () => {
    const bytes = file('collector.pb');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (changes) => {
          const changed = Buffer.from(bytes);
          for (const [at, value] of changes) changed[at] = value;
          try {
            read(changed);
          } catch (error) {
            expect(error).toBeInstanceOf(OtlpError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const scalar: fc.Arbitrary<OtlpValue> = fc.oneof(
  text,
  fc.boolean(),
  fc.constant(null),
  fc.maxSafeInteger(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => new Double(value)),
);
const { value } = fc.letrec<{ value: OtlpValue; list: OtlpValue; map: OtlpMap }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('list'), tie('map')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  map: fc.dictionary(text.filter(isReadRight), tie('value'), { maxKeys: 20 }),
}));
const map = fc.dictionary(text.filter(isReadRight), value, { maxKeys: 20 });

/** A value as its JSON text has it. */
function plain(from: OtlpValue): unknown {
  if (from instanceof Double) return parseExact(JSON.stringify(from.value));
  if (typeof from === 'bigint') return parseExact(String(from));
  if (Object.is(from, -0)) return 0;
  if (Array.isArray(from)) return (from as readonly OtlpValue[]).map(plain);
  if (typeof from !== 'object' || from === null) return from;
  return Object.fromEntries(Object.entries(from as OtlpMap).map(([key, member]) => [key, plain(member)]));
}

const settled = (from: unknown): unknown => JSON.parse(JSON.stringify(from)) as unknown;

describe('round trips', () => {
  it('keep every value, in both encodings', () => {
    fc.assert(
      fc.property(value, (body) => {
        const expected = settled(plain(body));
        for (const found of bodies(body)) expect(settled(parseExact(found))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('keep records as the text that they were', () => {
    for (const json of [
      '{"n":1,"whole":2.0,"big":9223372036854775807,"small":-9223372036854775808,"half":0.5,"exp":1e+300,"minus":-3.0}',
      '{"__proto__":{"x":1},"constructor":"c","":"empty"}',
      '{"text":"\ufeffgrüße 😀","list":[1,2.0,[null,{}],"1.0"],"nothing":null}',
    ])
      expect(bodies(parseTyped(json))).toEqual([json, json]);
  });

  it('keep groups, attributes and all fields', () => {
    const time = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const count = fc.nat(2 ** 31);
    const hex = (bytes: number): fc.Arbitrary<string> =>
      fc.oneof(
        fc.constant(''),
        fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((id) => Buffer.from(id).toString('hex')),
      );
    const records = fc.array(
      fc.record({
        time,
        observedTime: time,
        severityNumber: fc.nat(24),
        severityText: text,
        body: value,
        attributes: fc.array(map, { maxLength: 1 }),
        droppedAttributesCount: count,
        flags: fc.nat(2 ** 31),
        traceId: hex(16),
        spanId: hex(8),
        eventName: text,
      }),
      { maxLength: 3 },
    );
    const scopes = fc.array(
      fc.record({ scope: fc.record({ name: text, version: text, schema_url: text }), records }),
      { maxLength: 3 },
    );
    const resources = fc.array(
      fc.record({ resource: fc.record({ schema_url: text, dropped_attributes_count: count }), scopes }),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(resources, (request) => {
        const proto = read(encodeProtoLogs(request));
        expect(read(encodeJsonLogs(request))).toEqual(proto);
        const sent = request.flatMap(({ resource, scopes: inner }) =>
          inner.flatMap(({ scope, records: sentRecords }) =>
            sentRecords.map((each) => ({ resource, scope, each })),
          ),
        );
        expect(proto).toHaveLength(sent.length);
        for (const [index, { resource, scope, each }] of sent.entries()) {
          const got = proto[index] as Read & { fields: Record<string, unknown> };
          expect(got.time).toBe(each.time === 0n ? each.observedTime : each.time);
          expect(BigInt((got.fields['observed_timestamp'] as bigint | undefined) ?? 0)).toBe(
            each.observedTime,
          );
          expect(got.fields['severity_text'] ?? '').toBe(each.severityText);
          expect(got.fields['trace_id'] ?? '').toBe(each.traceId);
          expect(got.fields['span_id'] ?? '').toBe(each.spanId);
          expect(got.fields['trace_flags'] ?? 0).toBe(each.flags);
          expect((got.scope as { name?: string }).name ?? '').toBe(scope.name);
          expect((got.resource as { schema_url?: string }).schema_url ?? '').toBe(resource.schema_url);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('bounds', () => {
  const nested = (depth: number): OtlpValue => {
    let inner: OtlpValue = 'deep';
    for (let level = 1; level < depth; level++) inner = level % 2 === 0 ? [inner] : { inner };
    return inner;
  };

  it('are the same for both encodings', () => {
    const [proto, json] = bodies(nested(MAX_VALUE_DEPTH));
    expect(proto).toBe(json);
    expect(proto).toMatch(/deep/);
    for (const encode of [encodeProtoLogs, encodeJsonLogs])
      expect(() => read(encode(alone({ body: nested(MAX_VALUE_DEPTH + 1) })))).toThrow(
        /nests deeper than 64/,
      );
    expect(() => read('['.repeat(1_000_000))).toThrow(/nests deeper/);
    const bare = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"a":${'['.repeat(100)}${']'.repeat(100)}}}]}]}]}`;
    expect(() => read(bare)).toThrow(/nests deeper than 64/);
  });

  it('write integers beyond 64 bits as text', () => {
    expect(bodies([2n ** 63n, -(2n ** 63n) - 1n])).toEqual([
      '["9223372036854775808","-9223372036854775809"]',
      '["9223372036854775808","-9223372036854775809"]',
    ]);
  });

  it('take the last of two members with one key', () => {
    const member = (key: string, stringValue: string): unknown => ({ key, value: { stringValue } });
    const many = Array.from({ length: 40 }, (_, n) => member(`k${n % 20}`, String(n)));
    const body = { kvlistValue: { values: [member('a', '1'), member('b', '2'), member('a', '3')] } };
    const request = (of: unknown): string =>
      JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: of }] }] }] });
    expect(read(request(body))[0]?.body).toBe('{"a":"3","b":"2"}');
    const got = JSON.parse(read(request({ kvlistValue: { values: many } }))[0]?.body ?? '') as object;
    expect(Object.values(got)).toEqual(Array.from({ length: 20 }, (_, n) => String(n + 20)));
  });
});

describe('OTLP/JSON', () => {
  const logRecord = (more: unknown): string =>
    JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [more] }] }] });

  it('may leave everything out, or say null', () => {
    expect(read('{"resourceLogs":null}')).toEqual([]);
    expect(read(logRecord({ body: null, traceId: '', attributes: null, timeUnixNano: null }))).toEqual([
      { time: 0n, body: 'null', isMap: false, fields: {}, resource: {}, scope: {} },
    ]);
  });

  it('does not mind names that it does not know, nor numbers for 64-bit integers', () => {
    const [got] = read(
      '{"what":1,"resourceLogs":[{"scopeLogs":[{"logRecords":[{"new":[],"timeUnixNano":1700000000123456789,"traceId":"5B8EFFF798038103D269B633813FC60C","body":{"intValue":9007199254740993}}]}]}]}',
    );
    expect(got).toMatchObject({
      time: 1700000000123456789n,
      body: '9007199254740993',
      fields: { trace_id: '5b8efff798038103d269b633813fc60c' },
    });
  });

  it('ends in records or an error of ours, whatever JSON it is', () => {
    const names = fc.constantFrom(
      'resourceLogs',
      'scopeLogs',
      'logRecords',
      'body',
      'attributes',
      'kvlistValue',
      'key',
    );
    const json = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'medium' },
        fc.jsonValue({ maxDepth: 1 }),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.oneof(names, fc.string()), tie('any'), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(json, json, (any, other) => {
        const request = {
          resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: any, attributes: other }] }] }],
        };
        for (const sent of [any, request]) {
          try {
            read(JSON.stringify(sent));
          } catch (error) {
            expect(error).toBeInstanceOf(OtlpError);
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes what Fluent Bit takes: values that are missing, and maps that are not wrapped', () => {
    const members = [
      { key: 'missing' },
      { key: 'unset', value: {} },
      { key: 'null', value: { stringValue: null } },
      { key: 'plain', value: { a: { stringValue: 'b' }, c: 1 } },
    ];
    const [log] = read(logRecord({ body: { kvlistValue: { values: members } } }));
    expect(log?.body).toBe('{"missing":"","unset":null,"null":"","plain":{"a":"b","c":1}}');
    expect(read(logRecord({ body: { level: 'info' } }))[0]).toMatchObject({
      body: '{"level":"info"}',
      isMap: true,
    });
  });

  it.each<[string, RegExp]>([
    ['', /no valid JSON/],
    ['[]', /no JSON object/],
    ['{}', /has no resourceLogs/],
    ['{"resource_logs":[]}', /has no resourceLogs/],
    ['{"resourceLogs":[{"scope_logs":[]}]}', /has no scopeLogs/],
    ['{"resourceLogs":{}}', /resourceLogs that is no list/],
    ['{"resourceLogs":[1]}', /resourceLogs that is no list of objects/],
    [logRecord({ body: 'x' }), /body that cannot be read: a string/],
    [logRecord({ body: { stringValue: 1 } }), /stringValue/],
    [logRecord({ body: { intValue: '1.5' } }), /intValue/],
    [logRecord({ body: { intValue: '9223372036854775808' } }), /intValue/],
    [logRecord({ body: { doubleValue: 'x' } }), /doubleValue/],
    [logRecord({ body: { boolValue: 'true' } }), /boolValue/],
    [logRecord({ timeUnixNano: '-1' }), /timeUnixNano/],
    [logRecord({ timeUnixNano: '18446744073709551616' }), /timeUnixNano/],
    [logRecord({ severityNumber: 'SEVERITY_NUMBER_INFO' }), /severityNumber/],
    [logRecord({ traceId: 'abc' }), /trace_id that is not of 16 bytes/],
    [logRecord({ spanId: 'x'.repeat(16) }), /span_id that is not of 8 bytes/],
    [logRecord({ attributes: {} }), /attributes that is no list/],
  ])('is refused: %s', (json, message) => {
    expect(() => read(json)).toThrow(message);
    expect(() => read(json)).toThrow(OtlpError);
  });
});
