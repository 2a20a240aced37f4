import { describe, expect, it } from 'vitest';
import { BytePool } from '../../src/event/byte-pool.ts';

describe('BytePool', () => {
  it('gives the same memory again for about the same size', () => {
    const pool = new BytePool();
    const first = pool.take(100_000);
    expect(first.length).toBeGreaterThanOrEqual(100_000);
    pool.give(first);
    expect(pool.take(90_000)).toBe(first);
    expect(pool.take(90_000)).not.toBe(first);
  });

  it('never gives one buffer to two', () => {
    const pool = new BytePool();
    const taken = new Set<Buffer>();
    for (let i = 0; i < 20; i++) taken.add(pool.take(64 * 1024));
    expect(taken.size).toBe(20);
  });

  it('keeps a bounded amount, and leaves small ones to the allocator', () => {
    const pool = new BytePool();
    const large = Array.from({ length: 100 }, () => pool.take(1_000_000));
    for (const buffer of large) pool.give(buffer);
    const again = Array.from({ length: 100 }, () => pool.take(1_000_000));
    expect(again.filter((buffer) => large.includes(buffer)).length).toBeLessThanOrEqual(4);
    const small = pool.take(1000);
    expect(small.length).toBe(1000);
    pool.give(small);
    expect(pool.take(1000)).not.toBe(small);
  });
});
