import { describe, expect, it } from 'vitest';
import { checkTag } from '../../../../plugins/shared/http-receiver/tag.ts';

describe('checkTag', () => {
  it('takes the characters of tags, up to 256', () => {
    checkTag('kube.var/log-1_A', 'k');
    for (const tag of ['a b', 'a*', 'é', 'a\n', 'x'.repeat(257)]) {
      expect(() => checkTag(tag, 'k')).toThrow(/The key k of a record holds no tag/);
    }
  });
});
