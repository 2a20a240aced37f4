/** What comes in by OTLP goes out as it came: from the input's records through a chunk to the output's request. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { takeInto } from '../../../../plugins/inputs/opentelemetry/records.ts';
import { Groups } from '../../../../plugins/outputs/opentelemetry/groups.ts';
import { Mapping } from '../../../../plugins/outputs/opentelemetry/mapping.ts';
import { RequestBatches } from '../../../../plugins/shared/http-receiver/batches.ts';
import { Room } from '../../../../plugins/shared/http-receiver/room.ts';
import { inputContext } from '../../inputs/collecting.ts';
import { decodeJsonLogs } from '../../../../src/codec/otlp/decode-json.ts';
import { encodeJsonLogs } from '../../../../src/codec/otlp/encode-json.ts';
import { parseTyped } from '../../../../src/codec/otlp/typed-json.ts';
import { encodeBatch, Slice } from '../../../../src/event/chunk.ts';
import { recordToJson } from '../../../../src/event/json.ts';

const MAPPING = new Mapping({
  bodyKeys: undefined,
  restIsAttributes: true,
  metadataKey: 'otlp',
  keys: {
    observedTimestamp: '$ObservedTimestamp',
    timestamp: '$Timestamp',
    severityText: ['$SeverityText', '$SeverityText'],
    severityNumber: ['$SeverityNumber', '$SeverityNumber'],
    traceFlags: '$TraceFlags',
    spanId: ['$SpanId', '$SpanId'],
    traceId: ['$TraceId', '$TraceId'],
    attributes: '$Attributes',
  },
});

/** Takes a request in and sends it on. `recovered`: by way of the disk buffer, where equal maps are no more the same. */
function through(request: string, recovered: boolean): string {
  const room = new Room(inputContext());
  const batches = new RequestBatches({ tag: 'otlp', tagKey: undefined, added: [], now: 5, room });
  const shape = { metadataKey: 'otlp', bodyKey: undefined };
  decodeJsonLogs(request, takeInto(batches, shape, 5));
  const groups = new Groups();
  for (const [tag, batch] of batches.byTag) {
    if (recovered)
      batch.metadata = batch.metadata?.map((entry) => entry && structuredRecord(recordToJson(entry)));
    const slice = new Slice(encodeBatch(tag, batch, true, 0), 0, batch.length);
    for (let index = 0; index < slice.length; index++) {
      const metadata = slice.metadata(index);
      groups.add(
        MAPPING.recordOf({
          record: parseTyped(slice.json(index)),
          metadata,
          seconds: slice.seconds(index),
          nanos: slice.nanos(index),
        }),
        metadata,
      );
    }
  }
  return encodeJsonLogs(groups.resources);
}

const structuredRecord = (json: string) => parseTyped(json) as never;

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const key = fc.oneof(text, fc.constantFrom('log', 'message', '__proto__'));
const set = fc.string({ minLength: 1, maxLength: 8 });
const hex = (bytes: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((id) => Buffer.from(id).toString('hex'));

type Json = object;
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text.map((stringValue) => ({ stringValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((int) => ({ intValue: String(int) })),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((doubleValue) => ({ doubleValue })),
    fc.constant({}),
    fc.array(tie('value'), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
    fc
      .uniqueArray(fc.record({ key, value: tie('value') }), {
        selector: (member) => member.key,
        maxLength: 4,
      })
      .map((values) => ({ kvlistValue: { values } })),
  ),
}));
/** Doubles that are whole keep their type in bodies alone, not in attributes: these are plain JSON on the way. */
const attribute = fc.oneof(
  text.map((stringValue) => ({ stringValue })),
  fc.boolean().map((boolValue) => ({ boolValue })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((int) => ({ intValue: String(int) })),
);
const attributes = fc.uniqueArray(fc.record({ key: set, value: attribute }), {
  selector: (member) => member.key,
  minLength: 1,
  maxLength: 3,
});
const time = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map(String);
const count = fc.integer({ min: 1, max: 2 ** 31 });
const optional = { requiredKeys: [] as [] };

const logRecord = fc
  .record(
    {
      timeUnixNano: time,
      observedTimeUnixNano: time,
      severityNumber: fc.integer({ min: 1, max: 24 }),
      severityText: set,
      attributes,
      droppedAttributesCount: count,
      flags: count,
      traceId: hex(16),
      spanId: hex(8),
      eventName: set,
    },
    optional,
  )
  .chain((fields) => value.map((body) => ({ ...fields, body })))
  // One without any time gets that of its arrival.
  .filter((record) => record.timeUnixNano !== undefined || record.observedTimeUnixNano !== undefined);

const request = fc
  .uniqueArray(
    fc.record(
      {
        resource: fc.record({ attributes, droppedAttributesCount: count }, optional),
        schemaUrl: set,
        scopeLogs: fc.uniqueArray(
          fc.record(
            {
              scope: fc.record(
                { name: set, version: set, attributes, droppedAttributesCount: count },
                optional,
              ),
              schemaUrl: set,
              logRecords: fc.array(logRecord, { minLength: 1, maxLength: 3 }),
            },
            { requiredKeys: ['scope', 'logRecords'] },
          ),
          {
            selector: ({ scope, schemaUrl }) => JSON.stringify([scope, schemaUrl]),
            minLength: 1,
            maxLength: 3,
          },
        ),
      },
      { requiredKeys: ['resource', 'scopeLogs'] },
    ),
    { selector: ({ resource, schemaUrl }) => JSON.stringify([resource, schemaUrl]), maxLength: 3 },
  )
  .map((resourceLogs) => ({ resourceLogs }));

/** Members of maps have no order, and JavaScript puts keys that look like numbers in front. */
function unordered(json: unknown): unknown {
  if (Array.isArray(json)) {
    const items = json.map(unordered);
    return items.every(isMember) ? items.toSorted((a, b) => (a.key < b.key ? -1 : 1)) : items;
  }
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(Object.entries(json).map(([name, inner]) => [name, unordered(inner)]));
}

function isMember(json: unknown): json is { key: string } {
  return typeof json === 'object' && json !== null && 'key' in json;
}

it('keeps requests as they are', () => {
  fc.assert(
    fc.property(request, fc.boolean(), (sent, recovered) => {
      const json = JSON.stringify(sent);
      expect(unordered(JSON.parse(through(json, recovered)))).toEqual(unordered(JSON.parse(json)));
    }),
    { numRuns: 500 },
  );
});
