import { describe, expect, it } from 'vitest';
import { tagFromPath } from '../../../../plugins/inputs/http/tag.ts';

describe('tagFromPath', () => {
  it.each([
    ['/', undefined],
    ['/?a=b', undefined],
    ['/app.log', 'app.log'],
    ['/some/path.log', 'some_path.log'],
    ['/a-b%2Fc?x=/y', 'a_b_2Fc'],
    ['/a%20b%zz', 'a_20b_zz'],
    ['/%C3%A9', '_C3_A9'],
    ['/../../etc', '.._.._etc'],
    ['//x', '_x'],
  ])('%s is %s', (target, tag) => {
    expect(tagFromPath(target)).toBe(tag);
  });

  it('refuses long tags', () => {
    expect(tagFromPath(`/${'a'.repeat(256)}`)).toHaveLength(256);
    expect(() => tagFromPath(`/${'a'.repeat(257)}`)).toThrow(/more than 256/);
  });
});
