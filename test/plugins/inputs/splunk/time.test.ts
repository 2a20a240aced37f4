import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventClock } from '../../../../plugins/inputs/splunk/time.ts';
import { eventTime } from '../../../../plugins/outputs/splunk/events.ts';
import type { Value } from '../../../../src/event/record.ts';

function read(member: string): [number, number] | undefined {
  const text = `{${member}}`;
  const clock = new EventClock();
  const { time } = JSON.parse(text) as { time?: Value };
  return clock.read(time, text) ? [clock.seconds, clock.nanos] : undefined;
}

describe('EventClock', () => {
  it.each<[string, [number, number] | undefined]>([
    ['"time":1700000000', [1_700_000_000, 0]],
    ['"time":1700000000.5', [1_700_000_000, 500_000_000]],
    ['"time":1700000000.123', [1_700_000_000, 123_000_000]],
    ['"time":1700000000.123456', [1_700_000_000, 123_456_000]],
    ['"time":1700000000.123456789', [1_700_000_000, 123_456_789]],
    ['"time":1700000000.000000001', [1_700_000_000, 1]],
    ['"event":{"time":1},"time":1700000000.123456789', [1_700_000_000, 123_456_789]],
    ['"time":"1700000000.123456789"', [1_700_000_000, 123_456_789]],
    ['"time":" 1700000000 "', [1_700_000_000, 0]],
    ['"time":"1700000000."', [1_700_000_000, 0]],
    ['"time":1.7e9', [1_700_000_000, 0]],
    ['"time":1700000000123', [1_700_000_000, 123_000_000]],
    ['"time":"1700000000123.4567"', [1_700_000_000, 123_456_700]],
    ['"time":1700000000123456', [1_700_000_000, 123_456_000]],
    ['"time":"1700000000123456789"', [1_700_000_000, 123_456_789]],
    ['"time":0', [0, 0]],
    ['"time":"00000000000000"', [0, 0]],
    ['"time":-1.5', [-2, 500_000_000]],
    ['"time":-1', [-1, 0]],
    ['"time":"now"', undefined],
    ['"time":""', undefined],
    ['"time":null', undefined],
    ['"time":true', undefined],
    ['"time":[1]', undefined],
    ['"event":1', undefined],
  ])('%s', (member, time) => {
    expect(read(member)).toEqual(time);
  });

  it('reads what our own output writes', () => {
    const seconds = fc.integer({ min: 0, max: 99_999_999_999 });
    fc.assert(
      fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (whole, nanos) => {
        expect(read(`"time":${eventTime(whole, nanos)},"event":"x"`)).toEqual([whole, nanos]);
      }),
    );
  });
});
