import { describe, expect, it } from 'vitest';
import { RecordMaker } from '../../../../plugins/inputs/kafka/records.ts';
import type { Message, RecordOptions } from '../../../../plugins/inputs/kafka/records.ts';
import { Batch } from '../../../../src/plugin.ts';

const PLACE = { topic: 'logs', partition: 2, offset: 41, source: 'c/t/2' };
const MILLIS = 1_700_000_000_250;

function message(value: string | Buffer | null, headers: Record<string, string> = {}, key?: string): Message {
  return {
    key: key === undefined ? null : Buffer.from(key),
    value: typeof value === 'string' ? Buffer.from(value) : value,
    headers: Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)]),
  };
}

function made(options: Partial<RecordOptions>, one: Message) {
  let unparsed = 0;
  const maker = new RecordMaker(
    {
      json: false,
      shape: 'message',
      tag: 'kafka',
      tagFromHeader: false,
      originKey: undefined,
      ...options,
    },
    () => {
      unparsed++;
    },
  );
  const batch = new Batch();
  batch.base = 40;
  maker.push(batch, one, PLACE, MILLIS);
  return {
    text: batch.json(0),
    record: batch.record(0),
    time: [batch.seconds[0], batch.nanos[0]],
    at: [batch.starts[0], batch.stops[0]],
    tag: maker.tagOf(one),
    unparsed,
  };
}

describe('records of messages', () => {
  it("Fluent Bit's shape, the payload as text", () => {
    const { text, time, at, unparsed } = made({}, message('{"a":1}\n', {}, 'k"1'));
    expect(text).toBe(
      '{"topic":"logs","partition":2,"offset":41,"error":null,"key":"k\\"1","payload":"{\\"a\\":1}\\n"}',
    );
    expect([time, at, unparsed]).toEqual([[1_700_000_000, 250_000_000], [1, 2], 0]);
  });

  it.each([
    ['{"big":12345678901234567890}', '{"big":12345678901234567890}'],
    ['[1,\n2]', '[1,2]'],
    [' {"a" : 1} ', '{"a":1}'],
    ['1e2', '100'],
  ])('format json: %j', (payload, expected) => {
    const { text, unparsed } = made({ json: true }, message(payload));
    expect(text).toContain(`"payload":${expected}}`);
    expect(unparsed).toBe(0);
  });

  it.each([
    ['no json', '"no json"'],
    ['{"a":', '"{\\"a\\":"'],
    [`${'['.repeat(100)}${']'.repeat(100)}`, `"${'['.repeat(100)}${']'.repeat(100)}"`],
    [Buffer.from([0x22, 0xff, 0x22]), '"\\"\ufffd\\""'],
  ])('format json, and it is none: %j goes on as text', (payload, expected) => {
    const { text, unparsed } = made({ json: true }, message(payload));
    expect(text).toContain(`"payload":${expected}}`);
    expect(unparsed).toBe(1);
  });

  it('no payload', () => {
    expect(made({ json: true }, message(null))).toMatchObject({ record: { payload: null }, unparsed: 0 });
  });
});

describe('the payload as the record', () => {
  const flat = { shape: 'payload' } as const;

  it('with the time of the header, to the nanosecond', () => {
    const text = '{"n":1.0,"u":"ü"}';
    const { text: kept, time } = made(flat, message(text, { 'tailrace-time': '1600000000.123456789' }));
    expect(kept).toBe(text);
    expect(time).toEqual([1_600_000_000, 123_456_789]);
  });

  it.each([
    ['-1.500000000', [-2, 500_000_000]],
    ['-1.000000000', [-1, 0]],
    ['nonsense', [1_700_000_000, 250_000_000]],
    ['1.5', [1_700_000_000, 250_000_000]],
  ])('a time of %s', (header, expected) => {
    expect(made(flat, message('{}', { 'tailrace-time': header })).time).toEqual(expected);
  });

  it.each([
    ['text', '{"payload":"text"}'],
    ['[1]', '{"payload":[1]}'],
    ['{"a":1', '{"payload":"{\\"a\\":1"}'],
  ])('%s is no map', (payload, expected) => {
    expect(made(flat, message(payload))).toMatchObject({ text: expected, unparsed: 1 });
  });

  it('the tag of the header only where it is asked for, and can be one', () => {
    const one = message('{}', { 'tailrace-tag': 'app.web' });
    expect(made(flat, one).tag).toBe('kafka');
    expect(made({ ...flat, tagFromHeader: true }, one).tag).toBe('app.web');
    for (const bad of ['', 'a b', 'a\nb', '*', 'x'.repeat(257)])
      expect(made({ ...flat, tagFromHeader: true }, message('{}', { 'tailrace-tag': bad })).tag).toBe(
        'kafka',
      );
  });

  it('the origin under a key: the sender’s, else its place in the topic', () => {
    const options = { ...flat, originKey: '_o' };
    expect(made(options, message('{}', { 'tailrace-origin': 'abc:1-2' })).text).toBe('{"_o":"abc:1-2"}');
    expect(made(options, message('{"a":1}')).text).toBe('{"a":1,"_o":"c/t/2:41-42"}');
  });
});
