import { describe, expect, it } from 'vitest';
import { MemoryBuffer } from '../../src/buffer/memory.ts';

describe('MemoryBuffer', () => {
  it('lets an input wait at its own limit, and go on when there is room', async () => {
    const memory = new MemoryBuffer(1000);
    const account = memory.open('tail.0', 100);
    memory.charge(60, account);
    expect(memory.room(account)).toBeUndefined();
    memory.charge(60, account);
    const room = memory.room(account);
    expect(account.pausedAt).toBeDefined();
    memory.release(60, account);
    await room;
    expect(account.pausedAt).toBeUndefined();
    expect(account.pauses).toBe(1);
  });

  it('lets all wait at the common limit, request bodies included', async () => {
    const memory = new MemoryBuffer(1000);
    const first = memory.open('a', 0);
    const second = memory.open('b', 5000);
    expect(second.limit).toBe(1000);
    let pressure = 0;
    memory.onPressure = () => pressure++;
    memory.charge(600, first);
    memory.charge(500);
    const waits = [memory.room(first), memory.room(second)];
    expect(waits.every((wait) => wait instanceof Promise)).toBe(true);
    expect(pressure).toBe(2);
    memory.release(500);
    await Promise.all(waits);
  });

  it('says the most that can be reserved, and gives it when nothing else is there', () => {
    const memory = new MemoryBuffer(1000);
    memory.reserved = 200;
    for (const [limit, bytes, own] of [
      [0, 700, false],
      [400, 350, true],
      [5000, 700, false],
    ] as const) {
      const account = memory.open('a', limit);
      expect(memory.mostReservable(account)).toEqual({ bytes, own });
      expect(memory.reserve(bytes + 1, account)).toBe(false);
      expect(memory.reserve(bytes, account)).toBe(true);
      memory.giveBack(bytes, account);
    }
  });

  it('keeps the one waiting whose own limit is still reached', async () => {
    const memory = new MemoryBuffer(1000);
    const full = memory.open('full', 100);
    const other = memory.open('other', 0);
    memory.charge(100, full);
    memory.charge(900, other);
    let fullResumed = false;
    const fullRoom = memory.room(full)?.then(() => {
      fullResumed = true;
    });
    const otherRoom = memory.room(other);
    memory.release(900, other);
    await otherRoom;
    expect(fullResumed).toBe(false);
    memory.release(1, full);
    await fullRoom;
    expect(fullResumed).toBe(true);
  });

  it('makes an input wait that has as many chunks in memory as it may', async () => {
    const memory = new MemoryBuffer(1000);
    const account = memory.open('a', 0, 2);
    account.chunks = 2;
    const room = memory.room(account);
    expect(room).toBeInstanceOf(Promise);
    account.chunks = 1;
    memory.release(0, account);
    await room;
    expect(memory.room(account)).toBeUndefined();
  });

  it('sets aside what is kept for reading back from disk', () => {
    const memory = new MemoryBuffer(1000);
    memory.reserved = 300;
    const account = memory.open('a', 0);
    expect(memory.room(account)).toBeUndefined();
    memory.charge(700, account);
    memory.chargeBack(250);
    expect(memory.total).toBe(950);
    expect(memory.room(account)).toBeInstanceOf(Promise);
    memory.release(1, account);
    expect(memory.room(account)).toBeUndefined();
  });

  it('keeps an eighth for whole records, of its own limit and of the common one', () => {
    const memory = new MemoryBuffer(1600);
    memory.reserved = 800;
    const small = memory.open('small', 80);
    expect(memory.reserve(71, small)).toBe(false);
    expect(memory.reserve(70, small)).toBe(true);
    expect(memory.room(small)).toBeUndefined();
    const other = memory.open('other', 0);
    expect(memory.reserve(631, other)).toBe(false);
    expect(memory.reserve(630, other)).toBe(true);
    expect(memory.room(other)).toBeUndefined();
  });

  it('lets what is begun have what whole records left free', () => {
    const memory = new MemoryBuffer(1000);
    const account = memory.open('a', 0);
    memory.charge(900, account);
    expect(memory.reserve(101, account)).toBe(false);
    expect(memory.reserve(100, account)).toBe(true);
    memory.giveBack(100, account);
    expect([memory.used, memory.begun, account.begun]).toEqual([900, 0, 0]);
    memory.release(900, account);
    expect(memory.reserve(876, account)).toBe(false);
    expect(memory.reserve(875, account)).toBe(true);
  });

  it('lets everybody go at a stop', async () => {
    const memory = new MemoryBuffer(10);
    const account = memory.open('a', 0);
    memory.charge(10, account);
    const room = memory.room(account);
    memory.releaseAll();
    await room;
    expect(account.pausedAt).toBeUndefined();
  });
});
