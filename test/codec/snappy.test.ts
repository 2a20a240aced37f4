import fc from 'fast-check';
import { compress, uncompress } from 'snappyjs';
import { describe, expect, it } from 'vitest';
import { ByteSink } from '../../src/codec/bytes.ts';
import { compressSnappy, decompressSnappy, SnappyError } from '../../src/codec/snappy.ts';

function compressed(source: Buffer): Buffer {
  const sink = new ByteSink();
  compressSnappy(source, sink);
  return Buffer.from(sink.bytes);
}

/** Repeats and surprises, over several blocks. */
const data = fc
  .array(
    fc.oneof(
      fc.tuple(fc.constantFrom('{"level":"info","message":', 'a', 'abc', '\u0000'), fc.nat(20_000)),
      fc.tuple(fc.string({ unit: 'binary', maxLength: 80 }), fc.constant(1)),
    ),
    { maxLength: 12 },
  )
  .map((parts) => Buffer.from(parts.map(([text, times]) => text.repeat(times)).join('')));

describe('snappy', () => {
  it('is read by another implementation, and reads what that writes', () => {
    fc.assert(
      fc.property(data, (source) => {
        const bytes = compressed(source);
        expect(Buffer.from(uncompress(bytes)).equals(source)).toBe(true);
        expect(decompressSnappy(bytes, source.length).equals(source)).toBe(true);
        expect(decompressSnappy(compress(source), source.length).equals(source)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.each([0, 1, 14, 15, 16, 17, 59, 60, 61, 255, 256, 257, 65_535, 65_536, 65_537, 200_000])(
    'carries %i bytes that do not repeat',
    (length) => {
      let state = 1;
      const source = Buffer.from(
        Array.from({ length }, () => (state = Math.imul(state, 48_271) & 0x7fff_ffff) >>> 8),
      );
      expect(decompressSnappy(compressed(source), length).equals(source)).toBe(true);
    },
  );

  it('makes log lines smaller', () => {
    const source = Buffer.from('{"level":"info","path":"/api/v1/items"}\n'.repeat(1000));
    expect(compressed(source).length).toBeLessThan(source.length / 10);
  });

  it('appends to what is there', () => {
    const sink = new ByteSink();
    sink.text('before');
    compressSnappy(Buffer.from('abc'), sink);
    expect(sink.bytes.toString('latin1')).toBe('before\u0003\u0008abc');
  });

  it('makes nothing longer than the limit, and believes no claim that cannot be', () => {
    const bytes = compressed(Buffer.alloc(100_000));
    expect(() => decompressSnappy(bytes, 99_999)).toThrow(/would be 100000 bytes long; the limit is 99999/);
    expect(() => decompressSnappy(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), 2 ** 40)).toThrow(
      /longer than what came of it can be/,
    );
  });

  it.each([
    ['nothing', []],
    ['an endless length', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a literal that is cut off', [4, 3 << 2, 1, 2]],
    ['a literal with its length cut off', [4, 61 << 2, 3]],
    ['a literal longer than the whole', [1, 1 << 2, 1, 2]],
    ['a copy of nothing', [4, 0b000_000_01, 0]],
    ['a copy from before the start', [8, 0, 1, 0b000_000_01, 9]],
    ['a copy longer than the whole', [3, 0, 1, 0b000_000_01, 1]],
    ['too little', [9, 0, 1]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decompressSnappy(Buffer.from(bytes), 1000)).toThrow(SnappyError);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(decompressSnappy(bytes, 5000).length).toBeLessThanOrEqual(5000);
        } catch (error) {
          expect(error).toBeInstanceOf(SnappyError);
        }
      }),
    );
  });
});
