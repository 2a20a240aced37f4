import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemberCutter } from '../../src/parse/json-cut.ts';
import { readsRight } from '../support/json-keys.ts';

/** Value and rest, or null. */
function cut(text: string, key = 'time'): [string, string] | null {
  const cutter = new MemberCutter(key);
  return cutter.cut(text) ? [cutter.value, cutter.rest] : null;
}

function isJson(text: string): boolean {
  try {
    return JSON.parse(text) !== undefined;
  } catch {
    return false;
  }
}

describe('MemberCutter', () => {
  it.each<[what: string, text: string, result: [string, string] | null]>([
    ['first', '{"time":"x","a":1}', ['x', '{"a":1}']],
    ['last', '{"a":1,"time":"x"}', ['x', '{"a":1}']],
    ['in between', '{"a":1,"time":"x","b":2}', ['x', '{"a":1,"b":2}']],
    ['alone', '{"time":"x"}', ['x', '{}']],
    ['with blanks', '{ "a" : 1 , "time" : "x" , "b" : 2 }', ['x', '{ "a" : 1 , "b" : 2 }']],
    ['last with blanks', '{ "a" : 1 , "time" : "x" }', ['x', '{ "a" : 1 }']],
    ['behind an object', '{"o":{"p":[{}]},"time":"x"}', ['x', '{"o":{"p":[{}]}}']],
    ['behind brackets in a text', '{"o":"}]{\\"","time":"x"}', ['x', '{"o":"}]{\\""}']],
    [
      'also inside an object',
      '{"o":{"time":"y"},"time":"x","p":{"time":"z"}}',
      ['x', '{"o":{"time":"y"},"p":{"time":"z"}}'],
    ],
    ['also as a value', '{"a":"time","time":"x"}', ['x', '{"a":"time"}']],
    [
      'also escaped in a text',
      String.raw`{"a":"\"time\":","b":"c\"time","time":"x"}`,
      ['x', String.raw`{"a":"\"time\":","b":"c\"time"}`],
    ],
    ['an empty value', '{"time":"","a":1}', ['', '{"a":1}']],
    ['not there', '{"a":1}', null],
    ['only inside', '{"o":{"time":"x"}}', null],
    ['twice: the first', '{"time":"x","time":"y"}', ['x', '{"time":"y"}']],
    ['a longer key before', '{"a-time":"y","time":"x"}', ['x', '{"a-time":"y"}']],
    ['no text', '{"time":1}', null],
    ['a text with escapes', String.raw`{"time":"a\"b"}`, null],
    ['a text that is not closed', '{"time":"a', null],
    ['no comma behind', '{"time":"x" "a":1}', null],
    ['a comma too many behind', '{"time":"x",}', null],
    ['two commas behind', '{"time":"x",,"a":1}', null],
    ['no comma before', '{"a":1 "time":"x"}', null],
    ['at the very beginning', '"time":"x"', null],
  ])('%s', (_, text, result) => {
    expect(cut(text)).toEqual(result);
  });

  it('takes keys that need quoting', () => {
    expect(cut(String.raw`{"a\"b":"x","c":1}`, 'a"b')).toEqual(['x', '{"c":1}']);
  });

  it('gives what parsing and leaving the key out gives', () => {
    const key = fc.constantFrom('time', 'a', '"time":', '\\"time');
    const object = fc.dictionary(
      key,
      fc.oneof(fc.jsonValue(), fc.constantFrom('time', '"time":"x"', '{"time":"y"')),
    );
    fc.assert(
      fc.property(
        object.filter(readsRight),
        fc.string(),
        fc.nat(3),
        fc.nat(2),
        (others, value, position, indent) => {
          const entries: [string, unknown][] = Object.entries(others).filter(([name]) => name !== 'time');
          entries.splice(Math.min(position, entries.length), 0, ['time', value]);
          const text = JSON.stringify(Object.fromEntries(entries), null, indent);
          const rest = Object.fromEntries(entries.filter(([name]) => name !== 'time'));
          const result = cut(text);
          const seen =
            result === null ? 'left to the parser' : [result[0], JSON.stringify(JSON.parse(result[1]))];
          const hasEscapes = JSON.stringify(value).includes('\\');
          expect(seen).toEqual(hasEscapes ? 'left to the parser' : [value, JSON.stringify(rest)]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('leaves text that is not JSON as wrong as it was', () => {
    const token = fc.constantFrom('{', '}', '[', ']', ',', ':', '"time"', '"a"', '1', '"', ' ', '\\');
    fc.assert(
      fc.property(fc.array(token), fc.array(token), (before, after) => {
        const text = `{${before.join('')}"time":"x"${after.join('')}}`;
        const mended = !isJson(text) && isJson(cut(text)?.[1] ?? '');
        expect({ text, mended }).toEqual({ text, mended: false });
      }),
      { numRuns: 3000 },
    );
  });
});
