import { describe, expect, it } from 'vitest';
import grep from '../../../plugins/filters/grep.ts';
import {
  batchOf,
  createFilter,
  filterContract,
  filterProblems,
  runFilter,
  textsOf,
} from '../../contract/filter.ts';
import type { Written } from '../../contract/filter.ts';

filterContract(grep, [
  [['regex', 'log error']],
  [['exclude', "$log['data'] nested"]],
  [
    ['logical_op', 'OR'],
    ['regex', '__proto__ x'],
    ['regex', 'log .'],
  ],
]);

async function numbersKept(written: Written, records: readonly string[]): Promise<number[]> {
  const batch = batchOf(records);
  await (await createFilter(grep, written)).process(batch, 'tag');
  return [...batch.starts];
}

const RECORDS = ['{"a":"x","b":"y"}', '{"a":"x"}', '{"b":"y"}', '{"c":"z"}'];

describe('rules', () => {
  it.each<[string, Written, number[]]>([
    ['regex keeps what matches', [['regex', 'a x']], [0, 1]],
    ['exclude drops what matches', [['exclude', 'a x']], [2, 3]],
    [
      'excludes drop one by one',
      [
        ['exclude', 'a x'],
        ['exclude', 'b y'],
      ],
      [3],
    ],
    [
      'an exclude before a regex',
      [
        ['exclude', 'b y'],
        ['regex', 'a x'],
      ],
      [1],
    ],
    [
      'in legacy mode the first regex decides',
      [
        ['regex', 'a x'],
        ['regex', 'b y'],
      ],
      [0, 1],
    ],
    [
      'AND keeps what all match',
      [
        ['logical_op', 'AND'],
        ['regex', 'a x'],
        ['regex', 'b y'],
      ],
      [0],
    ],
    [
      'OR keeps what any matches',
      [
        ['logical_op', 'or'],
        ['regex', 'a x'],
        ['regex', 'b y'],
      ],
      [0, 1, 2],
    ],
    [
      'AND drops what all match',
      [
        ['logical_op', 'and'],
        ['exclude', 'a x'],
        ['exclude', 'b y'],
      ],
      [1, 2, 3],
    ],
    [
      'OR drops what any matches',
      [
        ['logical_op', 'OR'],
        ['exclude', 'a x'],
        ['exclude', 'b y'],
      ],
      [3],
    ],
    ['no rule at all', [], [0, 1, 2, 3]],
  ])('%s', async (_, written, kept) => {
    expect(await numbersKept(written, RECORDS)).toEqual(kept);
  });

  it('matches texts only', async () => {
    const records = ['{"a":"500"}', '{"a":500}', '{"a":true}', '{"a":null}', '{"a":["500"]}'];
    expect(await numbersKept([['regex', 'a .']], records)).toEqual([0]);
    expect(await numbersKept([['exclude', 'a .']], records)).toEqual([1, 2, 3, 4]);
  });

  it('takes accessors, plain names with dots, and expressions between slashes with spaces', async () => {
    const records = [
      '{"a":{"b c":"x"}}',
      '{"a.b":"x"}',
      '{"log":"Using deprecated option"}',
      '{"list":["n","x"]}',
    ];
    expect(await numbersKept([['regex', "$a['b c'] ^x$"]], records)).toEqual([0]);
    expect(await numbersKept([['regex', 'a.b ^x$']], records)).toEqual([1]);
    expect(await numbersKept([['regex', 'log /USING DEPRECATED option/i']], records)).toEqual([2]);
    expect(await numbersKept([['regex', '$list[1] x']], records)).toEqual([3]);
  });

  it('looks at own fields only', async () => {
    expect(await numbersKept([['regex', 'constructor .']], ['{}', '{"constructor":"x"}'])).toEqual([1]);
  });

  it('leaves the texts of records as they came', async () => {
    expect(await runFilter(grep, [['regex', 'a x']], ['{ "a": "x", "n": 1.0 }'])).toEqual([
      '{ "a": "x", "n": 1.0 }',
    ]);
  });

  it('looks at the beginning of a long text only, if the expression could run away', async () => {
    const filter = await createFilter(grep, [['regex', 'a x(?=y)']]);
    const batch = batchOf([{ a: `xy${'-'.repeat(100_000)}` }, { a: `${'-'.repeat(100_000)}xy` }]);
    await filter.process(batch, 'tag');
    expect(textsOf(batch)).toHaveLength(1);
  });
});

describe('check', () => {
  it.each<[Written, Record<string, unknown>]>([
    [
      [['regex', 'log']],
      { key: 'regex', index: 0, message: '"log" is not a rule: write KEY REGEX, with a space in between.' },
    ],
    [
      [
        ['exclude', 'b ['],
        ['regex', 'a x'],
      ],
      {
        key: 'exclude',
        index: 0,
        message: expect.stringMatching(/^The regular expression "\[" is wrong at character \d: /),
      },
    ],
    [[['regex', '$a.b x']], { key: 'regex', index: 0, message: expect.stringContaining("$a['…']") }],
    [
      [
        ['logical_op', 'AND'],
        ['regex', 'a x'],
        ['exclude', 'b y'],
      ],
      { key: 'exclude', index: 0, message: expect.stringContaining('cannot mix regex and exclude') },
    ],
    [
      [
        ['regex', 'a x'],
        ['regex', 'b y'],
      ],
      { key: 'regex', index: 1, level: 'warning', message: expect.stringContaining('never runs') },
    ],
    [
      [
        ['regex', 'a x'],
        ['exclude', 'b y'],
      ],
      { key: 'exclude', index: 0, level: 'warning' },
    ],
    [
      [['regex', 'a x(?=y)']],
      {
        key: 'regex',
        index: 0,
        level: 'warning',
        message: expect.stringContaining('first 8192 characters'),
      },
    ],
    [[], { level: 'warning', message: expect.stringContaining('no rule') }],
  ])('%j', (written, problem) => {
    expect(filterProblems(grep, written)).toEqual([expect.objectContaining(problem)]);
  });

  it('finds nothing in good rules', () => {
    expect(
      filterProblems(grep, [
        ['exclude', 'a x'],
        ['exclude', 'b y'],
        ['regex', "$c['d'] z"],
      ]),
    ).toEqual([]);
  });
});
