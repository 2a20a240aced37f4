import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DocumentClock } from '../../../../plugins/inputs/elasticsearch/time.ts';
import type { Value } from '../../../../src/event/record.ts';

function read(time: Value): [number, number] | undefined {
  const clock = new DocumentClock();
  return clock.read(time) ? [clock.seconds, clock.nanos] : undefined;
}

describe('DocumentClock', () => {
  it.each<[Value, [number, number] | undefined]>([
    ['2023-11-14T22:13:20Z', [1_700_000_000, 0]],
    ['2023-11-14T22:13:20.5Z', [1_700_000_000, 500_000_000]],
    ['2023-11-14T22:13:20.123456789Z', [1_700_000_000, 123_456_789]],
    ['2023-11-14T22:13:20.1234567891Z', [1_700_000_000, 123_456_789]],
    ['2023-11-14T22:13:20,250+00:00', [1_700_000_000, 250_000_000]],
    ['2023-11-15T00:13:20+0200', [1_700_000_000, 0]],
    ['2023-11-15T00:13:20+02', [1_700_000_000, 0]],
    ['2023-11-14 22:13:20', [1_700_000_000, 0]],
    ['2023-11-14T22:13', [1_699_999_980, 0]],
    ['2023-11-14', [1_699_920_000, 0]],
    ['1969-12-31T23:59:59.25Z', [-1, 250_000_000]],
    [1_700_000_000_123, [1_700_000_000, 123_000_000]],
    [1_700_000_000_123.5, [1_700_000_000, 123_500_000]],
    ['1700000000123', [1_700_000_000, 123_000_000]],
    [-1, [-1, 999_000_000]],
    [1e300, undefined],
    ['2023-13-14T22:13:20Z', undefined],
    ['yesterday', undefined],
    ['', undefined],
    [true, undefined],
    [{}, undefined],
  ])('%j', (time, expected) => {
    expect(read(time)).toEqual(expected);
  });

  it('reads every time that JavaScript writes', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }), (date) => {
        const expected = [Math.floor(date.getTime() / 1000), date.getMilliseconds() * 1e6];
        expect(read(date.toISOString())).toEqual(expected);
        expect(read(date.getTime())).toEqual(expected);
      }),
    );
  });
});
