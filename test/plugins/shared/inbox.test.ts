import { expect, it } from 'vitest';
import { Inbox, NeverFitsError } from '../../../plugins/shared/inbox.ts';
import { MemoryBuffer } from '../../../src/buffer/memory.ts';

function open() {
  const memory = new MemoryBuffer(1000);
  const account = memory.open('input.0', 0);
  const inbox = new Inbox({
    reserve: (bytes) =>
      memory.reserve(bytes, account) ? { release: () => memory.giveBack(bytes, account) } : undefined,
    largestReservation: () => ({ bytes: memory.mostReservable(account).bytes, option: 'memory_limit' }),
  });
  return { memory, account, inbox };
}

it('grows to all that there can be, though there is no room for both buffers, and no further', () => {
  const { memory, inbox } = open();
  inbox.add(Buffer.alloc(400, 'a'), 0);
  expect(inbox.keep(0)).toBe(true);
  expect(inbox.reserved).toBe(400);
  expect(inbox.add(Buffer.alloc(475, 'b'), 0)).toBe(true);
  expect([inbox.reserved, memory.used]).toEqual([875, 875]);
  expect(inbox.bytes.toString()).toBe('a'.repeat(400) + 'b'.repeat(475));
  expect(() => inbox.add(Buffer.alloc(1), 0)).toThrow(NeverFitsError);
  inbox.clear();
  expect([inbox.reserved, memory.used, memory.begun]).toEqual([0, 0, 0]);
});

it('asks in vain without waking others: what it holds is not free in between', async () => {
  const { memory, inbox } = open();
  inbox.add(Buffer.alloc(400), 0);
  inbox.keep(0);
  const other = memory.open('tail.0', 0);
  memory.charge(600, other);
  let woken = false;
  const room = memory.room(other)?.then(() => {
    woken = true;
  });
  for (let attempt = 0; attempt < 3; attempt++) expect(inbox.add(Buffer.alloc(10), 0)).toBe(false);
  await Promise.resolve();
  expect([woken, memory.isWaitedFor, memory.used]).toEqual([false, true, 1000]);
  memory.release(600, other);
  await room;
  expect(inbox.add(Buffer.alloc(10), 0)).toBe(true);
});

it('gives back what was set aside for more than there is', () => {
  const { memory, inbox } = open();
  inbox.add(Buffer.from('abcdef'), 0);
  inbox.start = 2;
  inbox.keep(500);
  expect(memory.used).toBe(500);
  expect(inbox.fit()).toBe(true);
  expect([inbox.bytes.toString(), inbox.start, memory.used, memory.begun]).toEqual(['cdef', 0, 4, 4]);
  expect(inbox.fit()).toBe(false);
  inbox.add(Buffer.from('gh'), 0);
  expect(inbox.bytes.toString()).toBe('cdefgh');
});
