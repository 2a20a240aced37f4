import { describe, expect, it } from 'vitest';
import { compileTemplate } from '../../src/record/template.ts';

const RECORD = {
  key: 'v',
  n: 404.5,
  big: 12345678901234567890n,
  yes: true,
  none: null,
  map: { a: { b: 1 } },
  'a-b/c': 'name',
  TAGS: 'never',
};
const CAPTURES = ['whole', 'first', undefined];

describe('templates', () => {
  it.each<[string, string]>([
    ['', ''],
    ['plain $ text.$', 'plain $ text.$'],
    ['$key', 'v'],
    ['x.$key.y,$n', 'x.v.y,404.5'],
    ['"$key"', '"v"'],
    ['$key-suffix', ''],
    ['$a-b/c', 'name'],
    ["$map['a']['b'].z", '1.z'],
    ['$map', '{"a":{"b":1}}'],
    ['$big.$yes.$none', '12345678901234567890.true.null'],
    ['$TAG', 'kube.prod.app'],
    ['logs/$TAG/x', 'logs/kube.prod.app/x'],
    ['$TAG[1].x', 'prod.x'],
    ['$TAG[0]$TAG[2]', 'kubeapp'],
    ['$TAG[9]', ''],
    ['$TAGS', 'kube.prod.appS'],
    ['$0:$1:$2', 'whole:first:'],
    ['$12', 'first2'],
    ['${HOME}', '${HOME}'],
    ['$missing.x', '.x'],
  ])('%s', (template, text) => {
    expect(compileTemplate(template).render(RECORD, 'kube.prod.app', CAPTURES)).toBe(text);
  });

  it.each<[string, string | undefined]>([
    ['$key', 'v'],
    ['$missing.x', undefined],
    ['$TAG[9]', undefined],
    ['$2', undefined],
    ['$none', 'null'],
  ])('can give up where something is missing: %s', (template, text) => {
    const { render } = compileTemplate(template, { missing: 'undefined' });
    expect(render(RECORD, 'tag', CAPTURES)).toBe(text);
  });

  it('encodes what comes from outside, not its own text', () => {
    const { render } = compileTemplate('a/$key.$TAG', { encode: (text) => `<${text}>` });
    expect(render({ key: 'v/w' }, 'tag')).toBe('a/<v/w>.<tag>');
  });

  it('knows what it depends on', () => {
    expect(compileTemplate('a.$TAG.$TAG[0]')).toMatchObject({ fixed: true, keys: [] });
    expect(compileTemplate("$a['b'].$c")).toMatchObject({ fixed: false, keys: ['a', 'c'] });
    expect(compileTemplate('$0').fixed).toBe(false);
  });

  it.each<[string, number, string]>([
    ["$a['b']x", 7, `Only "." or "," may follow "$a['b']", found "x"`],
    ['x.$a(', 4, 'Only "." or ","'],
    ["$a['b", 3, 'closing quote'],
    ['$TAG[x]', 0, 'A part of the tag'],
  ])('refuses %s', (template, offset, message) => {
    expect(() => compileTemplate(template)).toThrow(
      expect.objectContaining({ offset, message: expect.stringContaining(message) }),
    );
  });
});
