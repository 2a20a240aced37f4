/** When a chunk is safe of which a part moved to a chunk of its own. */
import { expect, it } from 'vitest';
import { HeldChunk } from '../../src/delivery/held-chunk.ts';
import type { DiskCopy } from '../../src/delivery/held-chunk.ts';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';

const keeper = { charge: () => {}, gone: () => {} };
const FRAME: DiskCopy = {
  busy: false,
  becomeOverflow: () => {},
  settle: () => {},
  read: () => Promise.resolve(undefined),
};

/** A chunk of ten records for two outputs; `move` takes the last two of one of them to a rest. */
function chunkForTwo() {
  const batch = new Batch();
  for (let n = 0; n < 10; n++) batch.push({ n }, undefined, 1, 0);
  const held = HeldChunk.ofMemory(16, encodeBatch('a', batch, true, 0), keeper);
  const [slow, partial] = [held.launch('slow', [[0, 10]]), held.launch('partial', [[0, 10]])];
  let safe = false;
  held.whenSafe(() => {
    safe = true;
  });
  const move = (): HeldChunk => {
    partial.settle(0, 8);
    const rest = HeldChunk.ofMemory(17, partial.chunk.extract(partial.openRanges), keeper);
    partial.moveTo(rest);
    return rest;
  };
  return { held, slow, partial, move, isSafe: () => safe };
}

it('is not safe on disk as long as a rest that moved away before is in memory alone', () => {
  const { held, partial, move, isSafe } = chunkForTwo();
  move();
  // From here on there is a frame, for the slow output only.
  held.copy = FRAME;
  held.becomeDurable();
  expect(isSafe()).toBe(false);
  partial.settle(0, 2);
  expect(isSafe()).toBe(true);
});

it('is safe on disk when its frame was there before, rest included', () => {
  const { held, move, isSafe } = chunkForTwo();
  held.copy = FRAME;
  const rest = move();
  expect(isSafe()).toBe(false);
  held.becomeDurable();
  expect(isSafe()).toBe(true);
  expect(rest.durable).toBe(false);
});

it('is safe without a disk once both outputs have it', () => {
  const { slow, partial, move, isSafe } = chunkForTwo();
  move();
  slow.settle(0, 10);
  expect(isSafe()).toBe(false);
  partial.settle(0, 2);
  expect(isSafe()).toBe(true);
});

it('is not made safe by an output that is taken away with its records', () => {
  const { slow, partial, held, isSafe } = chunkForTwo();
  held.forsake(slow);
  partial.settle(0, 10);
  // What is left was the other output's, and that has it.
  expect(isSafe()).toBe(true);

  const alone = chunkForTwo();
  alone.partial.settle(0, 10);
  alone.held.forsake(alone.slow);
  expect(alone.isSafe()).toBe(false);
});
