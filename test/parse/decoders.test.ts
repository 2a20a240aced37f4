import { describe, expect, it } from 'vitest';
import { checkDecoder, compileDecoders } from '../../src/parse/decoders.ts';
import type { LogRecord } from '../../src/event/record.ts';

function decode(replacing: string[], adding: string[], record: LogRecord): LogRecord | false {
  return compileDecoders(replacing, adding)?.(record) === true ? record : false;
}

describe('compileDecoders', () => {
  it('is nothing without rules', () => {
    expect(compileDecoders([], [])).toBeUndefined();
  });

  it.each<[what: string, replacing: string[], adding: string[], text: string, record: LogRecord | false]>([
    ['an object in place', ['json log'], [], ' {"a":1}\n', { log: { a: 1 }, k: 1 }],
    ['no list in place', ['json log'], [], '[1]', false],
    ['no object', ['json log'], [], '"a"', false],
    ['broken', ['json log'], [], '{a', false],
    ['exact digits', ['json log'], [], '{"a":9007199254740993}', { log: { a: 9007199254740993n }, k: 1 }],
    ['fields beside', [], ['json log'], '{"a":1,"k":2}', { log: '{"a":1,"k":2}', a: 1, k: 2 }],
    ['no list beside', [], ['json log'], '[1]', false],
    ['nothing to unescape', ['escaped log'], [], 'plain', false],
    ['unescaped', ['ESCAPED log'], [], String.raw`a\nb`, { log: 'a\nb', k: 1 }],
    ['unescaped, but not beside', [], ['escaped log'], String.raw`a\nb`, false],
    [
      'one after the other',
      ['escaped log do_next', 'json log'],
      [],
      String.raw`{\"a\":1}`,
      { log: { a: 1 }, k: 1 },
    ],
    ['only the first', ['escaped log', 'json log'], [], String.raw`{\"a\":1}`, { log: '{"a":1}', k: 1 }],
    [
      'the next if the first fails',
      ['json log try_next', 'escaped log'],
      [],
      String.raw`a\tb`,
      { log: 'a\tb', k: 1 },
    ],
    ['not the next if it does not fail', ['escaped log try_next', 'json log'], [], '{"a":1}', false],
    ['not the next without a word', ['json log', 'escaped log'], [], String.raw`a\tb`, false],
    [
      'unescaped, then beside',
      [],
      ['escaped log do_next', 'json log'],
      String.raw`{\"a\":1}`,
      {
        log: String.raw`{\"a\":1}`,
        k: 1,
        a: 1,
      },
    ],
    [
      'nothing more once it is an object',
      ['json log do_next', 'escaped log'],
      [],
      '{"a":1}',
      { log: { a: 1 }, k: 1 },
    ],
  ])('%s', (_, replacing, adding, text, record) => {
    expect(decode(replacing, adding, { log: text, k: 1 })).toEqual(record);
  });

  it('leaves other fields and values alone', () => {
    expect(decode(['json log'], [], { other: '{}' })).toBe(false);
    expect(decode(['json log'], [], { log: 5 })).toBe(false);
    expect(decode(['json toString'], [], {})).toBe(false);
  });

  it('takes __proto__ for a field', () => {
    const record = decode([], ['json log'], { log: '{"__proto__":{"a":1}}' }) as LogRecord;
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
    expect(Object.keys(record)).toEqual(['log', '__proto__']);
  });

  it('does not decode what nests too deep', () => {
    expect(decode(['json log'], [], { log: `{"a":${'['.repeat(200)}${']'.repeat(200)}}` })).toBe(false);
  });
});

describe('checkDecoder', () => {
  it.each([
    ['json log', undefined],
    ['json log do_next', undefined],
    [
      'jsn log',
      '"jsn" is no decoder; there are json, escaped, escaped_utf8 and mysql_quoted, followed by the field.',
    ],
    ['json', 'The field is missing; write "json FIELD".'],
    ['json log maybe', 'Behind the field only try_next or do_next may stand, not "maybe".'],
    ['json log do_next now', 'Behind the field only try_next or do_next may stand, not "do_next now".'],
  ])('%s', (text, message) => {
    expect(checkDecoder(text)).toBe(message);
  });
});
