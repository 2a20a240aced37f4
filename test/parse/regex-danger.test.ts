import { describe, expect, it } from 'vitest';
import { translateRegex } from '../../src/parse/regex.ts';

describe('expressions that the linear engine cannot run', () => {
  it.each([
    '^(?=a)(a+)+$',
    '(?=x)(?:a*)*b',
    '(?=x)(\\w+\\s*)+$',
    '(?=x)(.+,)*$',
    '(?=x)((a|b+)+)c',
    '(x+x+)+\\1',
    '(?=.)(?:(?:a+)?b?)+$',
  ])('are refused where one line could hold up the agent: %s', (pattern) => {
    expect(() => translateRegex(pattern)).toThrow('hold up the agent');
  });

  it.each([
    '^(?!.*healthz).*$',
    '(?=x)([^,]+,)+$',
    '(?=x)(?:\\w+ )*end',
    '(?=x)(?>a+)+$',
    '(?=x)(?:a++)+$',
    '(a)\\1+',
    '(?=x)(?:[a-z]+=\\d+;)+',
    '(?=x)(ab)+c{2,5}',
  ])('are taken where rounds cannot blur: %s', (pattern) => {
    expect(translateRegex(pattern).linearSafe).toBe(false);
  });

  it('are not asked about where the linear engine takes over', () => {
    expect(translateRegex('^(a+)+$').linearSafe).toBe(true);
  });
});
