import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ranges } from '../../src/event/ranges.ts';

/** The plainest possible model: a set of numbers. */
function members(ranges: Ranges): number[] {
  const numbers: number[] = [];
  for (const [from, to] of ranges.list) for (let n = from; n < to; n++) numbers.push(n);
  return numbers;
}

const bounds = fc.tuple(fc.nat(40), fc.nat(40)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

describe('Ranges', () => {
  it('behaves like a set of numbers, and stays ordered, disjoint and merged', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), bounds), { maxLength: 30 }), (steps) => {
        const ranges = new Ranges();
        const model = new Set<number>();
        for (const [add, [from, to]] of steps) {
          if (add) {
            ranges.add(from, to);
            for (let n = from; n < to; n++) model.add(n);
          } else {
            let expected = 0;
            for (let n = from; n < to; n++) if (model.delete(n)) expected++;
            expect(ranges.remove(from, to)).toBe(expected);
          }
          expect(members(ranges)).toEqual([...model].toSorted((a, b) => a - b));
          expect(ranges.size).toBe(model.size);
          for (let i = 1; i < ranges.list.length; i++) {
            expect(ranges.list[i]?.[0]).toBeGreaterThan(ranges.list[i - 1]?.[1] as number);
          }
        }
      }),
    );
  });

  it('covers exactly what was added', () => {
    fc.assert(
      fc.property(fc.array(bounds, { maxLength: 10 }), bounds, (added, [from, to]) => {
        const ranges = new Ranges(added);
        const inside = new Set(members(ranges));
        let all = true;
        for (let n = from; n < to; n++) all &&= inside.has(n);
        expect(ranges.covers(from, to)).toBe(all);
      }),
    );
  });
});
