import { describe, expect, it } from 'vitest';
import modify from '../../../plugins/filters/modify.ts';
import {
  batchOf,
  createFilter,
  filterContract,
  filterProblems,
  runFilter,
  textsOf,
} from '../../contract/filter.ts';
import type { Written } from '../../contract/filter.ts';

filterContract(modify, [
  [
    ['add', '__proto__ x'],
    ['set', 'log y'],
    ['rename', 'log msg'],
  ],
  [
    ['hard_copy', 'log copy'],
    ['hard_rename', '__proto__ constructor'],
    ['remove', 'toString'],
  ],
  [
    ['condition', 'key_exists log'],
    ['condition', 'key_value_does_not_match log ^nothing$'],
    ['remove_regex', '^l'],
    ['move_to_end', 'n'],
    ['copy', 'log __proto__'],
  ],
]);

async function run(written: Written, record: string): Promise<string> {
  const [text] = await runFilter(modify, written, [record]);
  return text ?? 'gone';
}

describe('rules', () => {
  it.each<[string, string, string, string]>([
    ['add', 'k v', '{"a":1}', '{"a":1,"k":"v"}'],
    ['add', 'a v', '{"a":1}', '{"a":1}'],
    ['add', '"key 2" "value with \\"quotes\\""', '{}', '{"key 2":"value with \\"quotes\\""}'],
    ['set', 'k v', '{"a":1}', '{"a":1,"k":"v"}'],
    ['set', 'a v', '{"a":1,"b":2}', '{"a":"v","b":2}'],
    ['remove', 'a', '{"a":1,"b":2}', '{"b":2}'],
    ['remove', 'x', '{ "a": 1.0 }', '{ "a": 1.0 }'],
    ['remove_wildcard', 'k', '{"k1":1,"a":2,"k":3}', '{"a":2}'],
    ['remove_wildcard', 'k*', '{"k1":1,"k*":2}', '{"k1":1}'],
    ['remove_regex', '^[a-z][0-9]$', '{"k1":1,"A3":2}', '{"A3":2}'],
    ['move_to_start', 'b', '{"a":1,"b1":2,"c":3,"b2":4}', '{"b1":2,"b2":4,"a":1,"c":3}'],
    ['move_to_end', 'a', '{"a":1,"b":2}', '{"b":2,"a":1}'],
    ['rename', 'a b', '{"x":0,"a":1,"y":2}', '{"x":0,"b":1,"y":2}'],
    ['rename', 'a b', '{"a":1,"b":2}', '{"a":1,"b":2}'],
    ['rename', 'a b', '{"c":1}', '{"c":1}'],
    ['hard_rename', 'a b', '{"a":1,"b":2}', '{"b":1}'],
    ['hard_rename', 'a a', '{"a":1}', '{"a":1}'],
    ['copy', 'a c', '{"a":"x","b":2}', '{"a":"x","b":2,"c":"x"}'],
    ['copy', 'a b', '{"a":1,"b":2}', '{"a":1,"b":2}'],
    ['hard_copy', 'a b', '{"a":{"n":[1,{"m":2}]},"b":2}', '{"a":{"n":[1,{"m":2}]},"b":{"n":[1,{"m":2}]}}'],
    ['rename', 'a __proto__', '{"a":1}', '{"__proto__":1}'],
  ])('%s %s: %s', async (rule, value, before, after) => {
    expect(await run([[rule, value]], before)).toBe(after);
  });

  it('run in file order, each on what those before it left', async () => {
    const written: Written = [
      ['rename', 'a b'],
      ['add', 'a new'],
      ['set', 'b other'],
      ['remove', 'c'],
    ];
    expect(await run(written, '{"a":1,"c":2}')).toBe('{"b":"other","a":"new"}');
  });

  it.each(['rename n m', 'copy n m', 'remove a', 'move_to_end a'])(
    '%s keeps the digits of wide numbers',
    async (line) => {
      const [rule = '', ...rest] = line.split(' ');
      expect(await run([[rule, rest.join(' ')]], '{"a":1,"n":12345678901234567890}')).toContain(
        '12345678901234567890',
      );
    },
  );

  it('copies maps so that a later change of one leaves the other', async () => {
    const batch = batchOf([{ a: { list: [1] } }]);
    await (await createFilter(modify, [['copy', 'a b']])).process(batch, 'tag');
    const { a } = batch.edit(0) as { a: { list: number[] } };
    a.list.push(2);
    expect(textsOf(batch)).toEqual(['{"a":{"list":[1,2]},"b":{"list":[1]}}']);
  });
});

describe('conditions', () => {
  it.each<[string, string, boolean]>([
    ['key_exists k', '{"k":null}', true],
    ['key_exists k', '{}', false],
    ["Key_Exists $n['k']", '{"n":{"k":1}}', true],
    ["key_does_not_exist $n['k']", '{"n":{}}', true],
    ['a_key_matches ^[a-z]1$', '{"k1":1}', true],
    ['a_key_matches ^[a-z]1$', '{"k2":1}', false],
    ['no_key_matches ^[0-9]$', '{"k":1}', true],
    ['key_value_equals k v', '{"k":"v"}', true],
    ['key_value_equals k 5', '{"k":5}', false],
    ['key_value_does_not_equal k v', '{"k":"w"}', true],
    ['key_value_does_not_equal k v', '{}', false],
    ['key_value_matches k ^v', '{"k":"vw"}', true],
    ['key_value_matches k true', '{"k":true}', true],
    ['key_value_matches k 5', '{"k":5}', false],
    ['key_value_does_not_match k ^v', '{"k":"w"}', true],
    ['key_value_does_not_match k ^v', '{}', false],
    ['matching_keys_have_matching_values ^k ^v', '{"k1":"v1","k2":"v2"}', true],
    ['matching_keys_have_matching_values ^k ^v', '{"k1":"v1","k2":"w"}', false],
    ['matching_keys_have_matching_values ^k ^v', '{"a":1}', true],
    ['matching_keys_do_not_have_matching_values ^k ^v', '{"k1":"v1","k2":"w"}', true],
    ['key_value_matches "key 1" ".*with spaces.*"', '{"key 1":"first with spaces"}', true],
  ])('%s on %s is %s', async (condition, record, holds) => {
    const text = await run(
      [
        ['condition', condition],
        ['add', 'held yes'],
      ],
      record,
    );
    expect(JSON.parse(text)).toEqual(holds ? { ...JSON.parse(record), held: 'yes' } : JSON.parse(record));
  });

  it('all must hold, wherever they stand, for the record as it came in', async () => {
    const written: Written = [
      ['condition', 'key_exists a'],
      ['remove', 'a'],
      ['add', 'b new'],
      ['condition', 'key_does_not_exist b'],
    ];
    expect(await run(written, '{"a":1}')).toBe('{"b":"new"}');
    expect(await run(written, '{"a":1,"b":2}')).toBe('{"a":1,"b":2}');
  });
});

describe('check', () => {
  it.each<[Written, Record<string, unknown>]>([
    [
      [['set', 'key a value']],
      {
        key: 'set',
        index: 0,
        message: 'set takes 2 parameters, KEY VALUE, found 3. Put one that has spaces in quotes.',
      },
    ],
    [
      [
        ['add', 'a b'],
        ['add', 'key'],
      ],
      { key: 'add', index: 1, message: 'add takes 2 parameters, KEY VALUE, found 1.' },
    ],
    [
      [['remove', 'a b']],
      { key: 'remove', message: expect.stringContaining('takes one parameter, KEY, found 2.') },
    ],
    [[['add', 'a "b']], { key: 'add', message: 'The quote " at character 3 is not closed.' }],
    [
      [['remove_regex', '(']],
      {
        key: 'remove_regex',
        message: expect.stringMatching(/^The regular expression "\(" is wrong at character \d/),
      },
    ],
    [
      [
        ['add', 'a b'],
        ['condition', 'key_exits a'],
      ],
      {
        key: 'condition',
        index: 0,
        message: expect.stringMatching(/^"key_exits" is no condition: use one of key_exists, /),
      },
    ],
    [
      [
        ['add', 'a b'],
        ['condition', 'key_value_equals a'],
      ],
      { key: 'condition', message: 'key_value_equals takes 2 parameters, KEY VALUE, found 1.' },
    ],
    [
      [
        ['add', 'a b'],
        ['condition', 'key_exists $a['],
      ],
      { key: 'condition', index: 0 },
    ],
    [
      [['remove_wildcard', 'k*']],
      { level: 'warning', message: expect.stringContaining('write the prefix alone, "k"') },
    ],
    [[['condition', 'key_exists a']], { level: 'warning', message: expect.stringContaining('no rule') }],
  ])('%j', (written, problem) => {
    expect(filterProblems(modify, written)).toEqual([expect.objectContaining(problem)]);
  });
});
