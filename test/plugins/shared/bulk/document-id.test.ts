import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  MAX_POSITION_LENGTH,
  sourcePart,
  writePosition,
} from '../../../../plugins/shared/bulk/document-id.ts';

const position = (start: number, length: number): string => {
  const into = Buffer.alloc(64);
  return into.toString('latin1', 0, writePosition(into, 0, start, length));
};

it('is as documented', () => {
  expect(sourcePart('1a4de4aa-4d07-4ceb-81ad-7d9d1fcbb5c5') + position(4_000_000_000, 120)).toBe(
    'Gk3kqk0HTOuBrX2dH8u1xQ.DuaygA.B4',
  );
});

it('two positions have one text only when they are the same, and none is too long', () => {
  const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const length = fc.integer({ min: 0, max: 2 ** 31 });
  fc.assert(
    fc.property(number, length, number, length, (a, b, c, d) => {
      expect(position(a, b) === position(c, d)).toBe(a === c && b === d);
      expect(position(a, b).length).toBeLessThanOrEqual(MAX_POSITION_LENGTH);
      expect(position(a, b)).toMatch(/^\.[\w-]+\.[\w-]+$/);
    }),
  );
});

it('a source that has another kind of id stays inside its string', () => {
  expect(sourcePart('a"b\n')).toBe('a\\"b\\n');
});
