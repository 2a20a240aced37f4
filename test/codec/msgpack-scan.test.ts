import { Encoder, ExtData } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MsgpackScanner } from '../../src/codec/msgpack-scan.ts';

const encoder = new Encoder({ useBigInt64: true });
const pack = (value: unknown): Buffer => Buffer.from(encoder.encode(value));

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(fc.integer({ min: -128, max: 127 }), fc.uint8Array({ minLength: 1, maxLength: 20 }))
      .map(([type, data]) => new ExtData(type, data)),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20 },
    ),
  ),
})).value;

describe('MsgpackScanner', () => {
  it('finds the ends of values, however their bytes arrive', () => {
    fc.assert(
      fc.property(
        fc.array(values, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 50 }),
        (given, step) => {
          const parts = given.map(pack);
          const bytes = Buffer.concat(parts);
          const scanner = new MsgpackScanner(1_000_000);
          const ends: number[] = [];
          let start = 0;
          for (let there = step; ends.length < parts.length; there = Math.min(there + step, bytes.length)) {
            const end = scanner.end(bytes.subarray(0, there), start);
            if (end === -1) {
              expect(scanner.least).toBeLessThanOrEqual(bytes.length - start);
              continue;
            }
            ends.push(end);
            start = end;
            expect(scanner.least).toBe(0);
            // What is there already may hold the next one.
            there -= step;
          }
          let sum = 0;
          expect(ends).toEqual(parts.map(({ length }) => (sum += length)));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('reads every length', () => {
    for (const length of [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      for (const value of [
        'x'.repeat(length),
        new Uint8Array(length),
        Array.from({ length }, () => 1),
        new ExtData(5, new Uint8Array(length)),
      ]) {
        const bytes = pack(value);
        const scanner = new MsgpackScanner(bytes.length);
        expect(scanner.end(bytes.subarray(0, -1), 0)).toBe(-1);
        expect(scanner.end(bytes, 0)).toBe(bytes.length);
      }
    }
  });

  it('knows a value over the limit by its head', () => {
    for (const head of [
      'c6ffffffff',
      'dbffffffff',
      'ddffffffff',
      'dfffffffff',
      'c9ffffffff',
      '92c0c60000ffff',
      'dc0065',
    ]) {
      expect(() => new MsgpackScanner(100).end(Buffer.from(head, 'hex'), 0)).toThrow(
        'The message has more than 100 bytes.',
      );
    }
    expect(new MsgpackScanner(101).end(Buffer.from('dc0062', 'hex'), 0)).toBe(-1);
  });

  it('throws for the byte without meaning', () => {
    expect(() => new MsgpackScanner(100).end(Buffer.from('92c0c1', 'hex'), 0)).toThrow(
      'The byte 0xc1 has no meaning',
    );
  });
});
