import { describe, expect, it } from 'vitest';
import { readBoolean, readNumber, readSize, readTime } from '../../src/config/units.ts';

describe('sizes', () => {
  it.each([
    ['10', 10],
    ['10k', 10_000],
    ['10K', 10_000],
    ['5M', 5_000_000],
    ['5MB', 5_000_000],
    ['1.5G', 1_500_000_000],
    ['2 kb', 2000],
    ['false', 0],
    [' 7 ', 7],
  ])('%s is %d bytes', (text, value) => {
    expect(readSize(text)).toEqual({ ok: true, value });
  });

  it.each(['', 'abc', '10XB', '-1', '1e3', '10 M B', '99999999999999999999G', '0x10', 'true'])(
    '%j is none',
    (text) => {
      expect(readSize(text).ok).toBe(false);
    },
  );

  it('binary units are named in bytes, for they would be taken for decimal ones', () => {
    expect(readSize('64MiB')).toEqual({ ok: false, message: expect.stringContaining('67108864') as string });
  });
});

describe('times', () => {
  it.each([
    ['10', 10],
    ['0.2', 0.2],
    ['10s', 10],
    ['250ms', 0.25],
    ['5m', 300],
    ['1.5h', 5400],
    ['2D', 172_800],
  ])('%s is %d seconds', (text, value) => {
    expect(readTime(text)).toEqual({ ok: true, value });
  });

  it.each(['', 'soon', '5 minutes', '-1s', '1:30', '10sm'])('%j is none', (text) => {
    expect(readTime(text).ok).toBe(false);
  });
});

describe('booleans', () => {
  it.each(['on', 'On', 'TRUE', 'yes'])('%s is on', (text) => {
    expect(readBoolean(text)).toEqual({ ok: true, value: true });
  });

  it.each(['off', 'False', 'NO'])('%s is off', (text) => {
    expect(readBoolean(text)).toEqual({ ok: true, value: false });
  });

  it('numbers are not guessed at, but explained', () => {
    expect(readBoolean('1')).toEqual({
      ok: false,
      message: expect.stringContaining('did you mean "on"') as string,
    });
  });
});

describe('numbers', () => {
  it('keeps to its bounds', () => {
    expect(readNumber('65535', { min: 1, max: 65_535 }, true)).toEqual({ ok: true, value: 65_535 });
    expect(readNumber('65536', { min: 1, max: 65_535 }, true)).toEqual({
      ok: false,
      message: 'is out of range: write a number from 1 to 65535',
    });
  });

  it.each(['', '1.5', 'ten', '0x10', 'NaN', 'Infinity', '9007199254740993'])(
    '%j is no whole number',
    (text) => {
      expect(readNumber(text, {}, true).ok).toBe(false);
    },
  );
});
