import { describe, expect, it } from 'vitest';
import { RepeatLimiter } from '../../src/telemetry/repeats.ts';

const RULE = { burst: 2, windowMs: 1000 };

function setUp() {
  const clock = { now: 0 };
  const said: string[] = [];
  const limiter = new RepeatLimiter(() => clock.now);
  const offer = (text: string, key = 'key'): void =>
    limiter.offer(key, RULE, (repeated) => said.push(repeated === 0 ? text : `${text} x${repeated}`));
  return { clock, said, limiter, offer };
}

describe('RepeatLimiter', () => {
  it('lets the first of a window through and says the last of the rest with their number', () => {
    const { clock, said, offer } = setUp();
    for (const text of ['a', 'b', 'c', 'd']) offer(text);
    expect(said).toEqual(['a', 'b']);
    clock.now = 1000;
    offer('e');
    expect(said).toEqual(['a', 'b', 'd x2']);
  });

  it('says only the count in the windows of a storm that goes on', () => {
    const { clock, said, offer } = setUp();
    for (let window = 0; window < 3; window++) {
      clock.now = window * 1000;
      for (let n = 0; n < 10; n++) offer(`${window}.${n}`);
    }
    expect(said).toEqual(['0.0', '0.1', '0.9 x8', '1.9 x10']);
  });

  it('starts anew after a quiet window', () => {
    const { clock, said, offer } = setUp();
    offer('a');
    clock.now = 5000;
    offer('b');
    offer('c');
    expect(said).toEqual(['a', 'b', 'c']);
  });

  it('keeps messages apart by key, and says what it holds when flushed', () => {
    const { said, limiter, offer } = setUp();
    for (let n = 0; n < 3; n++) {
      offer(`a${n}`, 'a');
      offer(`b${n}`, 'b');
    }
    limiter.flush();
    expect(said).toEqual(['a0', 'b0', 'a1', 'b1', 'a2 x1', 'b2 x1']);
  });

  it('forgets what it holds when it is cleared', () => {
    const { said, limiter, offer } = setUp();
    for (const text of ['a', 'b', 'c']) offer(text);
    limiter.clear();
    limiter.flush();
    offer('d');
    expect(said).toEqual(['a', 'b', 'd']);
  });

  it('says what was kept back by itself when the window ends', async () => {
    const limiter = new RepeatLimiter();
    const repeated = await new Promise<number>((resolve) => {
      const hold = setInterval(() => {}, 1000);
      for (let n = 0; n < 4; n++) {
        limiter.offer('key', { burst: 1, windowMs: 20 }, (count) => {
          if (count === 0) return;
          clearInterval(hold);
          resolve(count);
        });
      }
    });
    expect(repeated).toBe(3);
  });

  it('holds a bounded number of keys, and says what a forgotten one kept back', () => {
    const { said, offer } = setUp();
    for (let n = 0; n < 3; n++) offer('first', 'first');
    for (let n = 0; n < 1000; n++) offer('other', String(n));
    expect(said.filter((text) => text.startsWith('first'))).toEqual(['first', 'first', 'first x1']);
  });
});
