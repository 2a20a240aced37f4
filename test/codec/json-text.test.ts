import { describe, expect, it } from 'vitest';
import { ByteSink } from '../../src/codec/bytes.ts';
import { jsonDate, MAX_DATE_LENGTH } from '../../src/codec/json-date.ts';
import type { JsonDate } from '../../src/codec/json-date.ts';
import { jsonEncoder } from '../../src/codec/json-text.ts';
import type { JsonTextOptions } from '../../src/codec/json-text.ts';
import type { Slice } from '../../src/event/chunk.ts';
import { partOf, sliceOf } from '../contract/support.ts';
import type { Event } from '../contract/support.ts';

const encode = (slices: Slice[], options: Partial<JsonTextOptions> = {}): string => {
  const sink = new ByteSink();
  jsonEncoder({ layout: 'json_lines', dateKey: 'date', dateFormat: 'epoch', ...options })(slices, sink);
  return sink.bytes.toString();
};
const lines = (events: (Event | string)[], options: Partial<JsonTextOptions> = {}): string[] =>
  encode([sliceOf('t', events)], options)
    .trimEnd()
    .split('\n');

describe('jsonEncoder', () => {
  it('splices the date in front of what the record is, byte for byte', () => {
    expect(lines(['{"a":1.0,"ü":"😀"}', '{"wide":12345678901234567890}'])).toEqual([
      '{"date":1700000000,"a":1.0,"ü":"😀"}',
      '{"date":1700000000,"wide":12345678901234567890}',
    ]);
  });

  it('takes empty records, and white space around the braces', () => {
    expect(lines(['{}', '{ }', ' {"a":1} ', '{ "a" : {} }'])).toEqual([
      '{"date":1700000000}',
      '{"date":1700000000 }',
      '{"date":1700000000,"a":1} ',
      '{"date":1700000000, "a" : {} }',
    ]);
  });

  it('leaves the date out where the record has the key itself', () => {
    expect(lines(['{"date":"mine"}', '{"a":{"date":1}}', '{"a":"\\"date\\""}', '{"b":1}'])).toEqual([
      '{"date":"mine"}',
      '{"date":1700000000,"a":{"date":1}}',
      '{"date":1700000000,"a":"\\"date\\""}',
      '{"date":1700000000,"b":1}',
    ]);
  });

  it('takes any key', () => {
    expect(lines(['{}'], { dateKey: 'zeit"é' })).toEqual(['{"zeit\\"é":1700000000}']);
  });

  it('puts metadata into __internal__', () => {
    const events = [
      { record: '{"a":1}', metadata: { m: 'ü' } },
      { record: '{}', metadata: { m: 1 } },
      { record: '{"a":2}', metadata: {} },
      '{"a":3}',
    ];
    expect(lines(events)).toEqual([
      '{"date":1700000000,"__internal__":{"log_metadata":{"m":"ü"}},"a":1}',
      '{"date":1700000000,"__internal__":{"log_metadata":{"m":1}}}',
      '{"date":1700000000,"a":2}',
      '{"date":1700000000,"a":3}',
    ]);
    expect(lines(events.slice(0, 2), { dateKey: undefined })).toEqual([
      '{"__internal__":{"log_metadata":{"m":"ü"}},"a":1}',
      '{"__internal__":{"log_metadata":{"m":1}}}',
    ]);
  });

  it.each([
    ['json', 'date', '[{"date":1700000000,"n":2},{"date":1700000000,"n":3},{"date":1700000000,"n":4}]'],
    ['json', undefined, '[{"n":2},{"n":3},{"n":4}]'],
    ['json_lines', undefined, '{"n":2}\n{"n":3}\n{"n":4}\n'],
    ['json_stream', 'date', '{"date":1700000000,"n":2}{"date":1700000000,"n":3}{"date":1700000000,"n":4}'],
    ['json_stream', undefined, '{"n":2}{"n":3}{"n":4}'],
  ] as const)('%s with key %s over parts of chunks', (layout, dateKey, expected) => {
    const slices = [partOf(sliceOf('t', ['{"n":1}', '{"n":2}', '{"n":3}']), 1, 3), sliceOf('t', ['{"n":4}'])];
    expect(encode(slices, { layout, dateKey })).toBe(expected);
  });

  it('grows as far as it must', () => {
    const text = 'ü'.repeat(1000);
    const records = Array.from({ length: 500 }, (_, n) => `{"n":${n},"text":"${text}"}`);
    const all = JSON.parse(encode([sliceOf('t', records)], { layout: 'json' })) as {
      n: number;
      text: string;
    }[];
    expect(all.map(({ n }) => n)).toEqual(records.map((_, n) => n));
    expect(all.every((record) => record.text === text)).toBe(true);
  });
});

describe('jsonDate', () => {
  const textOf = (date: JsonDate, seconds: number, nanos: number): string => {
    const bytes = Buffer.alloc(MAX_DATE_LENGTH + 1);
    return bytes.toString('latin1', 1, date(bytes, 1, seconds, nanos));
  };

  it.each([
    ['double', 1_700_000_000, 500_000_000, '1700000000.5'],
    ['double', 1_700_000_000, 0, '1700000000.0'],
    ['double', 1_700_000_000, 123_456_789, '1700000000.123457'],
    ['double', 1_700_000_000, 999_999_999, '1700000001.0'],
    ['double', -1, 250_000_000, '-0.75'],
    ['epoch', 1_700_000_000, 999_999_999, '1700000000'],
    ['epoch_ms', 1_700_000_000, 999_999_999, '1700000000999'],
    ['epoch_millis', 1_700_000_000, 1_000_000, '1700000000001'],
    ['epoch_milliseconds', 0, 0, '0'],
    ['epoch_ms', 0, 5_000_000, '5'],
    ['epoch_ms', -2, 500_000_000, '-1500'],
    ['double', 5, 1_000, '5.000001'],
    ['double', -1e300, 0, '-1e+300'],
    ['iso8601', 1_700_000_000, 1999, '"2023-11-14T22:13:20.000001Z"'],
    ['java_sql_timestamp', 1_700_000_000, 648_000_000, '"2023-11-14 22:13:20.648000"'],
    ['iso8601', 1e15, 0, '"1000000000000000.000000"'],
  ] as const)('%s of %d s and %d ns', (format, seconds, nanos, expected) => {
    expect(textOf(jsonDate(format), seconds, nanos)).toBe(expected);
  });

  it('goes on from second to second', () => {
    const date = jsonDate('iso8601');
    expect([textOf(date, 0, 5000), textOf(date, 0, 6000), textOf(date, 1, 0)]).toEqual([
      '"1970-01-01T00:00:00.000005Z"',
      '"1970-01-01T00:00:00.000006Z"',
      '"1970-01-01T00:00:01.000000Z"',
    ]);
  });
});
