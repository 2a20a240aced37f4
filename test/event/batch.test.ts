import { describe, expect, it } from 'vitest';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch, Slice } from '../../src/event/chunk.ts';

function linesBatch(text: string, key = 'log'): Batch {
  const batch = new Batch();
  batch.useLines(key, { slice: (start, stop) => text.slice(start, stop) });
  let at = 0;
  for (const line of text.split('\n')) {
    batch.pushLine(1, 2, at, at + line.length, at, at + line.length + 1);
    at += line.length + 1;
  }
  return batch;
}

function jsonOf(batch: Batch): string[] {
  return Array.from({ length: batch.length }, (_, index) => batch.json(index));
}

describe('Batch', () => {
  it('writes raw lines without making objects, and makes objects when asked', () => {
    const batch = linesBatch('a "quoted" line\nümlaut', 'message');
    expect(jsonOf(batch)).toEqual(['{"message":"a \\"quoted\\" line"}', '{"message":"ümlaut"}']);
    expect(batch.record(1)).toEqual({ message: 'ümlaut' });
  });

  it('keeps the text of a record that nobody changed', () => {
    const batch = new Batch();
    batch.push({ a: 1 }, '{ "a" : 1.0 }', 0, 0);
    expect(batch.record(0)).toEqual({ a: 1 });
    expect(batch.json(0)).toBe('{ "a" : 1.0 }');
  });

  it('rule 18: splices a constant member, also into {} and not beside a key that is there', () => {
    const batch = new Batch();
    batch.push({}, '{}', 0, 0);
    batch.push({ a: 1 }, '{"a":1}', 0, 0);
    batch.push({ a: 1, host: 'x' }, '{"a":1,"host":"x"}', 0, 0);
    for (let i = 0; i < 3; i++) batch.set(i, 'host', 'h', '"host":"h"');
    expect(jsonOf(batch)).toEqual(['{"host":"h"}', '{"a":1,"host":"h"}', '{"a":1,"host":"h"}']);
    expect(batch.record(0)).toEqual({ host: 'h' });
  });

  it('splices a constant member into the text of a line, without its record', () => {
    const batch = linesBatch('one\ntwo "host":1');
    for (let i = 0; i < 2; i++) batch.set(i, 'host', 'h', '"host":"h"');
    expect(jsonOf(batch)).toEqual(['{"log":"one","host":"h"}', '{"log":"two \\"host\\":1","host":"h"}']);
    expect(batch.record(1)).toEqual({ log: 'two "host":1', host: 'h' });
    const own = linesBatch('x', 'host');
    own.set(0, 'host', 'h', '"host":"h"');
    expect(jsonOf(own)).toEqual(['{"host":"h"}']);
  });

  it('writes a record on demand, so that members are spliced into it', () => {
    const shared = Object.freeze({ a: 1 });
    const batch = new Batch();
    batch.push({ log: 'x' }, undefined, 0, 0);
    batch.write(0);
    // A text that is not that of the value shows that it was spliced.
    batch.set(0, 'k', shared, '"k":{"a":1.0}');
    expect(jsonOf(batch)).toEqual(['{"log":"x","k":{"a":1.0}}']);
    expect(batch.record(0)).toEqual({ log: 'x', k: { a: 1 } });
    batch.edit(0)['log'] = 'y';
    batch.write(0);
    expect(jsonOf(batch)).toEqual(['{"log":"y","k":{"a":1}}']);
  });

  it('keeps the digits of integers past 2^53, spliced or re-serialised', () => {
    const batch = new Batch();
    const text = '{"id":9007199254740993,"big":1e400}';
    batch.push(JSON.parse(text), text, 0, 0);
    batch.push(JSON.parse(text), text, 0, 0);
    batch.set(0, 'k', 1, '"k":1');
    batch.edit(1)['k'] = 1;
    expect(batch.json(0)).toBe('{"id":9007199254740993,"big":1e400,"k":1}');
    expect(batch.json(1)).toBe('{"id":9007199254740993,"big":"1e400","k":1}');
  });

  it('treats __proto__ as an ordinary key', () => {
    const batch = new Batch();
    const text = '{"__proto__":{"admin":true}}';
    batch.push(JSON.parse(text), text, 0, 0);
    batch.set(0, '__proto__', 'x');
    expect(batch.json(0)).toBe('{"__proto__":"x"}');
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it('keeps columns together when events are dropped', () => {
    const batch = linesBatch('zero\none\ntwo\nthree');
    batch.metadata = [undefined, { n: 1 }, undefined, { n: 3 }];
    batch.record(1);
    expect(batch.retain((index) => index % 2 === 1)).toBe(2);
    expect(jsonOf(batch)).toEqual(['{"log":"one"}', '{"log":"three"}']);
    expect(batch.metadata).toEqual([{ n: 1 }, { n: 3 }]);
    expect([...batch.starts]).toEqual([5, 13]);
  });

  it('takes lines that stand for more than their text', () => {
    const batch = new Batch();
    const shape = {
      record: (start: number, stop: number) => ({ from: start, to: stop }),
      json: (start: number, stop: number) => `{"from":${start},"to":${stop}}`,
    };
    batch.useLines('log', { slice: () => '', shape });
    batch.pushLine(1, 2, 3, 4, 0, 1);
    expect(batch.json(0)).toBe('{"from":3,"to":4}');
    expect(batch.record(0)).toEqual({ from: 3, to: 4 });
    batch.set(0, 'k', 'v');
    batch.detach();
    expect(batch.json(0)).toBe('{"from":3,"to":4,"k":"v"}');
  });

  it('is split in two', () => {
    const batch = linesBatch('a\nb\nc');
    batch.push({ d: 1 }, undefined, 5, 6, 7, 8);
    batch.metadata = [];
    batch.metadata[2] = { m: 1 };
    const rest = batch.split(2);
    expect(jsonOf(batch)).toEqual(['{"log":"a"}', '{"log":"b"}']);
    expect(jsonOf(rest)).toEqual(['{"log":"c"}', '{"d":1}']);
    expect(rest.metadata).toEqual([{ m: 1 }]);
    expect([[...rest.starts], [...rest.stops], [...rest.seconds], [...rest.nanos]]).toEqual([
      [4, 7],
      [6, 8],
      [1, 5],
      [2, 6],
    ]);
  });

  it('is independent of its lines after detach', () => {
    let text = 'one\ntwo';
    const batch = new Batch();
    batch.useLines('log', { slice: (start, stop) => text.slice(start, stop) });
    batch.pushLine(0, 0, 0, 3, 0, 4);
    batch.pushLine(0, 0, 4, 7, 4, 7);
    batch.detach();
    text = 'XXXXXXX';
    expect(jsonOf(batch)).toEqual(['{"log":"one"}', '{"log":"two"}']);
  });
});

describe('encodeBatch', () => {
  it.each([
    ['ascii', 'one\ntwo\nthree'],
    ['beyond ascii', 'eins\nzwö\n三\n🙂'],
  ])('makes slices that give back every record: %s', (_, text) => {
    const batch = linesBatch(text);
    const chunk = encodeBatch('t', batch, true, 0);
    const lines = text.split('\n');
    const slice = new Slice(chunk, 1, lines.length);
    expect(slice.length).toBe(lines.length - 1);
    expect(Array.from({ length: slice.length }, (_unused, i) => slice.record(i)['log'])).toEqual(
      lines.slice(1),
    );
    expect(slice.bytes.toString()).toBe(
      lines
        .slice(1)
        .map((log) => `${JSON.stringify({ log })}\n`)
        .join(''),
    );
    expect(slice.jsonBytes(0).toString()).toBe(JSON.stringify({ log: lines[1] }));
  });

  it('extracts a rest with its columns', () => {
    const chunk = encodeBatch('t', linesBatch('a\nbb\nccc\ndddd'), true, 0);
    const rest = chunk.extract([
      [0, 1],
      [2, 4],
    ]);
    const slice = new Slice(rest, 0, rest.length);
    expect([0, 1, 2].map((i) => slice.record(i)['log'])).toEqual(['a', 'ccc', 'dddd']);
    expect([...rest.columns.starts]).toEqual([0, 5, 9]);
    expect(rest.cost).toBeLessThan(chunk.cost);
  });

  it('has no bytes when no output wants them', () => {
    const chunk = encodeBatch('t', linesBatch('a\nb'), false, 0);
    expect(chunk.length).toBe(2);
    expect(chunk.bytes.length).toBe(0);
    expect(chunk.bytesBetween(0, 2)).toBe(0);
  });
});
