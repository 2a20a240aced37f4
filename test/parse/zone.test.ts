import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { abbreviatedOffset, zoneOffset } from '../../src/parse/zone.ts';

const at = (text: string): number => Date.parse(`${text}Z`) / 1000;

describe('zoneOffset', () => {
  const before = process.env['TZ'];
  beforeEach(() => {
    process.env['TZ'] = 'EST5EDT';
  });
  afterEach(() => {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  });

  it.each([
    ['the system', undefined],
    ['a name', 'America/New_York'],
  ])('of %s', (_, name) => {
    const offset = zoneOffset(name);
    const times = [
      '2024-01-01T00:00',
      '2024-07-01T00:00',
      '2024-11-03T01:30',
      '2024-03-10T02:30',
      '2024-03-10T03:00',
    ];
    expect(times.map((time) => offset(at(time)) / 3600)).toEqual([-5, -4, -4, -5, -4]);
  });

  it('answers anew on both sides of a change', () => {
    const offset = zoneOffset('Europe/Rome');
    expect([offset(at('2024-03-31T01:59:59')), offset(at('2024-03-31T03:00:00'))]).toEqual([3600, 7200]);
  });

  it('refuses what is no zone', () => {
    expect(() => zoneOffset('Nowhere')).toThrow(RangeError);
  });
});

describe('abbreviatedOffset', () => {
  it('knows zones in any case, and no inherited names', () => {
    expect([abbreviatedOffset('pdt'), abbreviatedOffset('Z'), abbreviatedOffset('constructor')]).toEqual([
      -25_200,
      0,
      undefined,
    ]);
  });
});
