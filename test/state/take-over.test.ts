/** Who gets what other stores have for outputs that are gone (DELIVERY.md, rule 7). */
import { expect, it } from 'vitest';
import { findHeirs } from '../../src/state/take-over.ts';

const map = (entries: Record<string, string>): Map<string, string> => new Map(Object.entries(entries));

it('follows the positions', () => {
  const heirs = findHeirs(
    map({ old: 'http' }),
    map({ first: 'http', second: 'http' }),
    map({ old: 'second' }),
  );
  expect([...heirs]).toEqual([['old', 'second']]);
});

it('else takes one of the same plugin that has nothing of its own', () => {
  const heirs = findHeirs(
    map({ old: 'http', busy: 'http' }),
    map({ busy: 'http', other: 'loki', free: 'http' }),
    map({}),
  );
  expect([...heirs]).toEqual([['old', 'free']]);
});

it('gives two vanished outputs to two heirs, and the third to none', () => {
  const heirs = findHeirs(
    map({ a: 'http', b: 'http', c: 'http' }),
    map({ one: 'http', two: 'http' }),
    map({}),
  );
  expect([...heirs]).toEqual([
    ['a', 'one'],
    ['b', 'two'],
  ]);
});

it('leaves alone what is there', () => {
  expect(findHeirs(map({ a: 'http' }), map({ a: 'http', b: 'http' }), map({})).size).toBe(0);
});
