import { describe, expect, it } from 'vitest';
import dummy from '../../../plugins/inputs/dummy.ts';
import { optionsOf } from '../../contract/support.ts';
import { Collector, inputContext } from './collecting.ts';

type Written = Record<string, string>;

async function open(written: Written) {
  const context = inputContext();
  const collector = new Collector();
  const input = await dummy.create(optionsOf(dummy.options, written), context);
  return { context, collector, input, start: () => input.start(collector.emit) };
}

/** Runs until the last sample. */
async function run(written: Written) {
  const { context, collector, start } = await open({ rate: '1000', ...written });
  await start();
  expect(await context.done).toEqual({});
  return collector;
}

describe('records', () => {
  it('are the default one, as many as samples, with the time of now', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { events } = await run({ samples: '3' });
    expect(events.map(({ record }) => record)).toEqual([
      { message: 'dummy' },
      { message: 'dummy' },
      { message: 'dummy' },
    ]);
    for (const { tag, seconds, nanos, metadata } of events) {
      expect(tag).toBe('test');
      expect(seconds).toBeGreaterThanOrEqual(before);
      expect(nanos).toBeGreaterThanOrEqual(0);
      expect(nanos).toBeLessThan(1e9);
      expect(metadata).toBeUndefined();
    }
  });

  it('come in copies per sample, and several per text', async () => {
    const { records } = await run({ samples: '2', copies: '2', dummy: '{"a":1} {"b":2}' });
    const copy = [{ a: 1 }, { b: 2 }];
    expect(records).toEqual([...copy, ...copy, ...copy, ...copy]);
  });

  it('have metadata of their own', async () => {
    const { events } = await run({ samples: '2', metadata: '{"env":"test"}' });
    expect(events.map(({ metadata }) => metadata)).toEqual([{ env: 'test' }, { env: 'test' }]);
    expect(events[0]?.metadata).not.toBe(events[1]?.metadata);
  });

  it('start at a given time', async () => {
    const { events } = await run({
      samples: '1',
      start_time_sec: '1700000000',
      start_time_nsec: '999999999',
    });
    expect(events[0]?.seconds).toBeGreaterThanOrEqual(1_700_000_000);
    expect(events[0]?.seconds).toBeLessThan(1_700_000_020);
  });

  it('stay at that time with fixed_timestamp', async () => {
    const { events } = await run({
      samples: '20',
      start_time_sec: '5',
      start_time_nsec: '1500000000',
      fixed_timestamp: 'on',
    });
    expect(new Set(events.map(({ seconds, nanos }) => `${seconds} ${nanos}`))).toEqual(
      new Set(['6 500000000']),
    );
  });

  it('of which there are many come in batches', async () => {
    const { batches, events } = await run({ samples: '30000', rate: '1000000' });
    expect(events).toHaveLength(30_000);
    expect(batches.length).toBeLessThan(100);
    expect(Math.max(...batches)).toBeLessThanOrEqual(5000);
  });

  it('keep exact numbers', async () => {
    const { records } = await run({ samples: '1', dummy: '{"__proto__":1,"list":[1.5,null]}' });
    expect(JSON.stringify(records)).toBe('[{"__proto__":1,"list":[1.5,null]}]');
  });
});

describe('life cycle', () => {
  it('the first sample comes at once with flush_on_startup', async () => {
    const { collector, input, start } = await open({ interval_sec: '3600', flush_on_startup: 'on' });
    await start();
    await collector.reached(1);
    await input.stop();
    expect(collector.events).toHaveLength(1);
  });

  it('makes nothing more while there is no room, nor after stop', async () => {
    const { collector, input, start } = await open({ interval_nsec: '1000' });
    collector.fill();
    await start();
    await collector.reached(1);
    const { length } = collector.batches;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(collector.batches).toHaveLength(length);
    await input.stop();
    collector.drain();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(collector.batches).toHaveLength(length);
  });

  it('stops in the middle of a large sample', async () => {
    const { collector, input, start } = await open({ copies: '6000', flush_on_startup: 'on' });
    collector.fill();
    await start();
    await collector.reached(1);
    await input.stop();
    collector.drain();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(collector.batches).toEqual([5000]);
  });

  it('stops while it waits for the next sample', async () => {
    const { collector, input, start } = await open({ interval_sec: '3600' });
    await start();
    await input.stop();
    expect(collector.events).toEqual([]);
  });
});

describe('check', () => {
  it.each<[Written, string]>([
    [{ dummy: '{"open":' }, 'dummy'],
    [{ dummy: 'text' }, 'dummy'],
    [{ dummy: '[1]' }, 'dummy'],
    [{ metadata: '7' }, 'metadata'],
    [{ metadata: '{}{}' }, 'metadata'],
  ])('refuses %j', (written, key) => {
    expect(dummy.check?.(optionsOf(dummy.options, written), [])).toEqual([
      { key, message: expect.stringContaining('is no JSON map') },
    ]);
  });

  it('takes the defaults', () => {
    expect(dummy.check?.(optionsOf(dummy.options, {}), [])).toEqual([]);
  });
});
