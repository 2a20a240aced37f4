import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check, createParser, parseLine } from './parsing.ts';

const plain = createParser({ format: 'ltsv' });

describe('ltsv', () => {
  it.each<[line: string, record: unknown]>([
    ['a:1\tb.c-d_e:x y\tf:', { a: '1', 'b.c-d_e': 'x y', f: '' }],
    ['a:http://x\t\tb:2\t', { a: 'http://x', b: '2' }],
    ['a:1\r', { a: '1' }],
    [
      '__proto__:1\ta:1\ta:2',
      Object.fromEntries([
        ['__proto__', '1'],
        ['a', '2'],
      ]),
    ],
  ])('%j', (line, record) => {
    expect(Object.entries(parseLine(plain, line)?.record ?? {})).toEqual(Object.entries(record as object));
  });

  it.each([
    ['', 'The text has no label:value pair.'],
    ['\t\t', 'The text has no label:value pair.'],
    ['a:1\tnothing', 'The text has a part that is no label:value pair.'],
    ['a=b:c', 'The text has a part that is no label:value pair.'],
    [':x', 'The text has a part that is no label:value pair.'],
    ['a\tb:1', 'The text has a part that is no label:value pair.'],
  ])('does not take %j', (line, reason) => {
    expect(parseLine(plain, line)).toBeUndefined();
    expect(plain.failure()).toBe(reason);
  });

  it('casts, takes the time out, and decodes', () => {
    const parser = createParser(`
      format: ltsv
      time_key: at
      time_format: '%s'
      types: n:int
      decode_field: json body`);
    expect(parseLine(parser, 'at:5\tn:7\tbody:{"a":1}')).toEqual({
      record: { n: 7, body: '{"a":1}', a: 1 },
      text: undefined,
      seconds: 5,
      nanos: 0,
    });
    expect(parseLine(parser, 'at:soon\tn:7')).toBeUndefined();
    expect(parser.failure()).toBe('The time of the line cannot be read.');
    expect(parseLine(parser, 'at:\tn:7')).toMatchObject({ record: { at: '', n: 7 }, seconds: Number.NaN });
  });

  it('keeps the time where it shall', () => {
    const parser = createParser({ format: 'ltsv', time_format: '%s', time_keep: 'on' });
    expect(parseLine(parser, 'time:5')).toMatchObject({ record: { time: '5' }, seconds: 5 });
  });

  it('never throws', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('a', ':', '\t', '\r') }),
    );
    fc.assert(
      fc.property(line, (text) => {
        expect(parseLine(plain, text)?.text).toBeUndefined();
      }),
    );
  });
});

describe('check', () => {
  it('finds wrong types', () => {
    expect(check({ format: 'ltsv', types: 'a' })).toMatchObject([{ key: 'types' }]);
  });
});
