/** Parts of a chunk that are next to each other, and of which some must be sent again. */
import { expect, it } from 'vitest';
import type { Outcome } from '../../src/event/outcome.ts';
import { pick } from '../../src/delivery/parcel.ts';
import { HeldChunk } from '../../src/delivery/held-chunk.ts';
import { Destination } from './harness.ts';

it('pick keeps parcels of one flight apart that touch', () => {
  const facts = { tag: 'a', input: 'in', records: 9, bytes: 90, arrivedAt: 0 };
  const copy = {
    busy: false,
    becomeOverflow: () => {},
    settle: () => {},
    read: () => Promise.resolve(undefined),
  };
  const held = HeldChunk.ofDisk(1, facts, copy, { charge: () => {}, gone: () => {} });
  const flight = held.launch('out', [[0, 9]]);
  const parcel = (from: number, to: number) => ({ flight, from, to, attempts: 0, firstTriedAt: 0 });
  const picked = pick([parcel(0, 2), parcel(4, 5), parcel(5, 9)], [1, 2, 3, 4, 6]);
  expect(picked.map(({ from, to }) => [from, to])).toEqual([
    [1, 2],
    [4, 5],
    [5, 7],
    [8, 9],
  ]);
});

it('records on both sides of where a chunk was cut are sent again, and settle only then', async () => {
  // The destination refuses 4 and then 4 and 5, which come in one attempt as two parcels.
  const answers: Outcome[] = [{ retry: [4] }, { retry: [0, 1] }];
  const marks: number[] = [];
  const sink: Destination = new Destination(
    () => {
      marks.push(sink.source.progress('out').mark);
      return answers.shift() ?? {};
    },
    { limits: { bytes: 1_000_000, records: 5 } },
  );
  sink.write('a', 9);
  await sink.queue.idle();
  expect(sink.attempts).toEqual([
    ['a:0', 'a:1', 'a:2', 'a:3', 'a:4'],
    ['a:4', 'a:5', 'a:6', 'a:7', 'a:8'],
    ['a:4', 'a:5'],
  ]);
  expect(marks).toEqual([0, 40, 40]);
  expect(sink.source.progress('out').mark).toBe(90);
  expect(sink.ledger.delivered.value).toBe(9);
  await sink.queue.halt();
  expect(sink.memory.used).toBe(0);
  expect(sink.balance.in).toBe(sink.balance.out);
});
