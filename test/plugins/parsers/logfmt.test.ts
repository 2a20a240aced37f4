import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check, createParser, parseLine } from './parsing.ts';

const plain = createParser({ format: 'logfmt' });

describe('logfmt', () => {
  it.each<[line: string, record: unknown]>([
    ['a=1 b="x y" c', { a: '1', b: 'x y', c: true }],
    ['a= b="" c=""', { a: true, b: '', c: '' }],
    [String.raw`m="a\"b\n\u00e9" n=a\nb`, { m: 'a"b\né', n: 'a\\nb' }],
    ['m="open', { m: 'open' }],
    ['m="open\\', { m: 'open\\' }],
    ['=x ="y" \t z=1', { x: true, y: true, z: '1' }],
    ['ключ=значение', { ключ: 'значение' }],
    [
      '__proto__=1 a=2 a=3',
      Object.fromEntries([
        ['__proto__', '1'],
        ['a', '3'],
      ]),
    ],
    ['a=b=c', { a: 'b', c: true }],
  ])('%s', (line, record) => {
    expect(Object.entries(parseLine(plain, line)?.record ?? {})).toEqual(Object.entries(record as object));
  });

  it.each(['', '  ', '= "" ='])('does not take %j', (line) => {
    expect(parseLine(plain, line)).toBeUndefined();
    expect(plain.failure()).toBe('The text has no key.');
  });

  it('refuses bare keys where it shall', () => {
    const parser = createParser({ format: 'logfmt', logfmt_no_bare_keys: 'true' });
    expect(parseLine(parser, 'a=1 b=')?.record).toEqual({ a: '1', b: true });
    expect(parseLine(parser, 'a=1 b')).toBeUndefined();
    expect(parser.failure()).toBe('The text has a key without a value.');
  });

  it('casts, takes the time out, and decodes', () => {
    const parser = createParser(`
      format: logfmt
      time_key: ts
      time_format: '%s'
      types: n:int s:string
      decode_field_as: json body`);
    expect(parseLine(parser, String.raw`ts="5" n="7" s=8 body="{\"a\":1}"`)).toEqual({
      record: { n: 7, s: '8', body: { a: 1 } },
      text: undefined,
      seconds: 5,
      nanos: 0,
    });
    expect(parseLine(parser, 'ts=soon n=7')).toBeUndefined();
    expect(parser.failure()).toBe('The time of the line cannot be read.');
    // With types a key without a value is what they make of an empty text.
    expect(parseLine(parser, 'ts= n bare')).toMatchObject({
      record: { ts: '', n: 0, bare: '' },
      seconds: Number.NaN,
    });
  });

  it('keeps the time where it shall', () => {
    const parser = createParser({ format: 'logfmt', time_format: '%s', time_keep: 'on' });
    expect(parseLine(parser, 'time=5')).toMatchObject({ record: { time: '5' }, seconds: 5 });
  });

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom('a', '=', '"', '\\', ' ') }),
        ),
        (line) => {
          expect(parseLine(plain, line)?.text).toBeUndefined();
        },
      ),
    );
  });

  it('reads what it would be written as', () => {
    const key = fc.stringMatching(/^[a-z.]{1,8}$/).filter((name) => name !== '__proto__');
    fc.assert(
      fc.property(fc.dictionary(key, fc.string(), { minKeys: 1 }), (record) => {
        const line = Object.entries(record)
          .map(([name, value]) => `${name}="${value.replaceAll(/[\\"]/g, '\\$&')}"`)
          .join(' ');
        expect(parseLine(plain, line)?.record).toEqual({ ...record });
      }),
    );
  });
});

describe('check', () => {
  it('finds wrong types', () => {
    expect(check({ format: 'logfmt', types: 'a' })).toMatchObject([{ key: 'types' }]);
  });
});
