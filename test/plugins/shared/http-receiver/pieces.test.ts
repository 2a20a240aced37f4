import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Pieces } from '../../../../plugins/shared/http-receiver/pieces.ts';

it('gives back what was put in, however it was cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 10_000 })), { maxLength: 200 }),
      (lengths) => {
        const pieces = new Pieces();
        const whole = lengths.map((length, index) => Buffer.alloc(length, index));
        for (const piece of whole) pieces.add(piece);
        expect(pieces.join().equals(Buffer.concat(whole))).toBe(true);
      },
    ),
  );
});

it('of many small pieces none is kept, nor the memory that it lies in', () => {
  const pieces = new Pieces();
  for (let piece = 0; piece < 100_000; piece++) {
    const block = Buffer.from('xy');
    pieces.add(block.subarray(0, 1));
    if (piece >= 16) block.fill(0);
  }
  expect(pieces.join().equals(Buffer.alloc(100_000, 'x'))).toBe(true);
});
