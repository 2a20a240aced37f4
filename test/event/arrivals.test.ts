import { expect, it } from 'vitest';
import { Arrivals } from '../../src/event/arrivals.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch, Slice } from '../../src/event/chunk.ts';
import { Source } from '../../src/event/source.ts';

function batchOf(count: number, source?: Source): Batch {
  const batch = new Batch();
  batch.source = source;
  for (let i = 0; i < count; i++) batch.push({ i }, undefined, 0, 0, i * 10, i * 10 + 10);
  return batch;
}

const origins = (arrivals: Arrivals, batch: Batch): unknown[] => {
  const slice = new Slice(encodeBatch('t', batch, true, 0, arrivals), 0, batch.length);
  return Array.from({ length: batch.length }, (_, index) => slice.origin(index));
};

it('numbers the records that have no source, on from batch to batch', () => {
  const arrivals = new Arrivals();
  const { id: source } = arrivals;
  expect(origins(arrivals, batchOf(2))).toEqual([
    { source, start: 0, stop: 1 },
    { source, start: 1, stop: 2 },
  ]);
  expect(origins(arrivals, batchOf(1))).toEqual([{ source, start: 2, stop: 3 }]);
  expect(new Arrivals().id).not.toBe(source);
});

it('leaves the origins of a source alone', () => {
  expect(origins(new Arrivals(), batchOf(2, new Source('s', 0)))).toEqual([
    { source: 's', start: 0, stop: 10 },
    { source: 's', start: 10, stop: 20 },
  ]);
});
