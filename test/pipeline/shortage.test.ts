import { describe, expect, it } from 'vitest';
import { MemoryBuffer } from '../../src/buffer/memory.ts';
import type { HeldChunk } from '../../src/delivery/held-chunk.ts';
import { Shortage } from '../../src/pipeline/shortage.ts';

/** As much of a chunk as is looked at. */
const chunk = (cost: number): HeldChunk => ({ facts: { input: 'a' }, cost }) as HeldChunk;

/** How many chunks of 100 bytes would have to go. */
function going(memory: MemoryBuffer, wanted: number, limit = 0): number {
  const account = memory.open('a', limit);
  memory.charge(620, account);
  const short = (): Shortage => new Shortage(memory, [chunk(0)], () => account);
  expect(short().concerns('a')).toBe(false);
  expect(memory.reserve(wanted, account)).toBe(false);
  const shortage = short();
  expect(shortage.concerns('a')).toBe(true);
  let count = 0;
  while (shortage.take(chunk(100))) count++;
  return count;
}

describe('what somebody is refused', () => {
  it('makes memory short that has room for less, so that nobody asks in vain for ever', () => {
    const memory = new MemoryBuffer(1000);
    memory.reserved = 250;
    expect(going(memory, 140)).toBe(2);
  });

  it('makes the account of an input short, too', () => {
    const memory = new MemoryBuffer(100_000);
    expect(going(memory, 600, 1000)).toBe(3);
  });

  it('is forgotten once it was given', () => {
    const memory = new MemoryBuffer(1000);
    const account = memory.open('a', 0);
    memory.charge(900, account);
    expect(memory.reserve(200, account)).toBe(false);
    expect([memory.wanted, account.refused.wanted]).toEqual([200, 200]);
    memory.release(500, account);
    expect(memory.reserve(200, account)).toBe(true);
    expect([memory.wanted, account.refused.wanted]).toEqual([0, 0]);
  });
});
