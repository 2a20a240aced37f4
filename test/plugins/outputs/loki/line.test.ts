import { describe, expect, it } from 'vitest';
import { keyValueLine, parseItems } from '../../../../plugins/outputs/loki/key-value.ts';
import { compileLine } from '../../../../plugins/outputs/loki/line.ts';
import { compileRemoval } from '../../../../plugins/outputs/loki/removal.ts';
import { ByteSink } from '../../../../src/codec/bytes.ts';
import type { PathStep, ReadonlyRecord } from '../../../../src/plugin.ts';
import { parseExact, sliceOf } from '../../../contract/support.ts';

describe('removing keys', () => {
  const without = (paths: PathStep[][], json: string): string =>
    JSON.stringify(compileRemoval(paths)?.(parseExact(json) as ReadonlyRecord));

  it.each([
    [[['a']], '{"a":1,"b":2}', '{"b":2}'],
    [[['a', 'b']], '{"a":{"b":1,"c":2}}', '{"a":{"c":2}}'],
    [[['a', 'b']], '{"a":{"b":1}}', '{"a":{}}'],
    [[['a', 'b'], ['a']], '{"a":{"b":1,"c":2},"d":3}', '{"d":3}'],
    [[['a'], ['a', 'b']], '{"a":{"b":1,"c":2},"d":3}', '{"d":3}'],
    [
      [
        ['a', 'b'],
        ['a', 'c'],
      ],
      '{"a":{"b":1,"c":2,"d":3}}',
      '{"a":{"d":3}}',
    ],
    [[['a', 0]], '{"a":[1,2]}', '{"a":[2]}'],
    [[['a', 1, 'b']], '{"a":[1,{"b":1,"c":2}]}', '{"a":[1,{"c":2}]}'],
    [[['__proto__']], '{"__proto__":1,"b":2}', '{"b":2}'],
    [[['x']], '{"__proto__":{"y":1},"x":2}', '{"__proto__":{"y":1}}'],
    [[['toString']], '{"b":2}', '{"b":2}'],
  ] as [PathStep[][], string, string][])('%j of %s', (paths, json, rest) => {
    expect(without(paths, json)).toBe(rest);
  });

  it('leaves a record alone that has none of them', () => {
    const record = { a: { b: 1 }, list: [1] };
    expect(compileRemoval([['x'], ['a', 'x'], ['a', 'b', 'c'], ['list', 3]])?.(record)).toBe(record);
  });
});

describe('key_value', () => {
  it.each([
    ['{"a":"b","n":1}', 'a="b" n=1'],
    ['{"t":"only \\"one\\" key"}', 't="only "one" key"'],
    ['{"a":1.0,"b":2.5,"c":1e-7,"d":1e3,"e":0.1,"f":1e300}', 'a=1.0 b=2.5 c=1e-07 d=1000.0 e=0.1 f=1e+300'],
    ['{"big":12345678901234567890,"neg":-5}', 'big=12345678901234567890 neg=-5'],
    ['{"x":null,"y":true,"z":false}', 'x=null y=true z=false'],
    ['{"l":[1,"a",[2]],"m":{"k":1,"s":"t","o":{}}}', 'l="[1 "a" "[2]"]" m="map[k:1 s:"t" o:"map[]"]"'],
    ['{}', ''],
  ])('%s', (json, line) => {
    expect(keyValueLine(parseItems(json), false)).toBe(line);
  });

  it.each([
    ['{"a":"b c"}', 'b c'],
    ['{"a":1.0}', '1.0'],
    ['{"a":[1]}', '"[1]"'],
    ['{"a":"b","n":1}', 'a="b" n=1'],
  ])('drops a single key: %s', (json, line) => {
    expect(keyValueLine(parseItems(json), true)).toBe(line);
  });
});

describe('lines', () => {
  const lineOf = (options: Partial<Parameters<typeof compileLine>[0]>, json: string): string | undefined => {
    const write = compileLine({ format: 'json', dropSingleKey: 'off', remove: undefined, ...options });
    const sink = new ByteSink();
    if (write?.(sliceOf('t', [json]), 0, undefined, sink) !== true) return undefined;
    return sink.bytes.toString();
  };
  const remove = compileRemoval([['level']]);

  it('are the records as they are where nothing changes', () => {
    expect(compileLine({ format: 'json', dropSingleKey: 'off', remove: undefined })).toBeUndefined();
    expect(lineOf({ remove }, '{"a":1}')).toBeUndefined();
    expect(lineOf({ dropSingleKey: 'on' }, '{"a":1,"b":2}')).toBeUndefined();
  });

  it.each([
    [{ remove }, '{"level":"x","a":1.5,"big":12345678901234567890}', '{"a":1.5,"big":12345678901234567890}'],
    [{ dropSingleKey: 'on' }, '{"a":"grüße \\"q\\""}', '"grüße \\"q\\""'],
    [{ dropSingleKey: 'raw' }, '{"a":"grüße \\"q\\""}', 'grüße "q"'],
    [{ dropSingleKey: 'raw' }, '{"a":{"b":1}}', '{"b":1}'],
    [{ dropSingleKey: 'raw' }, '{"a":null}', 'null'],
    [{ dropSingleKey: 'raw', remove }, '{"level":"x","log":"text"}', 'text'],
    [{ format: 'key_value', remove }, '{"level":"x","f":1.0}', 'f=1.0'],
    [{ format: 'key_value', dropSingleKey: 'on' }, '{"a":"b"}', 'b'],
  ] as [Partial<Parameters<typeof compileLine>[0]>, string, string][])('%j of %s', (options, json, line) => {
    expect(lineOf(options, json)).toBe(line);
  });
});
