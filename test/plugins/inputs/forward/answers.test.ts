import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { eventTime, pack } from '../../../support/forward-sender.ts';
import { open } from './opening.ts';

const EVENT = [1, { n: 1 }];

describe('acknowledgements', () => {
  it.each<[string, unknown[]]>([
    ['Message', ['app', eventTime(1), { n: 1 }, { chunk: 'id' }]],
    ['Forward', ['app', [EVENT], { chunk: 'id', size: 1 }]],
    ['PackedForward', ['app', pack(EVENT), { chunk: 'id' }]],
    ['CompressedPackedForward', ['app', gzipSync(pack(EVENT)), { chunk: 'id', compressed: 'gzip' }]],
  ])('%s: once the records are safe', async (_name, message) => {
    const { collector, sender, receipts } = await open({ hold: true });
    const client = await sender();
    client.send(message);
    await collector.reached(1);
    const answer = client.answer();
    let isThere = false;
    void answer.then(() => (isThere = true));
    await new Promise(setImmediate);
    expect(isThere).toBe(false);
    receipts[0]?.release();
    expect(await answer).toEqual({ ack: 'id' });
  });

  it('are given in the order of the messages, each when all before it are', async () => {
    const { collector, sender, receipts } = await open({ hold: true });
    const client = await sender();
    for (let n = 0; n < 3; n++) {
      client.send(['app', [EVENT], { chunk: `id-${n}` }]);
      await collector.reached(n + 1);
    }
    receipts[2]?.release();
    receipts[1]?.release();
    receipts[0]?.release();
    for (let n = 0; n < 3; n++) expect(await client.answer()).toEqual({ ack: `id-${n}` });
  });

  it('of messages of several tags that came together wait for all of them', async () => {
    const { collector, sender, receipts } = await open({ hold: true });
    const client = await sender();
    client.send(
      ['a', [EVENT], { chunk: 'x' }],
      ['b', [EVENT], { chunk: 'y' }],
      ['a', [EVENT], { chunk: 'z' }],
    );
    await collector.reached(3);
    expect(collector.batches).toEqual([2, 1]);
    expect(receipts[0]).toBe(receipts[1]);
    receipts[0]?.release();
    receipts[1]?.release();
    for (const ack of ['x', 'y', 'z']) expect(await client.answer()).toEqual({ ack });
  });

  it('are not given for what was given up: the connection is closed, and that is counted', async () => {
    const { collector, sender, receipts, count } = await open({ hold: true });
    const client = await sender();
    client.send(['app', [EVENT], { chunk: 'id' }]);
    await collector.reached(1);
    receipts[0]?.giveUp();
    receipts[0]?.release();
    expect(await client.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'not_safe' })).toBe(1);
  });

  it('are not given late', async () => {
    const { sender, count, receipts } = await open({ hold: true, options: { ack_timeout: '20ms' } });
    const client = await sender();
    client.send(['app', [EVENT], { chunk: 'id' }]);
    expect(await client.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'not_safe' })).toBe(1);
    receipts[0]?.release();
  });

  it('a stop answers what it owes, and takes nothing more', async () => {
    const { input, collector, sender, receipts } = await open({ hold: true });
    const owed = await sender();
    const idle = await sender();
    owed.send(['app', [EVENT], { chunk: 'id' }]);
    await collector.reached(1);
    await input.stop();
    await idle.closed();
    owed.send(['app', [EVENT], { chunk: 'later' }]);
    receipts[0]?.release();
    expect(await owed.answer()).toEqual({ ack: 'id' });
    expect(await owed.answer()).toBeUndefined();
    expect(collector.events).toHaveLength(1);
  });

  it('a close ends what still waits', async () => {
    const { input, collector, sender } = await open({ hold: true });
    const client = await sender();
    client.send(['app', [EVENT], { chunk: 'id' }]);
    await collector.reached(1);
    await input.stop();
    await input.close?.();
    expect(await client.answer()).toBeUndefined();
  });
});

describe('backpressure', () => {
  it('nothing is read while the pipeline has no room', async () => {
    const { collector, sender } = await open();
    collector.fill();
    const client = await sender();
    const big = { text: 'x'.repeat(100_000) };
    // More than both sockets take.
    for (let n = 0; n < 200; n++) client.send(['app', [[1, { n, ...big }]], { chunk: `id-${n}` }]);
    expect(await client.answer()).toEqual({ ack: 'id-0' });
    await expect.poll(() => client.socket.writableLength).toBeGreaterThan(0);
    const before = collector.events.length;
    expect(before).toBeLessThan(200);
    collector.drain();
    await collector.reached(200);
    expect(collector.events.map(({ record }) => (record as { n: number }).n)).toEqual(
      Array.from({ length: 200 }, (_, n) => n),
    );
  });

  it('a message waits for room to be read', async () => {
    const { collector, sender, reserved, setRoom } = await open({ room: 100 });
    const client = await sender();
    client.send(['app', [[1, { text: 'x'.repeat(1_000_000) }]], { chunk: 'id' }]);
    await expect.poll(() => client.socket.writableLength).toBe(0);
    expect(collector.events).toEqual([]);
    expect(reserved()).toBe(0);
    setRoom(10_000_000);
    expect(await client.answer()).toEqual({ ack: 'id' });
    expect(reserved()).toBe(0);
  });

  it('a compressed one waits for room to be decompressed', async () => {
    const { collector, sender, reserved, setRoom } = await open({ room: 100_000 });
    const client = await sender();
    const events = pack([1, { text: 'x'.repeat(1_000_000) }]);
    client.send(['app', gzipSync(events), { chunk: 'id', compressed: 'gzip' }]);
    client.send(['app', [EVENT], { chunk: 'later' }]);
    await expect.poll(() => client.socket.writableLength).toBe(0);
    expect(collector.events).toEqual([]);
    setRoom(10_000_000);
    expect(await client.answer()).toEqual({ ack: 'id' });
    expect(await client.answer()).toEqual({ ack: 'later' });
    expect(reserved()).toBe(0);
  });
});
