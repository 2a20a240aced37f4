/** Files that are meant to hurt, or no configuration at all: each ends in a problem, soon. */
import { expect, it } from 'vitest';
import * as fc from 'fast-check';
import { lines, loadText, PIPELINE, Workspace } from './workspace.ts';

const bomb = Array.from(
  { length: 30 },
  (_, level) =>
    `  a${level}: &a${level} [${Array.from({ length: 10 }, () => (level === 0 ? 'x' : `*a${level - 1}`)).join(', ')}]`,
);

it.each<[string, string | Uint8Array, RegExp]>([
  ['an alias bomb', `extensions:\n${bomb.join('\n')}\n${PIPELINE}`, /larger than/],
  ['an alias within itself', 'pipeline: &a\n  inputs: [*a]\n', /within what it stands for/],
  ['brackets without end', '['.repeat(200_000), /no valid YAML|not closed|nested/],
  ['lists without end', '- '.repeat(100_000), /no valid YAML|nested/],
  ['deep nesting', `extensions: ${'['.repeat(200)}${']'.repeat(200)}\n${PIPELINE}`, /nested deeper/],
  ['a large file', 'a: b\n'.repeat(2_500_000), /larger than 1048576 bytes/],
  ['random bytes', new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0xff, 0x00, 0x80]), /no UTF-8 text/],
  ['NUL bytes', 'service:\0\n', /NUL/],
  ['UTF-16', new Uint8Array([0xff, 0xfe, 0x61, 0x00]), /UTF-16/],
  ['an empty file', '', /is empty/],
  ['only a comment', '# nothing\n', /is empty/],
  ['a text', 'hello\n', /map of sections/],
  ['a list', '- a\n', /map of sections/],
  ['a prototype as section', `__proto__: {a: 1}\n${PIPELINE}`, /unknown section/],
  [
    'a prototype as option',
    PIPELINE.replace('- name: dummy', '- name: dummy\n      __proto__: {tag: x}\n      constructor: x'),
    /unknown key/,
  ],
  ['a prototype as plugin', PIPELINE.replace('dummy', 'constructor'), /unknown input "constructor"/],
  ['a key that is a list', `? [a, b]\n: 1\n${PIPELINE}`, /key must be a plain text/],
  [
    'a merge of nothing',
    PIPELINE.replace('- name: dummy', '- name: dummy\n      <<: [1]\n      nme: x'),
    /unknown key/,
  ],
])('%s', async (_name, text, says) => {
  const { definition, problems } = await loadText(text);
  expect(definition).toBeUndefined();
  expect(problems.map(({ message }) => message).join('\n')).toMatch(says);
});

it('a byte order mark is no part of the first key', async () => {
  expect(lines(await loadText(`\ufeff${PIPELINE}`))).toEqual([]);
});

it('a directory, a file that is not there, and one that may not be read are problems', async () => {
  using workspace = new Workspace();
  const { loadConfig } = await import('../../src/config/load.ts');
  const { registry } = await import('../../plugins/index.ts');
  for (const [file, says] of [
    [workspace.directory, /directory/],
    [`${workspace.directory}/none.yaml`, /no such file/],
  ] as const) {
    const { definition, problems } = await loadConfig(file, { env: {}, registry });
    expect(definition).toBeUndefined();
    expect(problems[0]?.message).toMatch(says);
    expect(problems[0]?.position).toBeUndefined();
  }
});

it('whatever is written, loading resolves', async () => {
  const word = fc.constantFrom(
    'pipeline',
    'inputs',
    'outputs',
    'name',
    'dummy',
    'match',
    "'*'",
    '- ',
    ': ',
    '\n',
    '  ',
    '    ',
    '[',
    ']',
    '{',
    '}',
    '&a ',
    '*a',
    '<<',
    '${A}',
    '"',
    "'",
    '#',
    '|',
    '!x ',
    '\t',
  );
  const property = fc.asyncProperty(fc.array(word, { maxLength: 40 }), async (words) => {
    const { definition, problems } = await loadText(words.join(''));
    return definition !== undefined || problems.some(({ level }) => level === 'error');
  });
  expect(await fc.check(property, { numRuns: 150 })).toMatchObject({ failed: false });
});
