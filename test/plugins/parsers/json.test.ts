import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExact } from '../../../src/event/json.ts';
import { Batch } from '../../../src/plugin.ts';
import { check, createParser, parseLine } from './parsing.ts';
import type { LoggedLine } from './parsing.ts';
import { readsRight } from '../../support/json-keys.ts';

const plain = createParser({ format: 'json' });
const timed = createParser(`
  format: json
  time_key: time
  time_format: '%Y-%m-%dT%H:%M:%S.%L'`);
const kept = createParser(`
  format: json
  time_format: '%Y-%m-%dT%H:%M:%S.%L'
  time_keep: on`);
const SECONDS = Date.parse('2022-10-31T12:00:01Z') / 1000;

describe('json', () => {
  it('keeps the text of an object on one line', () => {
    const line = '{"a": 9007199254740993, "b": [1.0, 1e400]}';
    const event = parseLine(plain, line);
    expect(event?.text).toBe(line);
    expect(event?.seconds).toBeNaN();
    const batch = new Batch();
    batch.push(event?.record, event?.text, 0, 0);
    expect(batch.json(0)).toBe(line);
    expect(batch.edit(0)).toEqual({ a: 9007199254740993n, b: [1, '1e400'] });
  });

  it.each(['{"a":\n9007199254740993}', '{"a":\r9007199254740993}', ' {"a":9007199254740993} '])(
    'keeps no other text, but all digits: %j',
    (line) => {
      expect(parseLine(plain, line)).toMatchObject({ text: undefined, record: { a: 9007199254740993n } });
    },
  );

  it.each([
    ['{', 'The text is not valid JSON.'],
    ['', 'The text is not valid JSON.'],
    ['{"a":1} x', 'The text is not valid JSON.'],
    ['123', 'The JSON text is no object.'],
    ['[{}]', 'The JSON text is no object.'],
    ['null', 'The JSON text is no object.'],
    [`{"a":${'['.repeat(200)}${']'.repeat(200)}}`, 'The JSON text nests too deep.'],
    ['{"a":'.repeat(100_000), 'The JSON text nests too deep.'],
  ])('does not take %.20j', (line, reason) => {
    for (const parser of [plain, timed, kept]) {
      expect(parseLine(parser, line)).toBeUndefined();
      expect(parser.failure()).toBe(reason);
    }
  });

  it('takes __proto__ and double keys', () => {
    const event = parseLine(plain, '{"__proto__":{"x":1},"a":1,"a":2}');
    expect(Object.keys(event?.record ?? {})).toEqual(['__proto__', 'a']);
    expect(event?.record['a']).toBe(2);
    expect(Object.getPrototypeOf(event?.record)).toBe(Object.prototype);
  });

  it('takes a time out of record and text', () => {
    expect(parseLine(timed, '{"time":"2022-10-31T12:00:01.123Z","n":9007199254740993}')).toEqual({
      record: { n: 9007199254740992 },
      text: '{"n":9007199254740993}',
      seconds: SECONDS,
      nanos: 123_000_000,
    });
  });

  it.each([
    ['twice', '{"time":"1999","n":9007199254740993,"time":"2022-10-31T12:00:01.5"}'],
    [
      'twice, once with escapes',
      String.raw`{"time":"1999-01-01T00:00:00.0","n":9007199254740993,"t\u0069me":"2022-10-31T12:00:01.5"}`,
    ],
    ['its value with escapes', String.raw`{"time":"2022-10-31T12:00:01.5\n","n":9007199254740993}`],
    ['on several lines', '{"time":"2022-10-31T12:00:01.5",\n"n":9007199254740993}'],
  ])('takes a time out that is written oddly: %s', (_, line) => {
    expect(parseLine(timed, line)).toEqual({
      record: { n: 9007199254740993n },
      text: undefined,
      seconds: SECONDS,
      nanos: 500_000_000,
    });
  });

  it.each([
    '{"time":"nonsense","a":1}',
    '{"time":5,"a":1}',
    '{"time":null}',
    '{"a":{"time":"2022-10-31T12:00:01.5"}}',
  ])('leaves what is no time: %s', (line) => {
    const event = parseLine(timed, line);
    expect(event).toMatchObject({ text: line, record: JSON.parse(line), seconds: Number.NaN });
  });

  it('keeps the time where it shall', () => {
    const line = '{"a":1,"time":"2022-10-31T12:00:01.5"}';
    expect(parseLine(kept, line)).toMatchObject({ text: line, record: JSON.parse(line), seconds: SECONDS });
  });

  it('says once that times cannot be read', () => {
    const lines: LoggedLine[] = [];
    const parser = createParser({ name: 'mine', format: 'json', time_format: '%s' }, lines);
    for (let round = 0; round < 3; round++) parseLine(parser, '{"time":"soon"}');
    expect(lines).toEqual([
      {
        fields: { parser: 'mine', key: 'time', value: 'soon', records: 1 },
        message: 'Cannot read the time of some records by time_format; their time is that of reading',
      },
    ]);
  });

  it('decodes before it looks for the time', () => {
    const parser = createParser(`
      format: json
      time_key: at
      time_format: '%s'
      decode_field: [json log, json more]`);
    const line = '{"log":"{\\"at\\":\\"5\\",\\"n\\":9007199254740993}"}';
    expect(parseLine(parser, line)).toEqual({
      record: { log: '{"at":"5","n":9007199254740993}', n: 9007199254740993n },
      text: undefined,
      seconds: 5,
      nanos: 0,
    });
    expect(parseLine(parser, '{"a":1}')?.text).toBe('{"a":1}');
  });

  it('does what parsing, taking the key out and writing would do', () => {
    const value = fc.oneof(
      fc.jsonValue().filter(readsRight),
      fc.constantFrom('2022-10-31T12:00:01.5', '2022-10-31T12:00:01.25Z', 'time'),
    );
    // No backslash in keys: see test/support/json-keys.ts.
    const key = fc.oneof(
      fc.constantFrom('time', 'a', '__proto__', '"'),
      fc.string().filter((text) => !text.includes('\\')),
    );
    fc.assert(
      fc.property(fc.dictionary(key, value), (object) => {
        const line = JSON.stringify(object);
        const event = parseLine(timed, line);
        const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
        const read = typeof time === 'string' && time.startsWith('2022-10-31T12:00:01.');
        expect(event?.seconds).toBe(read ? SECONDS : Number.NaN);
        expect(JSON.stringify(event?.record)).toBe(read ? JSON.stringify(rest) : line);
        const text = event?.text ?? JSON.stringify(event?.record);
        expect(JSON.stringify(parseExact(text))).toBe(JSON.stringify(event?.record));
      }),
      { numRuns: 500 },
    );
  });

  it('never throws', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"time"',
      '"a"',
      '1',
      '"',
      ' ',
      '\\',
      '"2022-10-31T12:00:01.5"',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(token).map((list) => list.join('')),
        ),
        (line) => {
          let valid = true;
          try {
            const value = JSON.parse(line) as unknown;
            valid = typeof value === 'object' && value !== null && !Array.isArray(value);
          } catch {
            valid = false;
          }
          const taken = [plain, timed, kept].map((parser) => parseLine(parser, line) !== undefined);
          expect({ line, taken }).toEqual({ line, taken: [valid, valid, valid] });
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('check', () => {
  it.each<[entry: Record<string, unknown>, problems: unknown[]]>([
    [{ time_key: 'time', time_format: '%s', time_offset: '+0200', time_zone: 'Europe/Rome' }, []],
    [
      { time_format: '%Q' },
      [{ key: 'time_format', message: expect.stringContaining('"%Q" is no conversion') }],
    ],
    [
      { time_offset: '2h' },
      [{ key: 'time_offset', message: '"2h" is no offset from UTC; write it like +0200.' }],
    ],
    [
      { time_zone: 'Rome' },
      [{ key: 'time_zone', message: expect.stringContaining('"Rome" is no time zone') }],
    ],
    [
      { time_key: 'time' },
      [{ key: 'time_key', level: 'warning', message: expect.stringContaining('Without time_format') }],
    ],
    [
      { decode_field: ['json log', 'jsn log'], decode_field_as: 'escaped' },
      [
        { key: 'decode_field', index: 1, message: expect.stringContaining('"jsn" is no decoder') },
        { key: 'decode_field_as', index: 0, message: expect.stringContaining('The field is missing') },
      ],
    ],
  ])('%o', (entry, problems) => {
    expect(check({ format: 'json', ...entry })).toEqual(problems);
  });
});
