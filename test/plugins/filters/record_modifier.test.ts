import { describe, expect, it } from 'vitest';
import recordModifier from '../../../plugins/filters/record_modifier.ts';
import { batchOf, createFilter, filterContract, filterProblems, runFilter } from '../../contract/filter.ts';
import type { Written } from '../../contract/filter.ts';

filterContract(recordModifier, [
  [
    ['record', '__proto__ x'],
    ['record', 'host name'],
  ],
  [['remove_key', 'log']],
  [
    ['allowlist_key', 'LOG'],
    ['allowlist_key', 'co*'],
    ['uuid_key', 'id'],
    ['record', "copy $log['data']"],
  ],
]);

function run(written: Written, ...records: string[]): Promise<string[]> {
  return runFilter(recordModifier, written, records);
}

describe('record', () => {
  it('adds fields in order to the text as it came', async () => {
    const written: Written = [
      ['record', 'host web-1'],
      ['record', '"a key" a value with spaces'],
    ];
    expect(await run(written, '{ "n": 1.0 }')).toEqual([
      '{ "n": 1.0 ,"host":"web-1","a key":"a value with spaces"}',
    ]);
    expect(await run(written, '{}')).toEqual(['{"host":"web-1","a key":"a value with spaces"}']);
    expect(await run(written, '{ }')).toEqual(['{ "host":"web-1","a key":"a value with spaces"}']);
  });

  it('replaces a field of that name', async () => {
    expect(await run([['record', 'a new']], '{"a":1,"b":2}')).toEqual(['{"a":"new","b":2}']);
  });

  it('copies the field that a record accessor names, and adds nothing if it is missing', async () => {
    const written: Written = [['record', "c $a['b'][0]"]];
    expect(await run(written, '{"a":{"b":[12345678901234567890]}}', '{"a":1}')).toEqual([
      '{"a":{"b":[12345678901234567890]},"c":12345678901234567890}',
      '{"a":1}',
    ]);
  });

  it.each(['$5.00', 'a $b', '$a and $b', '"$a"'])('takes %s for text', async (value) => {
    const [text] = await run([['record', `c ${value}`]], '{"a":1}');
    expect(JSON.parse(text ?? '')).toEqual({ a: 1, c: value.replaceAll('"', '') });
  });
});

describe('remove_key and allowlist_key', () => {
  it('match in any case, a star at the end stands for any rest', async () => {
    expect(
      await run(
        [
          ['remove_key', 'MEM*'],
          ['remove_key', 'Swap'],
        ],
        '{"Mem.total":1,"mem":2,"swap":3,"swap2":4}',
      ),
    ).toEqual(['{"swap2":4}']);
    expect(
      await run(
        [
          ['allowlist_key', 'mem*'],
          ['whitelist_key', 'X'],
        ],
        '{"Mem.total":1,"x":2,"y":3}',
      ),
    ).toEqual(['{"Mem.total":1,"x":2}']);
  });

  it('act before fields are added', async () => {
    expect(
      await run(
        [
          ['record', 'b new'],
          ['allowlist_key', 'a'],
        ],
        '{"a":1,"b":2}',
      ),
    ).toEqual(['{"a":1,"b":"new"}']);
  });

  it('drop records that lose their last field, but none that came empty', async () => {
    expect(await run([['remove_key', 'a']], '{"a":1}', '{"b":1}', '{}', '{"a":2}')).toEqual([
      '{"b":1}',
      '{}',
    ]);
    expect(
      await run(
        [
          ['remove_key', 'a'],
          ['record', 'b c'],
        ],
        '{"a":1}',
      ),
    ).toEqual(['{"b":"c"}']);
    expect(
      await run(
        [
          ['remove_key', 'a'],
          ['record', 'b $x'],
        ],
        '{"a":1}',
      ),
    ).toEqual([]);
  });

  it('keep the digits of wide numbers', async () => {
    expect(await run([['remove_key', 'a']], '{"a":1,"n":12345678901234567890}')).toEqual([
      '{"n":12345678901234567890}',
    ]);
  });

  it('forget between batches which records were emptied', async () => {
    const filter = await createFilter(recordModifier, [['remove_key', 'a']]);
    await filter.process(batchOf(['{"a":1}']), 'tag');
    const second = batchOf(['{}']);
    await filter.process(second, 'tag');
    expect(second.length).toBe(1);
  });
});

it('uuid_key adds another UUID to every record', async () => {
  const texts = await run([['uuid_key', 'id']], '{"a":1}', '{"a":2}');
  const ids = texts.map((text) => (JSON.parse(text) as { id: string }).id);
  expect(ids[0]).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  expect(new Set(ids).size).toBe(2);
});

describe('check', () => {
  it.each<[Written, Record<string, unknown>]>([
    [
      [
        ['record', 'a b'],
        ['record', 'lonely'],
      ],
      {
        key: 'record',
        index: 1,
        message: '"lonely" is not a field: write KEY VALUE, with a space in between.',
      },
    ],
    [[['record', '"a b']], { key: 'record', index: 0, message: expect.stringContaining('not closed') }],
    [
      [
        ['remove_key', 'a'],
        ['whitelist_key', 'b'],
      ],
      { key: 'allowlist_key', message: 'remove_key and allowlist_key exclude each other: keep one of them.' },
    ],
  ])('%j', (written, problem) => {
    expect(filterProblems(recordModifier, written)).toEqual([expect.objectContaining(problem)]);
  });
});
