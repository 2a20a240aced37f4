/** Tags that tail makes of paths. What Fluent Bit 5.1.1 makes of the same stands here. */
import { describe, expect, it } from 'vitest';
import { compileTag } from '../../../../plugins/shared/tail/tags.ts';
import { translateRegex } from '../../../../src/plugin.ts';

describe('a tag with *', () => {
  it.each([
    ['kube.*', '/var/log/a_b.log', 'kube.var.log.a_b.log'],
    ['kube*', '/var/log/a.log', 'kube.var.log.a.log'],
    ['*', '/var/log/a.log', 'var.log.a.log'],
    ['x.*', './in/a..log', 'x.in.a.log'],
    ['x.*.y', 'in/a:b.log', 'x.in.a.b.log.y'],
    ['x.*.*', 'a.log', 'x.a.log'],
    ['app', 'a.log', 'app'],
  ])('%s of %s is %s', (tag, path, made) => {
    expect(compileTag(tag, undefined)(path)).toBe(made);
  });
});

describe('a tag with groups of tag_regex', () => {
  const of = (tag: string, regex: string): ((path: string) => string | undefined) =>
    compileTag(tag, translateRegex(regex));

  it('holds what they found, and _ where they found nothing or are not there', () => {
    const tagOf = of('k.<pod>.<none>.<rest>.<>', '/(?<pod>[a-z]+)(?<rest>_.*)?$');
    expect(tagOf('/in/web_1')).toBe('k.web._._1._');
    expect(tagOf('/in/web')).toBe('k.web._._._');
    expect(tagOf('/in/1')).toBeUndefined();
  });

  it('has no other part of the path in it', () => {
    expect(of('k.*.<pod>', '/(?<pod>[a-z]+)$')('/in/web')).toBe('k.*.web');
  });

  it('has it where the input wants that', () => {
    const tagOf = compileTag('k.<pod>.*', translateRegex('/(?<pod>[a-z]+)$'), { starIsPath: true });
    expect(tagOf('/in/web')).toBe('k.web.in.web');
  });
});
