/** Who gets what other stores have for outputs that are gone (DELIVERY.md, rule 7). */
import { expect, it } from 'vitest';
import { findHeirs } from '../../src/state/take-over.ts';

const map = (entries: Record<string, string>): Map<string, string> => new Map(Object.entries(entries));

it('follows the positions', () => {
  const heirs = findHeirs(
    map({ old: 'http' }),
    map({ first: 'http', second: 'http' }),
    map({ old: 'second' }),
    undefined,
  );
  expect([...heirs]).toEqual([['old', 'second']]);
});

it('else takes a new one of the same plugin', () => {
  const heirs = findHeirs(
    map({ old: 'http' }),
    map({ beside: 'http', other: 'loki', fresh: 'http' }),
    map({}),
    map({ old: 'http', beside: 'http' }),
  );
  expect([...heirs]).toEqual([['old', 'fresh']]);
});

it('takes none that was there beside it, and none when nobody knows', () => {
  const present = map({ beside: 'http' });
  expect(findHeirs(map({ old: 'http' }), present, map({}), map({ old: 'http', beside: 'http' })).size).toBe(
    0,
  );
  expect(findHeirs(map({ old: 'http' }), present, map({}), undefined).size).toBe(0);
});

it('gives two vanished outputs to two heirs, and the third to none', () => {
  const heirs = findHeirs(
    map({ a: 'http', b: 'http', c: 'http' }),
    map({ one: 'http', two: 'http' }),
    map({}),
    map({}),
  );
  expect([...heirs]).toEqual([
    ['a', 'one'],
    ['b', 'two'],
  ]);
});

it('leaves alone what is there', () => {
  expect(findHeirs(map({ a: 'http' }), map({ a: 'http', b: 'http' }), map({}), map({})).size).toBe(0);
});
