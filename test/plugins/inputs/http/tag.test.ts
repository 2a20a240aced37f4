import { describe, expect, it } from 'vitest';
import { tagFromPath } from '../../../../plugins/inputs/http/tag.ts';

describe('tagFromPath', () => {
  it.each([
    ['/', undefined],
    ['/?a=b', undefined],
    ['/app.log', 'app.log'],
    ['/some/path.log', 'some_path.log'],
    ['/a-b%2Fc?x=/y', 'a_b_c'],
    ['/%C3%A9', '__'],
    ['/../../etc', '.._.._etc'],
    ['//x', '_x'],
  ])('%s is %s', (target, tag) => {
    expect(tagFromPath(target)).toBe(tag);
  });

  it('refuses broken encoding and long tags', () => {
    expect(() => tagFromPath('/%zz')).toThrow(/percent-encoding/);
    expect(tagFromPath(`/${'a'.repeat(256)}`)).toHaveLength(256);
    expect(() => tagFromPath(`/${'a'.repeat(257)}`)).toThrow(/more than 256/);
  });
});
