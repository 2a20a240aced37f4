/** Bodies of bulk requests, whatever the records hold: two lines for each, the document equal to the record. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BulkBody } from '../../../../plugins/shared/bulk/body.ts';
import type { BodyOptions, Cursor } from '../../../../plugins/shared/bulk/body.ts';
import { Batch, ByteSink, Slice, Source } from '../../../../src/plugin.ts';
import type { Rejection } from '../../../../src/plugin.ts';
import { encodeBatch } from '../../../../src/event/chunk.ts';
import { sliceOf } from '../../../contract/support.ts';
import { readsRight } from '../../../support/json-keys.ts';

const OPTIONS: BodyOptions = {
  index: 'logs',
  logstash_format: false,
  logstash_prefix: 'logstash',
  logstash_prefix_separator: '-',
  logstash_prefix_key: undefined,
  logstash_dateformat: '%Y.%m.%d',
  write_operation: 'create',
  id: 'origin',
  id_key: undefined,
  type: '_doc',
  suppress_type_name: true,
  time_key: '@timestamp',
  time_key_format: '%Y-%m-%dT%H:%M:%S',
  time_key_nanos: false,
  include_tag_key: false,
  tag_key: 'flb-key',
  replace_dots: false,
  current_time_index: false,
  bulk_max_size: 1_000_000,
};

/** All bodies of an attempt. */
function bodiesOf(options: Partial<BodyOptions>, slices: readonly Slice[]) {
  const body = new BulkBody({ ...OPTIONS, ...options });
  const cursor: Cursor = { slice: 0, at: 0, index: 0 };
  const rejected: Rejection[] = [];
  const bodies: { text: string; indexes: number[] }[] = [];
  while (cursor.slice < slices.length) {
    const sink = new ByteSink();
    const indexes = body.fill(slices, cursor, sink, rejected);
    if (indexes.length > 0) bodies.push({ text: sink.bytes.toString(), indexes });
  }
  return { bodies, rejected };
}

const pairsOf = (text: string): [Record<string, Record<string, string>>, Record<string, unknown>][] => {
  const lines = text.split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.length % 2).toBe(0);
  return Array.from({ length: lines.length / 2 }, (_, at) => [
    JSON.parse(lines[at * 2] as string) as Record<string, Record<string, string>>,
    JSON.parse(lines[at * 2 + 1] as string) as Record<string, unknown>,
  ]);
};

const records = fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()).filter(readsRight), {
  minLength: 1,
  maxLength: 20,
});

describe('whatever the records hold', () => {
  it('each is an action and a document; every body is within its size, none is missing', () => {
    fc.assert(
      fc.property(
        records,
        fc.string({ unit: 'binary' }),
        fc.integer({ min: 150, max: 2000 }),
        (values, tag, most) => {
          const slice = sliceOf(
            tag,
            values.map((value) => JSON.stringify(value)),
          );
          const options = { bulk_max_size: most, include_tag_key: true, tag_key: 'my tag' };
          const { bodies, rejected } = bodiesOf(options, [slice]);
          const seen = rejected.map(({ index }) => index);
          for (const { text, indexes } of bodies) {
            expect(Buffer.byteLength(text)).toBeLessThanOrEqual(most);
            const pairs = pairsOf(text);
            expect(pairs).toHaveLength(indexes.length);
            for (const [at, [action, document]] of pairs.entries()) {
              expect(Object.keys(action)).toEqual(['create']);
              const index = indexes[at] as number;
              const record = JSON.parse(JSON.stringify(values[index])) as Record<string, unknown>;
              expect(document).toEqual({
                '@timestamp': '2023-11-14T22:13:20.500Z',
                'my tag': tag.toWellFormed(),
                ...record,
              });
              seen.push(index);
            }
          }
          expect(seen.toSorted((a, b) => a - b)).toEqual(values.map((_, index) => index));
        },
      ),
    );
  });

  it('no field ends a line or leaves its place in the action', () => {
    const field = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(field, field, (id, service) => {
        const slice = sliceOf('app', [JSON.stringify({ id, service })]);
        const { bodies, rejected } = bodiesOf({ id_key: 'id', index: 'logs-$service' }, [slice]);
        if (rejected.length > 0) {
          expect(Buffer.byteLength(id)).toBeGreaterThan(512);
          return;
        }
        const [[action, document]] = pairsOf(bodies[0]?.text ?? '') as [
          [Record<string, Record<string, string>>, Record<string, unknown>],
        ];
        expect(Object.keys(action['create'] ?? {})).toEqual(['_index', '_id']);
        expect(action['create']?.['_id']).toBe(id.toWellFormed());
        expect(action['create']?.['_index']).toMatch(/^logs-[^\u0000-\u0020"*\\<|,>/?#:A-Z]*$/);
        expect(document).toMatchObject({ id, service });
      }),
    );
  });
});

describe('ids', () => {
  it('are those of source and position, the same however a chunk is cut', () => {
    const batch = new Batch();
    batch.input = 'in';
    batch.source = new Source('1a4de4aa-4d07-4ceb-81ad-7d9d1fcbb5c5', 0);
    batch.base = 5_000_000_000;
    for (let n = 0; n < 3; n++) batch.push(undefined, `{"n":${n}}`, 1_700_000_000, 0, n * 100, n * 100 + 80);
    const chunk = encodeBatch('app', batch, true, 0);
    const idsOf = (slices: Slice[]): (string | undefined)[] =>
      bodiesOf({}, slices).bodies.flatMap(({ text }) =>
        pairsOf(text).map(([action]) => action['create']?.['_id']),
      );
    const ids = idsOf([new Slice(chunk, 0, 3)]);
    expect(ids).toEqual([
      'Gk3kqk0HTOuBrX2dH8u1xQ.EqBfIA.BQ',
      'Gk3kqk0HTOuBrX2dH8u1xQ.EqBfJk.BQ',
      'Gk3kqk0HTOuBrX2dH8u1xQ.EqBfLI.BQ',
    ]);
    expect(idsOf([new Slice(chunk, 2, 3), new Slice(chunk, 0, 1)])).toEqual([ids[2], ids[0]]);
  });

  it('are left out with id: none, and where there is no origin', () => {
    const slice = sliceOf('app', ['{}']);
    for (const options of [{}, { id: 'none' as const }])
      expect(bodiesOf(options, [slice]).bodies[0]?.text).toContain('{"create":{"_index":"logs"}}\n');
  });
});
