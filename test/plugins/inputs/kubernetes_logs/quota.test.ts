import { describe, expect, it } from 'vitest';
import { Quota } from '../../../../plugins/inputs/kubernetes_logs/quota.ts';
import { isSampled } from '../../../../plugins/inputs/kubernetes_logs/sample.ts';

function passing(quota: Quota, count: number, now: number): number {
  let passed = 0;
  for (let n = 0; n < count; n++) if (quota.take(now)) passed++;
  return passed;
}

describe('a quota', () => {
  it('lets a burst pass, then as many as its rate', () => {
    const quota = new Quota({ rate: 10, burst: 50 }, 0);
    expect(passing(quota, 100, 0)).toBe(50);
    expect(passing(quota, 100, 1000)).toBe(10);
    expect(passing(quota, 100, 1500)).toBe(5);
    expect(passing(quota, 100, 60_000)).toBe(50);
  });

  it('adds up to its rate in steps shorter than a record', () => {
    const quota = new Quota({ rate: 10, burst: 1 }, 0);
    let passed = 0;
    for (let now = 0; now <= 10_000; now++) passed += passing(quota, 1, now);
    expect(passed).toBe(101);
  });

  it('reports what it suppressed once the interval is over, and once', () => {
    const quota = new Quota({ rate: 1, burst: 1 }, 0);
    expect(quota.report(5000, 0)).toBeUndefined();
    passing(quota, 8, 100);
    expect(quota.report(10_000, 10_000)).toBeUndefined();
    expect(quota.report(10_100, 10_000)).toEqual({ records: 7, seconds: 10, rate: 1 });
    expect(quota.report(30_000, 0)).toBeUndefined();
  });
});

describe('a sample', () => {
  it.each([0.01, 0.5, 0.9])('keeps a share of %d of the offsets of a file', (share) => {
    let kept = 0;
    for (let offset = 0; offset < 100_000 * 97; offset += 97) if (isSampled(offset, share)) kept++;
    expect(kept / 100_000).toBeGreaterThan(share * 0.9);
    expect(kept / 100_000).toBeLessThan(share * 1.1);
  });

  it('judges an offset the same way each time, also beyond 4 GiB', () => {
    const judged = (base: number): boolean[] =>
      Array.from({ length: 100 }, (_, n) => isSampled(base + n * 120, 0.5));
    expect(judged(5 * 2 ** 32)).toEqual(judged(5 * 2 ** 32));
    expect(judged(5 * 2 ** 32)).not.toEqual(judged(0));
    expect(judged(0)).toContain(true);
    expect(judged(0)).toContain(false);
  });

  it('keeps all of a share of 1', () => {
    for (let offset = 0; offset < 1_000_000; offset += 997) expect(isSampled(offset, 1)).toBe(true);
  });
});
