import { describe, expect, it } from 'vitest';
import { timeOf } from '../../../../plugins/inputs/kubernetes_events/event-time.ts';

const at = (text: string): number => Date.parse(text) / 1000;

describe('timeOf', () => {
  it('takes the latest time that an event has', () => {
    const times = {
      lastTimestamp: '2026-01-05T00:00:00Z',
      series: { lastObservedTime: '2026-01-04T00:00:00.000001Z' },
      eventTime: '2026-01-03T00:00:00.123456Z',
      firstTimestamp: '2026-01-02T00:00:00Z',
      metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
    };
    expect(timeOf(times)).toEqual({ seconds: at('2026-01-05T00:00:00Z'), nanos: 0 });
    expect(timeOf({ ...times, lastTimestamp: null })).toEqual({
      seconds: at('2026-01-04T00:00:00Z'),
      nanos: 1000,
    });
    const { series: _series, ...single } = { ...times, lastTimestamp: null };
    expect(timeOf(single)).toEqual({ seconds: at('2026-01-03T00:00:00Z'), nanos: 123_456_000 });
    expect(timeOf({ ...single, eventTime: null })).toEqual({ seconds: at('2026-01-02T00:00:00Z'), nanos: 0 });
    expect(timeOf({ metadata: times.metadata })).toEqual({ seconds: at('2026-01-01T00:00:00Z'), nanos: 0 });
  });

  it('passes over what is no time', () => {
    expect(timeOf({ lastTimestamp: 'yesterday', firstTimestamp: '2026-01-02T01:00:00+01:00' })).toEqual({
      seconds: at('2026-01-02T00:00:00Z'),
      nanos: 0,
    });
    expect(timeOf({ lastTimestamp: '2026-13-45T00:00:00Z' })).toBeUndefined();
    expect(timeOf({})).toBeUndefined();
  });
});
