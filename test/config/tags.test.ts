import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canTake, patternsMeet } from '../../src/config/tags.ts';
import { matchesPattern } from '../../src/routing/match.ts';

describe('patterns', () => {
  it.each([
    ['a*', '*b', true],
    ['a*', 'b*', false],
    ['kube.*', 'kube.var.log.*', true],
    ['*.log', 'app.*.txt', false],
    ['*', '', true],
    ['a*c*e', 'abcde', true],
    ['a*c*e', 'abce*f', false],
  ])('%s and %s: %s', (a, b, meet) => {
    expect(patternsMeet(a, b)).toBe(meet);
    expect(patternsMeet(b, a)).toBe(meet);
  });

  it('a text meets exactly the patterns that match it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
    const property = fc.property(pattern, text, (a, b) => patternsMeet(a, b) === matchesPattern(a, b));
    expect(fc.check(property)).toMatchObject({ failed: false });
  });

  it('two patterns that match one text meet', () => {
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 6 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    const property = fc.property(pattern, pattern, text, (a, b, t) => {
      fc.pre(matchesPattern(a, t) && matchesPattern(b, t));
      return patternsMeet(a, b);
    });
    expect(fc.check(property, { numRuns: 300 })).toMatchObject({ failed: false });
  });
});

describe('what an output can take', () => {
  it('the expression wins over the pattern, and says nothing of tags that are not known yet', () => {
    expect(canTake({ match: 'a', matchRegex: /^b/ }, 'a')).toBe(false);
    expect(canTake({ match: 'a', matchRegex: /^b/ }, 'b')).toBe(true);
    expect(canTake({ match: undefined, matchRegex: /^b/ }, 'a.*')).toBe(true);
  });

  it('with neither it takes nothing', () => {
    expect(canTake({ match: undefined, matchRegex: undefined }, 'a')).toBe(false);
  });
});
