import { describe, expect, it } from 'vitest';
import parser from '../../../plugins/filters/parser.ts';
import type { LogRecord } from '../../../src/plugin.ts';
import {
  batchOf,
  createFilter,
  filterContext,
  filterContract,
  filterProblems,
  textsOf,
} from '../../contract/filter.ts';
import type { Written } from '../../contract/filter.ts';
import { createParser } from '../parsers/parsing.ts';

const PARSERS = [
  createParser({ name: 'words', format: 'regex', regex: '^(?<a>[^ ]+) (?<b>.+)$' }),
  createParser({ name: 'json', format: 'json' }),
  createParser({
    name: 'time',
    format: 'regex',
    regex: '^(?<time>.*)$',
    time_key: 'time',
    time_format: '%Y-%m-%dT%H:%M:%S.%L',
  }),
];

filterContract(
  parser,
  [
    [
      ['key_name', 'log'],
      ['parser', 'words'],
      ['parser', 'json'],
    ],
    [
      ['key_name', "$log['data']"],
      ['parser', 'json'],
      ['reserve_data', 'on'],
    ],
    [
      ['key_name', '__proto__'],
      ['parser', 'words'],
      ['preserve_key', 'on'],
      ['reserve_data', 'on'],
    ],
  ],
  PARSERS,
);

async function run(written: Written, records: readonly (LogRecord | string)[]) {
  const batch = batchOf(records);
  const context = filterContext(written, PARSERS);
  await (await createFilter(parser, written, context)).process(batch, 'tag');
  return { batch, context, texts: textsOf(batch) };
}

const RECORDS = [
  '{"data":"x y z","extra":1}',
  '{"data":"nomatch","extra":1}',
  '{"extra":"no data"}',
  '{"data":42}',
];

describe('what stays of the record', () => {
  it.each<[string, string, string]>([
    ['off', 'off', '{"a":"x","b":"y z"}'],
    ['off', 'on', '{"a":"x","b":"y z","data":"x y z"}'],
    ['on', 'off', '{"a":"x","b":"y z","extra":1}'],
    ['on', 'on', '{"a":"x","b":"y z","data":"x y z","extra":1}'],
  ])('reserve_data %s, preserve_key %s', async (reserve, preserve, parsed) => {
    const { texts } = await run(
      [
        ['key_name', 'data'],
        ['parser', 'words'],
        ['reserve_data', reserve],
        ['preserve_key', preserve],
      ],
      RECORDS,
    );
    expect(texts).toEqual([parsed, ...RECORDS.slice(1)]);
  });

  it('with an accessor: the nested field is parsed and stays', async () => {
    const written: Written = [
      ['key_name', "$log['data']"],
      ['parser', 'words'],
      ['reserve_data', 'on'],
    ];
    const { texts } = await run(written, ['{"log":{"data":"x y"},"extra":1}']);
    expect(texts).toEqual(['{"a":"x","b":"y","log":{"data":"x y"},"extra":1}']);
  });

  it('a kept field wins over a parsed one of its name', async () => {
    const written: Written = [
      ['key_name', 'log'],
      ['parser', 'json'],
      ['reserve_data', 'on'],
    ];
    const { texts } = await run(written, [{ log: '{"level":"inner","log":"text"}', level: 'outer' }]);
    expect(JSON.parse(texts[0] ?? '')).toEqual({ level: 'outer', log: 'text' });
  });

  it('keeps the digits of wide numbers, parsed ones and others', async () => {
    const written: Written = [
      ['key_name', 'log'],
      ['parser', 'json'],
      ['reserve_data', 'on'],
    ];
    const { texts } = await run(written, [
      '{"log":"{\\"a\\":12345678901234567890}","b":98765432109876543210}',
    ]);
    expect(texts).toEqual(['{"a":12345678901234567890,"b":98765432109876543210}']);
  });
});

it('tries the parsers in order', async () => {
  const written: Written = [
    ['key_name', 'log'],
    ['parser', 'json'],
    ['parser', 'words'],
  ];
  const { texts } = await run(written, [{ log: '{"n": 1}' }, { log: 'one two' }]);
  expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual([{ n: 1 }, { a: 'one', b: 'two' }]);
});

it('takes over the time that the parser finds, and leaves the other', async () => {
  const { batch } = await run(
    [
      ['key_name', 'at'],
      ['parser', 'time'],
    ],
    [{ at: '2017-11-01T22:25:21.648' }, { at: 'never' }],
  );
  expect([...batch.seconds]).toEqual([1_509_575_121, 1]);
  expect([...batch.nanos]).toEqual([648_000_000, 0]);
});

it('counts what no parser takes, and says so once per batch', async () => {
  const { context } = await run(
    [
      ['key_name', 'data'],
      ['parser', 'json'],
    ],
    RECORDS,
  );
  expect(
    context.metrics.counter('tailrace_filter_unparsed_records_total', '').sum({ name: 'filter.0' }),
  ).toBe(3);
  expect(context.log.lines).toEqual([
    {
      level: 'warn',
      fields: { records: 3, reason: 'The field is no text.' },
      message: 'Cannot parse the field of some records; they pass as they are',
    },
  ]);
});

it('the check refuses a wrong accessor', () => {
  expect(
    filterProblems(parser, [
      ['key_name', '$a['],
      ['parser', 'json'],
    ]),
  ).toEqual([{ key: 'key_name', message: expect.stringContaining("['key'] or [0]") }]);
});
