import { describe, expect, it } from 'vitest';
import { parseExact } from '../../src/event/json.ts';
import type { LogRecord } from '../../src/event/record.ts';
import {
  AccessorSyntaxError,
  compileAccessor,
  compilePath,
  parseAccessor,
} from '../../src/record/accessor.ts';

const RECORD = parseExact(
  `{"key":"v","a.b":"dotted","null":null,"sub":{"x":{"y":1},"it's":2,"a.b/c":3},"list":[10,{"k":"in list"},[7]],"@at":4,"with-dash":5}`,
) as LogRecord;

describe('accessors', () => {
  it.each<[string, unknown]>([
    ['key', 'v'],
    ['$key', 'v'],
    ['a.b', 'dotted'],
    ['null', null],
    ["$sub['x']", { y: 1 }],
    ["$sub['x']['y']", 1],
    ['$sub["x"]["y"]', 1],
    ["$sub['it''s']", 2],
    ["$sub['a.b/c']", 3],
    ['$list[0]', 10],
    ["$list[1]['k']", 'in list'],
    ['$list[2][0]', 7],
    ['$list[3]', undefined],
    ["$list['0']", undefined],
    ["$list['length']", undefined],
    ['$key[0]', undefined],
    ["$key['length']", undefined],
    ["$null['x']", undefined],
    ['$@at', 4],
    ['$with-dash', 5],
    ['missing', undefined],
    ["$missing['x']['y']", undefined],
  ])('%s', (text, value) => {
    expect(compileAccessor(text)(RECORD)).toEqual(value);
  });

  it.each(['constructor', '__proto__', 'toString', "$sub['constructor']", "$sub['x']['__proto__']"])(
    'finds own properties only: %s',
    (text) => {
      expect(compileAccessor(text)(RECORD)).toBeUndefined();
    },
  );

  it('finds properties of those names that are own', () => {
    const record = parseExact('{"__proto__":{"toString":1}}') as LogRecord;
    expect(compileAccessor('__proto__')(record)).toEqual({ toString: 1 });
    expect(compileAccessor("$__proto__['toString']")(record)).toBe(1);
  });

  it('an empty path is the record', () => {
    expect(compilePath([])(RECORD)).toBe(RECORD);
  });

  it('reads into steps', () => {
    expect(parseAccessor("$a['b'][0]")).toEqual(['a', 'b', 0]);
    expect(parseAccessor('a.b')).toEqual(['a.b']);
  });

  it.each<[string, number, string]>([
    ['', 0, 'The name of a key is missing.'],
    ['$', 0, 'The name of a key must follow "$".'],
    ['$a.b', 2, `A "." cannot follow "$a": write $a['…'] for a nested key.`],
    ['$a x', 2, `Unexpected " " after "$a"`],
    ['$a[b]', 3, 'A key in quotes or an index must follow "["'],
    ["$a['b", 3, "The closing quote ' is missing."],
    ["$a['b'", 6, 'A closing "]" is missing.'],
    ['$a[1', 4, 'A closing "]" is missing.'],
  ])('refuses "%s"', (text, offset, message) => {
    let error: unknown;
    try {
      compileAccessor(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(AccessorSyntaxError);
    expect(error).toMatchObject({ offset, message: expect.stringContaining(message) });
  });
});
