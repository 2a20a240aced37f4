import { decode, Encoder } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteSink } from '../../src/codec/bytes.ts';
import { appendJson } from '../../src/codec/json-msgpack.ts';
import { parseExact } from '../../src/event/json.ts';
import { isRecord } from '../../src/event/record.ts';
import type { Value } from '../../src/event/record.ts';
import { isReadRight } from '../support/json-keys.ts';

/** Between other bytes on both sides, as in a chunk. */
function transcode(text: string): Buffer {
  const sink = new ByteSink();
  sink.byte(0xc1);
  const source = Buffer.from(`7"]${text}\n7"}`);
  appendJson(source, 3, source.length - 4, sink);
  expect(sink.bytes[0]).toBe(0xc1);
  return Buffer.from(sink.bytes.subarray(1));
}

const decoded = (text: string): unknown => decode(transcode(text), { useBigInt64: true });

const encoder = new Encoder({ useBigInt64: true, maxDepth: 1024 });

/** The library's bytes. It would write integers past 32 bits as doubles, unless they are of the big kind. */
function encoded(value: Value): Buffer {
  const wide = (inner: Value): unknown => {
    if (typeof inner === 'number' && Number.isInteger(inner)) {
      return inner >= -(2 ** 31) && inner < 2 ** 32 ? inner : BigInt(inner);
    }
    if (Array.isArray(inner)) return inner.map(wide);
    if (!isRecord(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, wide(each)]));
  };
  return Buffer.from(encoder.encode(wide(value)));
}

const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\u0000', 'ü', '日', '😀', 'x', '/') }),
  fc.nat({ max: 40 }).map((length) => 'y'.repeat(length)),
);
/** Where written with a point they are no whole numbers. */
const numbers = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.integer({ min: -300, max: 70_000 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
  fc.float({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Number.isInteger(value)),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    numbers,
    texts,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      texts.filter((key) => key !== '__proto__' && isReadRight(key)),
      tie('value'),
      { maxKeys: 20 },
    ),
  ),
})).value;

/** JSON of a value in some of the ways it can be written. */
const written = fc.tuple(values, fc.nat({ max: 3 }), fc.boolean()).map(([value, indent, escaped]) => {
  const text = JSON.stringify({ value }, undefined, indent);
  if (!escaped) return text;
  return text.replaceAll(/[^\u0000-\u007f]/g, (unit) => {
    const digits = unit.charCodeAt(0).toString(16).padStart(4, '0');
    return `\\u${indent === 1 ? digits.toUpperCase() : digits}`;
  });
});

describe('appendJson', () => {
  it('writes the bytes that parsing and encoding make', () => {
    fc.assert(
      fc.property(written, (text) => {
        expect(transcode(text)).toEqual(encoded(parseExact(text)));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['0', '00'],
    ['-0', '00'],
    ['127', '7f'],
    ['128', 'cc80'],
    ['256', 'cd0100'],
    ['65536', 'ce00010000'],
    ['4294967296', 'cf0000000100000000'],
    ['-1', 'ff'],
    ['-33', 'd0df'],
    ['-129', 'd1ff7f'],
    ['-32769', 'd2ffff7fff'],
    ['-2147483649', 'd3ffffffff7fffffff'],
    ['18446744073709551615', 'cfffffffffffffffff'],
    ['-9223372036854775808', 'd38000000000000000'],
    ['1.0', 'cb3ff0000000000000'],
    ['-0.0', 'cb8000000000000000'],
    ['1e2', 'cb4059000000000000'],
    ['0.1', 'cb3fb999999999999a'],
    ['""', 'a0'],
    ['[]', '90'],
    ['{}', '80'],
    [' [ true , false , null ] ', '93c3c2c0'],
  ])('%s', (text, bytes) => {
    expect(transcode(text).toString('hex')).toBe(bytes);
  });

  it('keeps what 64 bits and doubles do not hold as text', () => {
    expect(decoded('[18446744073709551616,-9223372036854775809,1e400,-1.5e999]')).toEqual([
      '18446744073709551616',
      '-9223372036854775809',
      '1e400',
      '-1.5e999',
    ]);
  });

  it('reads decimals as JavaScript does', () => {
    const decimal = fc
      .tuple(
        fc.boolean(),
        fc.stringMatching(/^(0|[1-9]\d{0,18})$/),
        fc.stringMatching(/^\d{1,25}$/),
        fc.constantFrom('', 'e5', 'E-7', 'e+20'),
      )
      .map(([minus, whole, decimals, exponent]) => `${minus ? '-' : ''}${whole}.${decimals}${exponent}`);
    fc.assert(
      fc.property(decimal, (text) => {
        expect(decoded(text)).toBe(Number(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('takes texts, lists and maps of every length', () => {
    for (const length of [0, 1, 15, 16, 31, 32, 33, 255, 256, 65_535, 65_536, 70_000]) {
      for (const value of [
        'x'.repeat(length),
        'ü'.repeat(length),
        `${'x'.repeat(length)}"`,
        `"${'x'.repeat(length)}`,
        Array.from({ length }, (_, n) => n),
        Object.fromEntries(Array.from({ length }, (_, n) => [`k${n}`, n])),
      ]) {
        const text = JSON.stringify({ value });
        expect(transcode(text).equals(encoded({ value })), `length ${length}`).toBe(true);
      }
    }
  });

  it('escapes that make a text shorter than its head was made for', () => {
    for (let length = 0; length < 300; length++) {
      const value = `\u0001${'a'.repeat(length)}`;
      expect(decoded(JSON.stringify(value))).toBe(value);
    }
  });

  it('halves of surrogates become replacement characters', () => {
    expect(decoded('"\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\u0041 \\uD83D\\uDE00"')).toBe(
      '😀 \ufffd \ufffd \ufffdA 😀',
    );
  });

  it('a key that stands there twice goes out twice', () => {
    expect(transcode('{"a":1,"a":2}').toString('hex')).toBe('82a16101a16102');
  });

  it('nests', () => {
    const deep = `${'['.repeat(1024)}${']'.repeat(1024)}`;
    expect(transcode(deep).toString('hex')).toBe(`${'91'.repeat(1023)}90`);
    expect(() => transcode(`[${deep}]`)).toThrow('The record nests deeper than 1024.');
  });

  it.each(['', '{', '[1', '}', '{"a"}', '{"a":1', '"a', '"a\\"', '[1}x', '1 2', '@'])(
    'throws for %s, and leaves the sink as it was',
    (text) => {
      const sink = new ByteSink();
      sink.text('before');
      const source = Buffer.from(text);
      expect(() => appendJson(source, 0, source.length, sink)).toThrow('The record is no valid JSON');
      expect(sink.bytes.toString()).toBe('before');
    },
  );
});
