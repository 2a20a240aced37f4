import { Encoder, ExtData } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteSink } from '../../src/codec/bytes.ts';
import { appendAsJson } from '../../src/codec/msgpack-json.ts';
import { MsgpackError, MsgpackReader } from '../../src/codec/msgpack-reader.ts';
import { valueToJson } from '../../src/event/json.ts';
import { isReadRight } from '../support/json-keys.ts';

const encoder = new Encoder({ useBigInt64: true, maxDepth: 200 });

function transcode(bytes: Uint8Array): string {
  const sink = new ByteSink();
  const reader = new MsgpackReader(Buffer.from(bytes));
  appendAsJson(reader, sink);
  expect(reader.peek()).toBe('end');
  return sink.bytes.toString();
}

const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom('"', '\\', '\n', '\u0000', '\u007f', '\u2028', 'ü', '😀', 'x', '/'),
    maxLength: 120,
  }),
);
const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.integer({ min: -300, max: 70_000 }),
    fc.maxSafeInteger(),
    fc.double(),
    fc.float(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    texts,
    fc.uint8Array({ maxLength: 100 }),
    fc
      .tuple(fc.integer({ min: -128, max: 127 }), fc.uint8Array({ maxLength: 20 }))
      .map(([type, data]) => new ExtData(type, data)),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      texts.filter((key) => key !== '__proto__' && isReadRight(key)),
      tie('value'),
      { maxKeys: 20 },
    ),
  ),
})).value;

describe('appendAsJson', () => {
  it('writes what reading and writing makes', () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = Buffer.from(encoder.encode({ value }));
        let expected: string | undefined;
        try {
          expected = valueToJson(new MsgpackReader(bytes).read());
        } catch (error) {
          // A time beyond its second.
          expect(error).toBeInstanceOf(MsgpackError);
          expect(() => transcode(bytes)).toThrow(MsgpackError);
          return;
        }
        // Keys like whole numbers are put in front by an object.
        expect(JSON.parse(transcode(bytes))).toEqual(JSON.parse(expected));
        expect(transcode(bytes)).toHaveLength(expected.length);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses what the reader refuses, whatever the bytes', () => {
    const changed = fc
      .tuple(values, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }))
      .map(([value, changes]) => {
        const bytes = Buffer.from(encoder.encode([value]));
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(
        fc.oneof(
          changed,
          fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          const attempt = (act: (reader: MsgpackReader) => void): number => {
            const reader = new MsgpackReader(bytes);
            try {
              act(reader);
              return reader.offset;
            } catch (error) {
              expect(error).toBeInstanceOf(MsgpackError);
              return -1;
            }
          };
          expect(attempt((reader) => appendAsJson(reader, new ByteSink()))).toBe(
            attempt((reader) => void reader.read()),
          );
        },
      ),
      { numRuns: 3000 },
    );
  });

  it.each([
    ['00', '0'],
    ['7f', '127'],
    ['cc80', '128'],
    ['cdffff', '65535'],
    ['ceffffffff', '4294967295'],
    ['cfffffffffffffffff', '18446744073709551615'],
    ['ff', '-1'],
    ['d38000000000000000', '-9223372036854775808'],
    ['cb3ff0000000000000', '1'],
    ['cb7ff8000000000000', 'null'],
    ['ca3f000000', '0.5'],
    ['c0', 'null'],
    ['c3', 'true'],
    ['a2c328', '"\ufffd("'],
    ['c40161', '"a"'],
    ['c7030a010203', '"AQID"'],
    ['d7000000000500000006', '5.000000006'],
    ['8201020300', '{"1":2,"3":0}'],
    ['82a16101a16102', '{"a":1,"a":2}'],
    ['a5220a1f5c2f', '"\\"\\n\\u001f\\\\/"'],
  ])('%s', (bytes, text) => {
    expect(transcode(Buffer.from(bytes, 'hex'))).toBe(text);
  });

  it('takes texts of every length, with and without escapes', () => {
    for (const length of [0, 1, 31, 32, 47, 48, 49, 255, 256, 70_000, 200_000]) {
      for (const value of ['x'.repeat(length), '\u0001'.repeat(length), `${'ü'.repeat(length)}"`]) {
        expect(transcode(encoder.encode(value))).toBe(JSON.stringify(value));
      }
    }
  });

  it('is bounded in depth', () => {
    const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([0xc0])]);
    expect(transcode(nested(64))).toBe(`${'['.repeat(64)}null${']'.repeat(64)}`);
    expect(() => transcode(nested(65))).toThrow('Lists and maps nest deeper than 64');
  });
});
