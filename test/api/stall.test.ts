import { describe, expect, it } from 'vitest';
import { StallClock, stallLimits } from '../../src/api/stall.ts';

const SECOND = { tickMs: 1000, warnMs: 10_000, sickMs: 30_000, endMs: 60_000 };

/** What changed in so many ticks with one count of beats. */
function ticks(clock: StallClock, count: number, beats: number, held = false): string[] {
  return Array.from({ length: count }, () => clock.tick(beats, held)).filter(
    (change) => change !== undefined,
  );
}

describe('the limits', () => {
  it('are 10 s, 30 s and the timeout; a short timeout brings them down', () => {
    expect(stallLimits(60)).toEqual(SECOND);
    expect(stallLimits(3)).toEqual({ tickMs: 50, warnMs: 500, sickMs: 1500, endMs: 3000 });
    expect(stallLimits(600)).toEqual({ ...SECOND, endMs: 600_000 });
  });

  it('without a timeout have no end', () => {
    expect(stallLimits(0)).toEqual({ ...SECOND, endMs: Number.POSITIVE_INFINITY });
  });
});

describe('the clock', () => {
  it('counts its own ticks since the last beat', () => {
    const clock = new StallClock(SECOND);
    expect(ticks(clock, 10, 7)).toEqual([]);
    expect([clock.stands, clock.seconds]).toEqual([false, 9]);
    expect(ticks(clock, 1, 7)).toEqual(['began']);
    expect([clock.stands, clock.sick, clock.seconds]).toEqual([true, false, 10]);
    expect(ticks(clock, 20, 7)).toEqual([]);
    expect([clock.sick, clock.seconds]).toEqual([true, 30]);
    expect(ticks(clock, 1, 8)).toEqual(['over']);
    expect([clock.stands, clock.sick, clock.seconds, clock.lastSeconds]).toEqual([false, false, 0, 30]);
  });

  it('says the end, and not while a debugger holds the loop', () => {
    const clock = new StallClock(SECOND);
    expect(ticks(clock, 61, 7).at(-1)).toBe('end');
    expect(ticks(new StallClock(SECOND), 1000, 7, true)).toEqual(['began']);
  });

  it('never says an end without one', () => {
    expect(ticks(new StallClock(stallLimits(0)), 100_000, 7)).toEqual(['began']);
  });
});
