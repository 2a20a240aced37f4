import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FieldCutter } from '../../../../plugins/outputs/loki/field-cutter.ts';
import { compileRemoval } from '../../../../plugins/outputs/loki/removal.ts';
import { ByteSink } from '../../../../src/codec/bytes.ts';
import type { ReadonlyRecord } from '../../../../src/plugin.ts';
import { parseExact } from '../../../contract/support.ts';
import { readsRight } from '../../../support/json-keys.ts';

/** What is cut out of the middle one of three records, and what is left of it. */
const cut = (keys: string[], json: string): [object, string] | undefined => {
  const cutter = FieldCutter.for(keys) as FieldCutter;
  const before = '{"a":"before"}\n';
  const bytes = Buffer.from(`${before}${json}\n{"a":"behind"}\n`);
  const start = before.length;
  const end = start + Buffer.byteLength(json);
  cutter.begin(bytes);
  cutter.cut(0, before.length - 1);
  if (!cutter.cut(start, end)) return undefined;
  const sink = new ByteSink();
  cutter.write(sink);
  return [cutter.record, sink.bytes.toString()];
};

describe('cutting fields', () => {
  it.each([
    ['{"a":"x","b":1.0}', { a: 'x' }, '{"b":1.0}'],
    ['{"b":1.0,"a":"x","c":"y"}', { a: 'x', c: 'y' }, '{"b":1.0}'],
    ['{"a":"x"}', { a: 'x' }, '{}'],
    ['{"a":"x","c":"y"}', { a: 'x', c: 'y' }, '{}'],
    ['{"c":"y","a":"x"}', { a: 'x', c: 'y' }, '{}'],
    ['{"a":"x","c":"y","b":1}', { a: 'x', c: 'y' }, '{"b":1}'],
    ['{"a":"x","b":1,"c":"y"}', { a: 'x', c: 'y' }, '{"b":1}'],
    ['{"b":1,"c":"y","a":"x","d":[{}]}', { a: 'x', c: 'y' }, '{"b":1,"d":[{}]}'],
    ['{"b":{"l":["}"]},"a":"x"}', { a: 'x' }, '{"b":{"l":["}"]}}'],
    ['{"b":1}', {}, '{"b":1}'],
    ['{"b":"grüße"}', {}, '{"b":"grüße"}'],
    ['{"b":"the \\"a\\" of it"}', {}, '{"b":"the \\"a\\" of it"}'],
  ])('%s', (json, record, rest) => {
    expect(cut(['a', 'c'], json)).toEqual([record, rest]);
  });

  it.each([
    '{"a":1}',
    '{"a":null}',
    '{"a":"x\\ny"}',
    '{"a":"x","a":"y"}',
    '{"a":"x","b":{"a":"y"}}',
    '{"b":{"a":"y"}}',
    '{"\\u0061":"x"}',
    '{"b":["a"]}',
    ' {"a":"x"}',
    '{"a" :"x"}',
    '{"a": "x"}',
    '{ "a":"x"}',
    '{"a":"x" }',
    '{"b":"a"}',
  ])('leaves %s to the parser', (json) => {
    expect(cut(['a'], json)).toBeUndefined();
  });

  it('takes only keys that are plain', () => {
    expect(FieldCutter.for(['a', 'b.c-d@e_1'])).toBeDefined();
    for (const key of ['', ',', ':', 'a"b', 'ü', 'a b']) expect(FieldCutter.for(['x', key])).toBeUndefined();
  });

  it('comes to what the parser comes to', () => {
    const text = fc.oneof(fc.constantFrom('a', 'b', 'level', '', '"a":', '\\'), fc.string({ maxLength: 5 }));
    const value = fc.oneof(
      text,
      fc.jsonValue({ maxDepth: 2 }),
      fc.record({ a: text }),
      fc.array(text, { maxLength: 2 }),
    );
    const record = fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', 'level'), text), value, { maxKeys: 6 });
    fc.assert(
      fc.property(record.filter(readsRight), (source) => {
        const json = JSON.stringify(source);
        const keys = ['level', 'a'];
        const found = cut(keys, json);
        if (found === undefined) return;
        const parsed = parseExact(json) as ReadonlyRecord;
        const remove = compileRemoval(keys.map((key) => [key]));
        expect(parseExact(found[1])).toEqual(remove?.(parsed));
        expect(found[0]).toEqual(
          Object.fromEntries(keys.flatMap((key) => (Object.hasOwn(parsed, key) ? [[key, parsed[key]]] : []))),
        );
      }),
      { numRuns: 3000 },
    );
  });
});
