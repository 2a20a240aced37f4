import { encode, Encoder, ExtData } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteSink } from '../../src/codec/bytes.ts';
import { appendAsJson } from '../../src/codec/msgpack-json.ts';
import { MsgpackError, MsgpackReader } from '../../src/codec/msgpack-reader.ts';
import type { Value } from '../../src/event/record.ts';
import { isReadRight } from '../support/json-keys.ts';

const read = (bytes: Uint8Array | number[]): Value => new MsgpackReader(Buffer.from(bytes)).read();

describe('MsgpackReader', () => {
  it('reads what the library writes', () => {
    const value = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
        fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
        fc.string({ unit: 'binary' }),
        fc.array(tie('value'), { maxLength: 20 }),
        fc.dictionary(
          fc.string().filter((key) => key !== '__proto__' && isReadRight(key)),
          tie('value'),
          { maxKeys: 20 },
        ),
      ),
    })).value;
    fc.assert(
      fc.property(value, (given) => {
        const expected: unknown = JSON.parse(JSON.stringify({ given }));
        const got = read(encode({ given }));
        expect(JSON.parse(JSON.stringify(got))).toEqual(expected);
      }),
    );
  });

  it('keeps 64-bit integers exact', () => {
    const encoder = new Encoder({ useBigInt64: true });
    for (const value of [2n ** 64n - 1n, -(2n ** 63n), 2n ** 53n])
      expect(read(encoder.encode(value))).toBe(value);
    expect(read(encoder.encode(5n))).toBe(5);
    expect(read(encoder.encode(-(2n ** 53n - 1n)))).toBe(-(2 ** 53 - 1));
  });

  it('reads every length of lists, maps, texts and binary data', () => {
    for (const length of [0, 15, 16, 40, 300, 70_000]) {
      expect(read(encode('x'.repeat(length)))).toHaveLength(length);
      expect(read(encode(Buffer.from('y'.repeat(length))))).toBe('y'.repeat(length));
      expect(read(encode(Array.from({ length }, () => 1)))).toHaveLength(length);
      const map = Object.fromEntries(Array.from({ length }, (_, key) => [`k${key}`, key]));
      expect(read(encode(map))).toEqual(map);
    }
  });

  it.each<[string, Buffer]>([
    ['map', Buffer.from([0x81])],
    ['list', Buffer.from([0x92, 0xc0])],
  ])(
    'a %s as a key is its JSON, and has no such key itself: 64 of them would come to gigabytes',
    (_kind, head) => {
      const nested = (depth: number): Buffer =>
        Buffer.concat([
          ...Array.from({ length: depth }, () => Buffer.concat([Buffer.from([0x81]), head])),
          Buffer.alloc(2 * depth + 3),
        ]);
      const tooDeep = nested(40);
      expect(() => new MsgpackReader(tooDeep).read()).toThrow(MsgpackError);
      expect(() => appendAsJson(new MsgpackReader(tooDeep), new ByteSink())).toThrow(/has such a key itself/);
    },
  );

  it('tells of the lists and maps that it makes, and of their items, before there are many', () => {
    const told = (bytes: Buffer): number => {
      let containers = 0;
      new MsgpackReader(bytes, { built: (more) => void (containers += more) }).read();
      return containers;
    };
    const head = Buffer.from([0xdd, 0, 0, 0x27, 0x10]);
    expect(told(Buffer.concat([head, Buffer.alloc(10_000, 0x80)]))).toBeGreaterThan(10_000);
    expect(told(Buffer.concat([head, Buffer.alloc(10_000, 0xc0)]))).toBeGreaterThan(2000);
    expect(told(Buffer.from([0x81, 0xa1, 0x61, 1]))).toBe(0);
  });

  it('reads keys that JavaScript has ideas about, and keys that are no text', () => {
    const map = read([0x82, 0xa9, ...Buffer.from('__proto__'), 0x01, 0x07, 0x02]);
    expect(JSON.stringify(map)).toBe('{"7":2,"__proto__":1}');
    expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
  });

  it('reads times', () => {
    const time = (bytes: Uint8Array): [number, number] => {
      const reader = new MsgpackReader(Buffer.from(bytes));
      reader.readTime();
      return [reader.seconds, reader.nanos];
    };
    const event = Buffer.alloc(8);
    event.writeUInt32BE(1_700_000_000);
    event.writeUInt32BE(999_999_999, 4);
    expect(time(encode(new ExtData(0, event)))).toEqual([1_700_000_000, 999_999_999]);
    expect(time(encode(new Date(1_700_000_000_000)))).toEqual([1_700_000_000, 0]);
    expect(time(encode(new Date(1_700_000_000_123)))).toEqual([1_700_000_000, 123_000_000]);
    expect(time(encode(new Date(-1500)))).toEqual([-2, 500_000_000]);
    expect(time(encode(-1.25))).toEqual([-2, 750_000_000]);
    expect(() => time(encode('x'))).toThrow(MsgpackError);
    expect(() => time(encode(Number.NaN))).toThrow(MsgpackError);
    expect(() => time(encode(new ExtData(0, Buffer.alloc(8, 0xff))))).toThrow(/more than a second/);
    expect(read(encode({ at: new Date(1500) }))).toEqual({ at: 1.5 });
    expect(read(encode(new ExtData(9, Buffer.from('abc'))))).toBe('YWJj');
  });

  it('allocates nothing by a length that is not there, and bounds depth', () => {
    for (const head of [0xdd, 0xdf, 0xdb, 0xc6]) {
      expect(() => read([head, 0xff, 0xff, 0xff, 0xff, 0x01])).toThrow(MsgpackError);
    }
    expect(read([...Array.from({ length: 63 }, () => 0x91), 0x90])).toHaveLength(1);
    expect(() => read([...Array.from({ length: 100_000 }, () => 0x91), 0x90])).toThrow(/nest deeper than 64/);
    expect(() => read([0xc1])).toThrow(/0xc1/);
    expect(() => read([])).toThrow(/end in the middle/);
  });

  it('throws nothing but its own error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const reader = new MsgpackReader(Buffer.from(bytes));
        try {
          while (reader.peek() !== 'end') reader.read();
        } catch (error) {
          expect(error).toBeInstanceOf(MsgpackError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
