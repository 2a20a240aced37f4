import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonReader } from '../../../../plugins/shared/socket-records/json-reader.ts';
import { LineReader } from '../../../../plugins/shared/socket-records/line-reader.ts';
import { RecordSettings, RecordSink } from '../../../../plugins/shared/socket-records/record-sink.ts';
import type { Emit } from '../../../../src/plugin.ts';
import { Collector, inputContext } from '../../inputs/collecting.ts';

type Reader = JsonReader | LineReader;

/** Reads a stream that comes in these pieces, as a connection does. */
function through(make: (sink: RecordSink) => Reader, pieces: readonly (string | Buffer)[]) {
  const collector = new Collector();
  let incomplete = 0;
  const context = { ...inputContext(), drop: () => void incomplete++ };
  const settings = new RecordSettings({ parser: undefined, sourceKey: undefined }, context);
  const texts: string[] = [];
  const emit: Emit = (tag, batch) => {
    for (let index = 0; index < batch.length; index++) texts.push(batch.json(index));
    return collector.emit(tag, batch);
  };
  const sink = new RecordSink(settings, () => emit);
  const reader = make(sink);
  let kept = Buffer.alloc(0);
  for (const piece of pieces) {
    const bytes = Buffer.concat([kept, Buffer.from(piece)]);
    const taken = reader.read(bytes);
    void sink.flush();
    kept = Buffer.from(bytes.subarray(taken));
    // Memory is used again.
    bytes.fill('#');
  }
  const left = kept.length;
  reader.end(kept);
  void sink.flush();
  const count = (name: string): number =>
    context.metrics.counter(`tailrace_input_${name}`, '').sum({ name: 'input.0' });
  return {
    records: collector.records,
    texts,
    flags: collector.events.map(({ metadata }) => metadata),
    incomplete,
    left,
    unparsed: count('unparsed_records_total'),
    cut: count('long_lines_total'),
  };
}

const json =
  (limit = 1000) =>
  (sink: RecordSink): Reader =>
    new JsonReader(sink, limit);
const lines =
  (separator = '\n', limit = 1000) =>
  (sink: RecordSink): Reader =>
    new LineReader(sink, { separator: Buffer.from(separator), limit, staysInMemory: true });

/** Cuts bytes in pieces of these sizes, over and over. */
function cutIn(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = sizes[pieces.length % sizes.length] as number;
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

describe('JSON', () => {
  it.each<[string, string[], unknown[]]>([
    [
      'maps and lists, with or without anything between',
      ['{"a":1}{"b":2} [1,{"c":3}]\n\n{},{"d":4}\r\n'],
      [{ a: 1 }, { b: 2 }, { msg: [1, { c: 3 }] }, {}, { d: 4 }],
    ],
    ['values over several lines', ['{\n "a": 1,\n "b": [\n2]\n}\n{"c":3}'], [{ a: 1, b: [2] }, { c: 3 }]],
    [
      'values that are cut anywhere',
      ['{"a', '":"{\\', '"', '}', '"}{"b', '":', '1}'],
      [{ a: '{"}' }, { b: 1 }],
    ],
    [
      'lines that are none',
      ['hello {"a":1}\n{"b":2}\n42\n'],
      [{ log: 'hello {"a":1}' }, { b: 2 }, { log: '42' }],
    ],
    [
      'brackets that hold no JSON',
      ['{"a"x}\n{"b":2}{c}{"d":4}\n'],
      [{ log: '{"a"x}' }, { b: 2 }, { log: '{c}' }, { d: 4 }],
    ],
    [
      'a value that breaks off, and what broke it',
      ['{"a":\n', '{"b":2}\n{"c":3}\n'],
      [{ log: '{"a":' }, { log: '{"b":2}' }, { c: 3 }],
    ],
    ['a string that does not end', ['{"a":"x\n{"b":2}\n'], [{ log: '{"a":"x' }, { b: 2 }]],
    [
      'a string that does not end, on a later line',
      ['{\n"a":"x\n{"b":2}\n'],
      [{ log: '{' }, { log: '"a":"x' }, { b: 2 }],
    ],
    ['two keys without a comma', ['{"a":1 "b":2}\n{"c":3}\n'], [{ log: '{"a":1 "b":2}' }, { c: 3 }]],
    [
      'brackets of the wrong kind',
      ['{"a":1]\n[1}\n{"c":3}\n'],
      [{ log: '{"a":1]' }, { log: '[1}' }, { c: 3 }],
    ],
    ['closing brackets', ['}}]\n{"c":3}\n'], [{ log: '}}]' }, { c: 3 }]],
    ['text that is not ended', ['hello'], [{ log: 'hello' }]],
    [
      'what nests too deep',
      [`${'['.repeat(70)}${']'.repeat(70)}{"b":1}`],
      [{ log: `${'['.repeat(70)}${']'.repeat(70)}` }, { b: 1 }],
    ],
    ['blank lines', ['\n \r\n\t\n'], []],
  ])('%s', (_name, pieces, records) => {
    expect(through(json(), pieces).records).toEqual(records);
    // And all of it, byte by byte.
    expect(through(json(), cutIn(Buffer.from(pieces.join('')), [1])).records).toEqual(records);
  });

  it('keeps the digits of wide numbers, on one line or several', () => {
    const { texts } = through(json(), [
      '{"a":12345678901234567890}[12345678901234567890]{\n"b":12345678901234567890}',
    ]);
    expect(texts).toEqual([
      '{"a":12345678901234567890}',
      '{"msg":[12345678901234567890]}',
      '{"b":12345678901234567890}',
    ]);
  });

  it('does not wait for anything behind a value', () => {
    expect(through(json(), ['{"a":1}']).left).toBe(0);
  });

  it('drops and counts what a connection ends in the middle of', () => {
    expect(through(json(), ['{"a":1}{"b":'])).toMatchObject({ records: [{ a: 1 }], incomplete: 1 });
  });

  it('cuts what is too long, flags it, and goes on behind it', () => {
    const long = `{"a":"${'ü'.repeat(30)}"}`;
    for (const pieces of [[`{"n":1}${long}{"n":2}\n`], cutIn(Buffer.from(`{"n":1}${long}{"n":2}\n`), [3])]) {
      const { records, flags, cut, left } = through(json(20), pieces);
      expect(records).toEqual([{ n: 1 }, { log: long.slice(0, 13) }, { n: 2 }]);
      expect(flags[1]).toEqual({ truncated: true });
      expect([cut, left]).toEqual([1, 0]);
    }
  });

  it('passes over the rest of a long value that breaks, up to the next line', () => {
    for (const size of [1, 7, 1000]) {
      const stream = Buffer.from(`{"a":"${'x'.repeat(50)}\n{"n":1}\n${'y'.repeat(50)}\n{"n":2}\n`);
      const { records } = through(json(20), cutIn(stream, [size]));
      expect(records).toEqual([
        { log: `{"a":"${'x'.repeat(14)}` },
        { n: 1 },
        { log: 'y'.repeat(20) },
        { n: 2 },
      ]);
    }
  });

  it('keeps little, whatever comes', () => {
    for (const noise of ['[', '{"', '"', 'x', '{', ',', '\\', '{"a":\n', '[\n'])
      expect(through(json(100), cutIn(Buffer.from(noise.repeat(5000)), [999])).left).toBeLessThan(1100);
  });

  it('reads any values however they are cut', () => {
    const value = fc.oneof(
      fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }),
      fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 4 }),
    );
    const between = fc.constantFrom('', ' ', '\n', '\r\n', ',', '\n\n');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(value, between, fc.boolean()), { maxLength: 6 }),
        sizes,
        (values, cuts) => {
          const text = values
            .map(([each, gap, isWide]) => JSON.stringify(each, null, isWide ? 2 : 0) + gap)
            .join('');
          const { records, incomplete, unparsed } = through(json(100_000), cutIn(Buffer.from(text), cuts));
          const expected = values.map(([each]) => (Array.isArray(each) ? { msg: each } : each));
          expect(records).toEqual(JSON.parse(JSON.stringify(expected)));
          expect([incomplete, unparsed]).toEqual([0, 0]);
        },
      ),
    );
  });

  it('makes the same of noise however it is cut, and finds the good behind it', () => {
    const noise = fc.string({ unit: fc.constantFrom(...'{}[]",:\\x1 \n'.split('')), maxLength: 60 });
    fc.assert(
      fc.property(noise, sizes, (text, cuts) => {
        const stream = Buffer.from(`${text}\n"\n{"good":1}\n`);
        const whole = through(json(), [stream]);
        expect(through(json(), cutIn(stream, cuts)).records).toEqual(whole.records);
        expect(whole.records.at(-1)).toEqual({ good: 1 });
      }),
    );
  });
});

describe('lines', () => {
  it.each<[string, string, string[], unknown[]]>([
    ['are ended by the separator', '\n', ['a\nb b\n\nc\n'], ['a', 'b b', 'c']],
    ['may be cut anywhere', '\n', ['a', 'b\nc', 'd\n'], ['ab', 'cd']],
    ['keep their carriage return', '\n', ['a\r\n\r\nb\r\n'], ['a\r', '\r', 'b\r']],
    ['end with several bytes', '\r\n', ['a\r\nb\nc\r', '\n\r\nd\r\n'], ['a', 'b\nc', 'd']],
    ['end with several bytes that look alike', 'aab', ['1aaab2a', 'ab3', 'aab'], ['1a', '2', '3']],
  ])('%s', (_name, separator, pieces, texts) => {
    const records = texts.map((log) => ({ log }));
    expect(through(lines(separator), pieces).records).toEqual(records);
    expect(through(lines(separator), cutIn(Buffer.from(pieces.join('')), [1])).records).toEqual(records);
  });

  it('without their end are dropped and counted when the connection ends', () => {
    expect(through(lines(), ['a\nb'])).toMatchObject({ records: [{ log: 'a' }], incomplete: 1 });
    expect(through(lines(), ['a\n'])).toMatchObject({ incomplete: 0, left: 0 });
  });

  it('that are too long are cut between characters, flagged, counted, and passed over', () => {
    for (const separator of ['\n', '|=|']) {
      const stream = Buffer.from(
        ['a', 'ü'.repeat(30), 'b', 'x'.repeat(11), 'y'.repeat(12), ''].join(separator),
      );
      for (const size of [1, 2, 5, 1000]) {
        const { records, flags, cut } = through(lines(separator, 11), cutIn(stream, [size]));
        expect(records).toEqual([
          { log: 'a' },
          { log: 'ü'.repeat(5) },
          { log: 'b' },
          { log: 'x'.repeat(11) },
          { log: 'y'.repeat(11) },
        ]);
        expect(flags.map((flag) => flag?.['truncated'] ?? false)).toEqual([false, true, false, false, true]);
        expect(cut).toBe(2);
      }
    }
  });

  it('are those of the text however it is cut', () => {
    const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'ü', '|', '\0', ' '), maxLength: 20 }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(texts, sizes, (all, cuts) => {
        const { records, left } = through(
          lines('\n'),
          cutIn(Buffer.from(all.map((each) => `${each}\n`).join('')), cuts),
        );
        expect(records).toEqual(all.filter((each) => each !== '').map((log) => ({ log })));
        expect(left).toBe(0);
      }),
    );
  });
});
