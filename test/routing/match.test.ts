import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileMatch, matchesPattern } from '../../src/routing/match.ts';
import { RoutingTable } from '../../src/routing/table.ts';

describe('matchesPattern', () => {
  it.each([
    ['*', '', true],
    ['*', 'app', true],
    ['app', 'app', true],
    ['app', 'app.x', false],
    ['app.*', 'app.', true],
    ['app.*', 'app', false],
    ['*.log', 'a.log.log', true],
    ['kube.*.stderr', 'kube.a.b.stderr', true],
    ['kube.*.stderr', 'kube.stderr', false],
    ['a*b*c', 'aXbYbZc', true],
    ['**', 'x', true],
    ['a.c', 'abc', false],
  ])('%s takes %s: %s', (pattern, tag, expected) => {
    expect(matchesPattern(pattern, tag)).toBe(expected);
  });

  it('agrees with a regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 12 });
    const tags = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 16 });
    fc.assert(
      fc.property(letters, tags, (pattern, tag) => {
        const regex = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
        expect(matchesPattern(pattern, tag)).toBe(regex.test(tag));
      }),
    );
  });
});

describe('compileMatch', () => {
  it('lets the expression win over the pattern', () => {
    expect(compileMatch('app', /^web/)('app')).toBe(false);
    expect(compileMatch('app', /^web/)('web.1')).toBe(true);
  });

  it('takes nothing where nothing is said', () => {
    expect(compileMatch(undefined, undefined)('app')).toBe(false);
  });
});

describe('RoutingTable', () => {
  it('gives the targets in order, and the same answer again', () => {
    const table = new RoutingTable([
      { matches: (tag) => tag.startsWith('a'), target: 1 },
      { matches: () => true, target: 2 },
    ]);
    expect(table.lookup('app')).toEqual([1, 2]);
    expect(table.lookup('web')).toEqual([2]);
    expect(table.lookup('app')).toBe(table.lookup('app'));
  });

  it('stays bounded with tags from data', () => {
    const table = new RoutingTable([{ matches: () => true, target: 1 }]);
    for (let i = 0; i < 40_000; i++) expect(table.lookup(`tag-${i}`).length).toBe(1);
    const { routes } = table as unknown as { routes: Map<string, unknown> };
    expect(routes.size).toBeLessThanOrEqual(16_384);
  });
});
