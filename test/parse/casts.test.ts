import { describe, expect, it } from 'vitest';
import { CastError, compileCasts } from '../../src/parse/casts.ts';

describe('compileCasts', () => {
  it.each<[type: string, text: string, value: unknown]>([
    ['integer', '42', 42],
    ['int', ' -7x', -7],
    ['int', '+7', 7],
    ['int', '1.9', 1],
    ['int', '-', 0],
    ['int', '', 0],
    ['int', 'abc', 0],
    ['int', '9007199254740991', 9007199254740991],
    ['int', '9007199254740993', 9007199254740993n],
    ['int', '+9007199254740993', 9007199254740993n],
    ['int', '-9223372036854775808', -9223372036854775808n],
    ['int', '9223372036854775808', '9223372036854775808'],
    ['hex', '100', 256],
    ['hex', '0xFF', 255],
    ['hex', 'ffffffffffffffff', 18446744073709551615n],
    ['hex', '1ffffffffffffffff', '1ffffffffffffffff'],
    ['hex', 'zz', 0],
    ['float', '1.5e3x', 1500],
    ['float', 'x', 0],
    ['float', '1e999', '1e999'],
    ['float', 'Infinity', 'Infinity'],
    ['bool', 'TRUE', true],
    ['boolean', 'falsehood', false],
    ['bool', 'yes', 'yes'],
    ['Integer', '5', 5],
  ])('%s of %s', (type, text, value) => {
    expect(compileCasts(`f:${type}`).get('f')?.(text)).toBe(value);
  });

  it('reads pairs between blanks and commas', () => {
    expect([...compileCasts(' a:int,b:float  c:string a:b:bool ').keys()]).toEqual(['a', 'b', 'a:b']);
  });

  it.each([
    ['a', '"a" names no type; write field:type, such as code:integer.'],
    [':int', '":int" names no type'],
    ['a:number', '"number" is no type; there are string, integer, float, bool and hex.'],
    ['a:constructor', '"constructor" is no type'],
  ])('refuses %s', (types, message) => {
    expect(() => compileCasts(types)).toThrow(CastError);
    expect(() => compileCasts(types)).toThrow(message);
  });
});
