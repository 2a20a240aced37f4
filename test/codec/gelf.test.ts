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

  it('keeps quotes and line ends inside of values', () => {
    expect(gelfText({ short_message: 'a"\n}', 'k"\n': 'v' }, 0, 0, KEYS)).toBe(
      '{"version":"1.1","short_message":"a\\"\\n}","_k\\"\\n":"v","timestamp":0.000}',
    );
  });
});
