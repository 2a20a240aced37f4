import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonStream } from '../../../plugins/shared/json-stream.ts';
import type { Value } from '../../../src/plugin.ts';
import { readsRight } from '../../support/json-keys.ts';

/** Values as they are, lines of text in a map. */
function read(lines: readonly string[], limit = 1000): unknown[] {
  const found: unknown[] = [];
  const sink = {
    value: (value: Value) => void found.push(value),
    text: (text: string) => void found.push({ text }),
  };
  const stream = new JsonStream(sink, limit);
  for (const line of lines) stream.push(line);
  stream.end();
  return found;
}

describe('values', () => {
  it.each<[string, string[], unknown[]]>([
    ['one on a line', ['{"a":1}', '[1,{}]'], [{ a: 1 }, [1, {}]]],
    ['several on a line', ['{"a":1}{"b":[2]} [3] '], [{ a: 1 }, { b: [2] }, [3]]],
    [
      'one over several lines',
      ['{', '  "a": [', '', '1, "x]}"', ']', '} {"b":2}'],
      [{ a: [1, 'x]}'] }, { b: 2 }],
    ],
    ['wide numbers', ['{"n":12345678901234567890}'], [{ n: 12345678901234567890n }]],
    [
      'control characters in texts',
      ['{"a":"x\ty\u0001"}[1]', '["\t"] {'],
      [{ a: 'x\ty\u0001' }, [1], ['\t'], { text: ' {' }],
    ],
    ['blank lines between', ['', '  ', '{}'], [{}]],
  ])('%s', (_, lines, values) => {
    expect(read(lines)).toEqual(values);
  });
});

describe('what is no JSON comes out as lines', () => {
  it.each<[string, string[], unknown[]]>([
    ['plain text', ['hello'], [{ text: 'hello' }]],
    ['brackets', ['[INFO] started', '{broken}'], [{ text: '[INFO] started' }, { text: '{broken}' }]],
    ['a number or text alone', ['42', '"x"'], [{ text: '42' }, { text: '"x"' }]],
    ['the rest of a line', ['{"a":1} tail'], [{ a: 1 }, { text: ' tail' }]],
    ['a bad number', ['{"a":1.2.3}', '{"b":1}'], [{ text: '{"a":1.2.3}' }, { b: 1 }]],
    ['a broken map before a good one', ['{"a":1', '{"b":2}'], [{ text: '{"a":1' }, { b: 2 }]],
    ['a broken list before text', ['[1,', 'text'], [{ text: '[1,' }, { text: 'text' }]],
    ['an open value at the end', ['{"a":', '1'], [{ text: '{"a":' }, { text: '1' }]],
    [
      'wrong brackets',
      ['{"a":1]', '[1}', '[,]', '{"a":}', '{"a","b"}', '{1:2}'],
      ['{"a":1]', '[1}', '[,]', '{"a":}', '{"a","b"}', '{1:2}'].map((text) => ({ text })),
    ],
    [
      'a value that is too deep',
      ['['.repeat(100) + ']'.repeat(100)],
      [{ text: '['.repeat(100) + ']'.repeat(100) }],
    ],
  ])('%s', (_, lines, values) => {
    expect(read(lines)).toEqual(values);
  });

  it('a value longer than the limit', () => {
    expect(read(['[', '1,', '2,', '3', ']'], 6)).toEqual(
      ['[', '1,', '2,', '3', ']'].map((text) => ({ text })),
    );
  });
});

it('finds any sequence of maps, in whatever way it is written', () => {
  const maps = fc.array(
    fc
      .dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }))
      .filter((map) => !Object.hasOwn(map, '__proto__') && readsRight(map)),
  );
  fc.assert(
    fc.property(maps, fc.constantFrom(0, 1, 2), fc.constantFrom('', ' ', '\n'), (values, indent, between) => {
      const text = values.map((value) => JSON.stringify(value, undefined, indent)).join(between);
      const found = read(text.split('\n'), Number.POSITIVE_INFINITY);
      expect(JSON.stringify(found)).toBe(JSON.stringify(JSON.parse(JSON.stringify(values))));
    }),
  );
});

it('takes strings of many megabytes, whole and broken', () => {
  const long = 'x'.repeat(12 << 20);
  const escaped = '\\\\\\"'.repeat(3 << 20);
  const lines = [`{"a":"${long}"}{"b":"${escaped}"}`, `{"c":"${long}"`, `{"d":"${long}`];
  const found = read(lines, 1e9) as { a?: string; b?: string; text?: string }[];
  expect(found.map(({ a, b, text }) => [a?.length, b?.length, text?.length])).toEqual([
    [long.length, undefined, undefined],
    [undefined, escaped.length / 2, undefined],
    [undefined, undefined, long.length + 7],
    [undefined, undefined, long.length + 6],
  ]);
});
