import { describe, expect, it } from 'vitest';
import { isTooDeep, MAX_JSON_DEPTH } from '../../src/parse/json-depth.ts';

const lists = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

describe('isTooDeep', () => {
  it.each([
    ['as deep as may be', lists(MAX_JSON_DEPTH), false],
    ['one deeper', lists(MAX_JSON_DEPTH + 1), true],
    ['objects', `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`, true],
    ['objects and lists', `${'{"a":['.repeat(40)}${']}'.repeat(40)}`, true],
    ['many side by side', `[${Array.from({ length: 500 }, () => '[{}]').join(',')}]`, false],
    ['brackets in texts', JSON.stringify({ a: '[{'.repeat(200), b: '"\\['.repeat(100) }), false],
    ['not closed', '['.repeat(100_000), true],
    ['a text not closed', `"${'['.repeat(1000)}`, false],
  ])('%s', (_, text, deep) => {
    expect(isTooDeep(text)).toBe(deep);
  });
});
