import { describe, expect, it } from 'vitest';
import { readSince } from '../../src/cli/tail-options.ts';

describe('readSince', () => {
  const now = Date.parse('2026-03-14T12:00:00Z');
  it.each([
    ['30s', now - 30_000],
    ['10m', now - 600_000],
    ['1.5h', now - 5_400_000],
    ['2d', now - 172_800_000],
    ['2026-03-14T11:00:00Z', now - 3_600_000],
    ['2026-03-14', now - 43_200_000],
  ])('%s', (text, time) => {
    expect(readSince(text, undefined, now)).toBe(time);
  });

  it.each(['', 'now', '10', '10 minutes', '14/03/2026', '2026-99-99'])('refuses %j', (text) => {
    expect(() => readSince(text, undefined, now)).toThrow(/is no time/);
  });
});
