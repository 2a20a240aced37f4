import { describe, expect, it } from 'vitest';
import { gelfText } from '../../src/codec/gelf.ts';
import type { LogRecord } from '../../src/event/record.ts';

const KEYS = {
  timestamp: 'timestamp',
  host: 'host',
  shortMessage: 'short_message',
  fullMessage: 'full_message',
  level: 'level',
};
const gelf = (record: LogRecord): unknown => {
  const text = gelfText(record, 1_700_000_000, 5_000_000, KEYS);
  return text === undefined ? undefined : JSON.parse(text);
};

describe('gelfText', () => {
  it('names the known fields, flattens the others', () => {
    expect(
      gelf({
        short_message: 'hi',
        host: 'a',
        level: 'ERR',
        id: 1,
        x: { y: { z: 1 }, w: 's' },
        list: ['a', 1, { b: 2 }],
        off: false,
        no: null,
      }),
    ).toEqual({
      version: '1.1',
      short_message: 'hi',
      host: 'a',
      level: 3,
      _id_: 1,
      _x_y_z: 1,
      _x_w: 's',
      _list: 'a, 1, {"b":2}',
      _off: 'false',
      timestamp: 1_700_000_000.005,
    });
  });

  it('takes level and timestamp from the record', () => {
    expect(gelf({ short_message: 'x', timestamp: 5, level: '7' })).toEqual({
      version: '1.1',
      short_message: 'x',
      timestamp: 5,
      level: 7,
    });
  });

  it('needs a short message', () => {
    expect(gelf({ message: 'x' })).toBeUndefined();
  });

  it('keeps quotes and line ends inside of values, and out of names', () => {
    expect(gelfText({ short_message: 'a"\n}', 'k"\n': 'v' }, 0, 0, KEYS)).toBe(
      '{"version":"1.1","short_message":"a\\"\\n}","timestamp":0.000,"_k__":"v"}',
    );
  });

  it('sends text where GELF wants text, and a number where it wants a number', () => {
    expect(
      gelf({ short_message: 5, host: { name: 'a' }, full_message: [1], level: 'error', timestamp: 'noon' }),
    ).toEqual({
      version: '1.1',
      short_message: '5',
      host: '{"name":"a"}',
      full_message: '[1]',
      level: 3,
      timestamp: 1_700_000_000.005,
      _timestamp: 'noon',
    });
    expect(gelf({ short_message: 'x', level: 'loud', host: ' ' })).toMatchObject({
      _level: 'loud',
      _host: ' ',
    });
    expect(gelf({ short_message: 'x', level: 30 })).toMatchObject({ _level: 30 });
    expect(gelf({ short_message: ' ' })).toBeUndefined();
  });

  it('loses no field to another of the same name', () => {
    expect(gelf({ short_message: 'x', 'a b': 1, a_b: 2, a: { b: 3 }, _id: 4, id: 5 })).toMatchObject({
      _a_b: 1,
      _a_b_2: 2,
      _a_b_3: 3,
      __id: 4,
      _id_: 5,
    });
  });

  it('adds a host and the tag where it is told to', () => {
    const keys = { ...KEYS, fallbackHost: 'here', tag: 'tag' };
    const text = (record: LogRecord): unknown => JSON.parse(gelfText(record, 0, 0, keys, 'app.x') ?? '');
    expect(text({ short_message: 'x' })).toMatchObject({ host: 'here', _tag: 'app.x' });
    expect(text({ short_message: 'x', host: 'there', tag: 'mine' })).toMatchObject({
      host: 'there',
      _tag: 'mine',
      _tag_2: 'app.x',
    });
  });
});
