import { describe, expect, it } from 'vitest';
import { compileRecordBuilder } from '../../src/parse/record-builder.ts';
import type { CapturedField } from '../../src/parse/record-builder.ts';

const match = (...captures: (string | undefined)[]): RegExpExecArray =>
  ['', ...captures] as unknown as RegExpExecArray;
const fields = (...keys: string[]): CapturedField[] =>
  keys.map((key, at) => ({ key, number: at + 1, cast: undefined }));

describe('compileRecordBuilder', () => {
  it('makes a field of each capture', () => {
    const build = compileRecordBuilder(fields('a', 'b "c"', '__proto__'), true);
    const record = build(match('1', '2', '3'));
    expect(Object.entries(record)).toEqual([
      ['a', '1'],
      ['b "c"', '2'],
      ['__proto__', '3'],
    ]);
    expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
  });

  it('leaves out what captured nothing', () => {
    const build = compileRecordBuilder(fields('a', 'b', '__proto__'), true);
    expect(build(match('1', '', undefined))).toEqual({ a: '1' });
    expect(Object.keys(build(match('', '', '3')))).toEqual(['__proto__']);
  });

  it('or makes it empty', () => {
    const build = compileRecordBuilder(fields('a', 'b'), false);
    expect(build(match('', undefined))).toEqual({ a: '', b: '' });
    expect(build(match('', '2'))).toEqual({ a: '', b: '2' });
  });

  it('casts', () => {
    const build = compileRecordBuilder([{ key: 'n', number: 2, cast: Number }], true);
    expect([build(match('1', '2')), build(match('1', ''))]).toEqual([{ n: 2 }, {}]);
  });

  it('takes the last of several captures with one name', () => {
    const last = compileRecordBuilder(fields('a', 'a'), true);
    expect([last(match('1', '2')), last(match('1', undefined)), last(match('1', ''))]).toEqual([
      { a: '2' },
      { a: '1' },
      { a: '1' },
    ]);
    expect(compileRecordBuilder(fields('a', 'a'), false)(match('1', undefined))).toEqual({ a: '1' });
  });

  it('makes empty records of nothing', () => {
    expect(compileRecordBuilder([], true)(match())).toEqual({});
  });
});
