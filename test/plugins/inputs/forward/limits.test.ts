import { randomBytes } from 'node:crypto';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventTime, pack } from '../../../support/forward-sender.ts';
import { open } from './opening.ts';
import type { Opened } from './opening.ts';

const DEEP: unknown = JSON.parse(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`);
const GOOD = ['app', [[1, { n: 1 }]], { chunk: 'good' }];

/** A connection that stands beside the one that is sent away still works. */
async function expectWorking({ sender, reserved }: Opened): Promise<void> {
  const client = await sender();
  client.send(GOOD);
  expect(await client.answer()).toEqual({ ack: 'good' });
  expect(reserved()).toBe(0);
}

describe('messages that are none', () => {
  it.each<[string, unknown]>([
    ['no list', { a: 1 }],
    ['a text', 'GET / HTTP/1.1'],
    ['a byte without meaning', Buffer.from([0xc1])],
    ['a list with too little', ['app']],
    ['a tag that is a number', [1, 1, {}]],
    ['a time without a record', ['app', 1]],
    ['a record that is a list', ['app', 1, []]],
    ['events that are a map', ['app', {}]],
    ['an event that is a map', ['app', [{}]]],
    ['an event of one', ['app', [[1]]]],
    ['a time that is a text', ['app', [['1', {}]]]],
    ['a time with metadata and more', ['app', [[[1, {}, {}], {}]]]],
    ['a time beyond its second', ['app', eventTime(1, 1_000_000_000), {}]],
    ['options that are a list', ['app', [[1, {}]], []]],
    ['a chunk that is a number', ['app', [[1, {}]], { chunk: 1 }]],
    ['a chunk that is a story', ['app', [[1, {}]], { chunk: 'x'.repeat(2000) }]],
    ['packed events that break off', ['app', pack([1, { n: 1 }]).subarray(0, -1)]],
    ['gzip that is none', ['app', Buffer.from('no gzip'), { compressed: 'gzip' }]],
    ['gzip that breaks off', ['app', gzipSync(pack([1, {}])).subarray(0, -9), { compressed: 'gzip' }]],
    ['zstd that is none', ['app', Buffer.from('no zstd'), { compressed: 'zstd' }]],
    ['another compression', ['app', Buffer.from('x'), { compressed: 'lz4' }]],
    ['what nests too deep', ['app', 1, JSON.parse(`${'{"a":'.repeat(80)}1${'}'.repeat(80)}`)]],
  ])('%s: the connection is closed, counted, and nothing else harmed', async (_name, message) => {
    const opened = await open();
    const { collector, sender, count, context } = opened;
    const client = await sender();
    client.send(GOOD, message, ['app', 1, { behind: true }]);
    expect(await client.answer()).toEqual({ ack: 'good' });
    expect(await client.answer()).toBeUndefined();
    expect(collector.records).toEqual([{ n: 1 }]);
    expect(count('connections_closed_total', { reason: 'malformed' })).toBe(1);
    expect(context.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    await expectWorking(opened);
  });

  it.each([
    ['an event that is none', ['app', [[1, { n: 1 }], [2]]], true],
    [
      'packed events that break off',
      ['app', Buffer.concat([pack([1, { n: 1 }]), pack([2, {}]).subarray(0, -1)])],
      true,
    ],
    [
      'compressed ones that do',
      ['app', gzipSync(Buffer.concat([pack([1, { n: 1 }]), Buffer.from([0xc1])])), { compressed: 'gzip' }],
      true,
    ],
    [
      'one that nests too deep',
      [
        'app',
        [
          [1, { n: 1 }],
          [2, DEEP],
        ],
      ],
      true,
    ],
    [
      'one whose metadata does, with options',
      [
        'app',
        [
          [1, { n: 1 }],
          [[2, DEEP], {}],
        ],
        { size: 2 },
      ],
      true,
    ],
    ['one whose sender waits for an answer', ['app', [[1, { n: 1 }], [2]], { chunk: 'c' }], false],
    [
      'one of such a sender that nests too deep',
      [
        'app',
        [
          [1, { n: 1 }],
          [2, DEEP],
        ],
        { chunk: 'c' },
      ],
      false,
    ],
    [
      'packed ones of such a sender',
      ['app', Buffer.concat([pack([1, { n: 1 }]), pack([2])]), { chunk: 'c' }],
      false,
    ],
  ])('%s: those in front of it are taken where it will not come again', async (_name, message, areTaken) => {
    const { collector, sender, count } = await open();
    const client = await sender();
    client.send(message);
    expect(await client.answer()).toBeUndefined();
    expect(collector.records).toEqual(areTaken ? [{ n: 1 }] : []);
    expect(count('connections_closed_total', { reason: 'malformed' })).toBe(1);
  });

  it('noise, cut and changed messages: the good stream beside it has all its records', async () => {
    const { collector, sender, reserved, count } = await open({ options: { buffer_max_size: '100k' } });
    const good = await sender();
    const right = Buffer.concat([
      pack([
        'app',
        [
          [eventTime(1), { bad: 1 }],
          [[2, { m: 1 }], { bad: 2 }],
        ],
        { chunk: 'x' },
      ]),
      pack(['app', gzipSync(pack([1, { bad: 3 }])), { compressed: 'gzip' }]),
    ]);
    const changed = fc
      .array(fc.tuple(fc.nat({ max: right.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 5,
      })
      .map((changes) => {
        const bytes = Buffer.from(right);
        for (const [at, byte] of changes) bytes[at] = byte;
        return bytes;
      });
    const noise = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      changed,
      fc.nat({ max: right.length }).map((length) => right.subarray(0, length)),
    );
    let sent = 0;
    await fc.assert(
      fc.asyncProperty(noise, async (bytes) => {
        const bad = await sender();
        bad.socket.end(bytes);
        good.send(['good', [[1, { n: sent }]], { chunk: String(sent) }]);
        expect(await good.answer()).toEqual({ ack: String(sent) });
        sent++;
        await bad.closed();
      }),
      { numRuns: 300 },
    );
    const found = collector.events.filter(({ tag, record }) => tag === 'good' && 'n' in (record as object));
    expect(found.map(({ record }) => (record as { n: number }).n)).toEqual(
      Array.from({ length: sent }, (_, n) => n),
    );
    await expect.poll(reserved).toBe(0);
    expect(count('connections_closed_total')).toBeGreaterThan(0);
  });
});

describe('what is no logs', () => {
  it('is refused, counted, and not acknowledged', async () => {
    const opened = await open();
    const { sender, count, collector } = opened;
    const patient = await sender();
    patient.send(
      ['app', [[1, { n: 0 }]]],
      ['app', Buffer.from('metrics'), { fluent_signal: 1 }],
      ['app', [[1, [{ a: 1 }]]], { fluent_signal: 2 }],
      ['app', 1, { trace: 1 }, { fluent_signal: 9 }],
      ['app', [[1, { n: 1 }]]],
    );
    await collector.reached(2);
    expect(collector.records).toEqual([{ n: 0 }, { n: 1 }]);
    for (const signal of ['metrics', 'traces', 'other'])
      expect(count('refused_messages_total', { signal })).toBe(1);
    const waiting = await sender();
    waiting.send(['app', Buffer.from('metrics'), { fluent_signal: 1, chunk: 'id' }]);
    expect(await waiting.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'no_logs' })).toBe(1);
    await expectWorking(opened);
  });
});

describe('sizes', () => {
  it.each<[string, unknown]>([
    ['one that is long', ['app', 1, { text: 'x'.repeat(20_000) }]],
    ['packed events that are long', ['app', Buffer.alloc(20_000)]],
    ['a head that claims gigabytes', Buffer.from([0x92, 0xa1, 0x61, 0xc6, 0xff, 0xff, 0xff, 0xff])],
    ['a list that claims billions', Buffer.from([0x92, 0xa1, 0x61, 0xdd, 0xff, 0xff, 0xff, 0xff])],
    [
      'lists in lists that claim billions',
      Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff, 0xdd, 0xff, 0xff, 0xff, 0xff]),
    ],
    ['gzip of zeros', ['app', gzipSync(Buffer.alloc(5_000_000)), { compressed: 'gzip' }]],
    [
      'gzip that lies about its size',
      ['app', lying(gzipSync(Buffer.alloc(5_000_000))), { compressed: 'gzip' }],
    ],
    ['zstd of zeros', ['app', zstdCompressSync(Buffer.alloc(5_000_000)), { compressed: 'zstd' }]],
    [
      'a group that says much of many',
      [
        'app',
        [
          [[eventTime(0xffff_ffff), {}], { resource: { a: 'x'.repeat(5000) } }],
          ...Array.from({ length: 20 }, () => [1, {}]),
        ],
      ],
    ],
  ])('%s: too large for buffer_max_size', async (_name, message) => {
    const opened = await open({ options: { buffer_max_size: '10k' }, room: 1_000_000 });
    const { sender, count, collector } = opened;
    const client = await sender();
    client.send(message);
    expect(await client.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'too_large' })).toBe(1);
    expect(collector.events).toEqual([]);
    await expectWorking(opened);
  });

  it('a message of exactly buffer_max_size is taken', async () => {
    const message = pack(['app', [[1, { text: 'x'.repeat(5000) }]], { chunk: 'id' }]);
    const { sender } = await open({ options: { buffer_max_size: String(message.length) } });
    const client = await sender();
    client.send(message);
    expect(await client.answer()).toEqual({ ack: 'id' });
  });
});

/** Says that it holds 100 bytes. */
function lying(gzip: Buffer): Buffer {
  gzip.writeUInt32LE(100, gzip.length - 4);
  return gzip;
}

/** Text that takes its size however it is written. */
function incompressible(length: number): string {
  return randomBytes(length).toString('hex').slice(0, length);
}

function pieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

const tiny = (events: number): Buffer => Buffer.concat(Array.from({ length: events }, () => pack([1, {}])));
const list = (events: number): unknown[] => Array.from({ length: events }, () => [1, {}]);

describe('events of next to nothing', () => {
  it.each<[string, unknown]>([
    ['in a list', ['app', list(20_000)]],
    ['packed', ['app', tiny(20_000)]],
    ['compressed', ['app', gzipSync(tiny(20_000)), { compressed: 'gzip' }]],
    ['empty maps in metadata', ['app', [[[1, { a: Array.from({ length: 50_000 }, () => ({})) }], {}]]]],
    ['behind a good message', Buffer.concat([pack(GOOD), pack(['app', tiny(20_000)])])],
  ])('%s count as much as they take: too large where there can never be so much', async (_name, message) => {
    const opened = await open({ largest: 1_000_000 });
    const { sender, count, collector, context } = opened;
    const client = await sender();
    client.send(message);
    await client.closed();
    expect(count('connections_closed_total', { reason: 'too_large' })).toBe(1);
    expect(collector.events.filter(({ record }) => !('n' in (record as object)))).toEqual([]);
    expect(context.log.lines.at(-1)?.fields['reason']).toMatch(/counts 64 bytes .* raise mem_buf_limit/);
    await expectWorking(opened);
  });

  it('wait for room, and are taken once', async () => {
    const { sender, collector, setRoom, reserved } = await open({ room: 200_000, largest: 2_000_000 });
    const client = await sender();
    client.send(GOOD, ['app', tiny(20_000), { chunk: 'tiny' }]);
    expect(await client.answer()).toEqual({ ack: 'good' });
    expect(collector.events).toHaveLength(1);
    setRoom(2_000_000);
    expect(await client.answer()).toEqual({ ack: 'tiny' });
    expect(collector.events).toHaveLength(20_001);
    expect(reserved()).toBe(0);
  });
});

describe('small events, as short log lines are', () => {
  const short = (events: number): Buffer =>
    Buffer.concat(Array.from({ length: events }, (_, n) => pack([1, { log: `line ${n}` }])));

  it('zstd: what they might have come to is given back before their room is asked for', async () => {
    const { sender, count, collector, reserved } = await open({ room: 4_375_000, largest: 4_375_000 });
    const client = await sender();
    const packed = zstdCompressSync(short(6000), { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } });
    client.send(['app', packed, { compressed: 'zstd', chunk: 'short' }]);
    expect(await client.answer()).toEqual({ ack: 'short' });
    expect(count('connections_closed_total')).toBe(0);
    expect(collector.events).toHaveLength(6000);
    expect(reserved()).toBe(0);
  });

  it.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('%s: no more room is wanted than they say that they hold', async (compressed, compress) => {
    const { sender, collector } = await open({ room: 300_000, largest: 14_000_000 });
    const client = await sender();
    // Of one frame that says its length in one, two and four bytes.
    for (const [index, length] of [100, 20_000, 90_000].entries()) {
      const text = incompressible(length);
      client.send(['app', compress(pack([1, { text }])), { compressed, chunk: String(index) }]);
      expect(await client.answer()).toEqual({ ack: String(index) });
      expect(collector.records.at(-1)).toEqual({ text });
    }
  });

  it.each(['gzip', 'zstd'] as const)(
    '%s: messages in a row do not wait for the room that those in front of them have',
    async (compressed) => {
      const { sender, collector, reserved } = await open({ room: 600_000, largest: 600_000 });
      const client = await sender();
      const compress = { gzip: gzipSync, zstd: zstdCompressSync }[compressed];
      const events = compress(short(6000));
      client.send(
        ['app', short(6000), { chunk: '1' }],
        ['app', events, { compressed, chunk: '2' }],
        ['app', events, { compressed, chunk: '3' }],
      );
      for (const ack of ['1', '2', '3']) expect(await client.answer()).toEqual({ ack });
      expect(collector.events).toHaveLength(18_000);
      expect(reserved()).toBe(0);
    },
  );

  it('the last of what there can be is given, though it is less than is asked for at a time', async () => {
    const events = Array.from({ length: 3000 }, (_, n) => pack([1, { log: String(n).padEnd(24) }]));
    const message = pack(['app', Buffer.concat(events)]);
    const most = message.length + 50_000;
    const { sender, collector, reserved } = await open({ room: most, largest: most });
    const client = await sender();
    // All of its length is known, and set aside.
    client.send(message.subarray(0, 50));
    await expect.poll(reserved).toBeGreaterThan(0);
    client.send(message.subarray(50));
    await collector.reached(3000);
    await expect.poll(reserved).toBe(0);
  });

  it('what the connection set aside for more than the message is given back before it is refused', async () => {
    const events = Array.from({ length: 3000 }, (_, n) => pack([1, { log: String(n).padEnd(24) }]));
    // Its options come behind what its beginning says of its length.
    const message = pack(['app', Buffer.concat(events), { chunk: 'id' }]);
    const most = message.length + 50_000;
    const { sender, collector, reserved } = await open({ room: most, largest: most });
    const client = await sender();
    client.send(message.subarray(0, 50));
    await expect.poll(reserved).toBeGreaterThan(0);
    client.send(message.subarray(50));
    expect(await client.answer()).toEqual({ ack: 'id' });
    expect(collector.events).toHaveLength(3000);
    expect(reserved()).toBe(0);
  });

  it('nor where those in front of them have all of it', async () => {
    const { sender, collector } = await open({ room: 9 * 65_536, largest: 9 * 65_536 });
    const client = await sender();
    client.send(
      ['app', list(10_000), { chunk: '1' }],
      ['app', gzipSync(tiny(10)), { compressed: 'gzip', chunk: '2' }],
    );
    for (const ack of ['1', '2']) expect(await client.answer()).toEqual({ ack });
    expect(collector.events).toHaveLength(10_010);
  });

  it.each(['gzip', 'zstd'] as const)('%s: one that had to wait finds room for both', async (compressed) => {
    const { sender, collector, reserved, setRoom } = await open({ room: 600_000, largest: 1_300_000 });
    const client = await sender();
    const compress = { gzip: gzipSync, zstd: zstdCompressSync }[compressed];
    client.send(GOOD, ['app', compress(short(14_000)), { compressed, chunk: 'short' }]);
    expect(await client.answer()).toEqual({ ack: 'good' });
    // Room comes while it waits.
    await new Promise((resolve) => setTimeout(resolve, 100));
    setRoom(1_300_000);
    expect(await client.answer()).toEqual({ ack: 'short' });
    expect(collector.events).toHaveLength(14_001);
    expect(reserved()).toBe(0);
  });
});

describe('times', () => {
  it('a message that does not go on, and one that is never begun', async () => {
    const { sender, count, reserved, collector } = await open({
      options: { 'net.io_timeout': '30ms', idle_timeout: '60ms' },
    });
    const stalled = await sender();
    stalled.send(pack(GOOD).subarray(0, 5));
    expect(await stalled.answer()).toBeUndefined();
    expect(count('connections_closed_total', { reason: 'stalled' })).toBe(1);
    expect(reserved()).toBe(0);
    const idle = await sender();
    idle.send(GOOD);
    expect(await idle.answer()).toEqual({ ack: 'good' });
    await idle.closed();
    expect(count('connections_closed_total', { reason: 'idle' })).toBe(1);
    expect(collector.events).toHaveLength(1);
  });

  it('a message that gets no room', async () => {
    const { sender, count, reserved, collector, setRoom } = await open({
      options: { 'net.io_timeout': '100ms' },
      room: 100,
    });
    for (const message of [
      ['app', Buffer.alloc(1_000_000)],
      ['app', gzipSync(pack([1, { text: 'x'.repeat(50_000) }])), { compressed: 'gzip' }],
    ]) {
      const client = await sender();
      client.send(message);
      await client.closed();
    }
    expect(count('connections_closed_total', { reason: 'no_room' })).toBe(2);
    expect(reserved()).toBe(0);
    expect(collector.events).toEqual([]);
    setRoom(1_000_000);
    const client = await sender();
    client.send(GOOD);
    expect(await client.answer()).toEqual({ ack: 'good' });
  });

  it('a message for which there can never be room is no matter of time', async () => {
    const { sender, count, collector, context, reserved } = await open({ largest: 100_000 });
    const text = incompressible(120_000);
    for (const message of [
      ['app', 1, { text }],
      ['app', Buffer.alloc(120_000)],
      ['app', gzipSync(pack([1, { text: 'x'.repeat(120_000) }])), { compressed: 'gzip' }],
      ['app', zstdCompressSync(pack([1, { text: 'x'.repeat(120_000) }])), { compressed: 'zstd' }],
    ]) {
      const client = await sender();
      client.send(message);
      await client.closed();
    }
    expect(count('connections_closed_total', { reason: 'too_large' })).toBe(4);
    expect(collector.events).toEqual([]);
    for (const { fields } of context.log.lines.filter(({ level }) => level === 'warn'))
      expect(fields['reason']).toMatch(/100000 bytes of memory that there can be: raise mem_buf_limit/);
    // One that fits, though not beside its own beginning.
    const client = await sender();
    for (const piece of pieces(pack(['app', 1, { text: 'y'.repeat(90_000) }, { chunk: 'id' }]), 9000)) {
      client.send(piece);
      await new Promise(setImmediate);
    }
    expect(await client.answer()).toEqual({ ack: 'id' });
    expect(reserved()).toBe(0);
  });

  it('a sender that does not read its answers', async () => {
    const { sender, count } = await open({ options: { 'net.io_timeout': '100ms' } });
    const client = await sender();
    const chunk = 'x'.repeat(1000);
    // More answers than both sockets take.
    for (let n = 0; n < 40_000; n++) client.send(['app', [], { chunk }]);
    await expect
      .poll(() => count('connections_closed_total', { reason: 'stalled' }), { timeout: 20_000 })
      .toBe(1);
  });

  it('who waits for an acknowledgement is not idle', async () => {
    const { sender, collector, receipts, count } = await open({
      hold: true,
      options: { idle_timeout: '20ms' },
    });
    const client = await sender();
    client.send(GOOD);
    await collector.reached(1);
    const other = await sender();
    await other.closed();
    expect(count('connections_closed_total', { reason: 'idle' })).toBe(1);
    receipts[0]?.release();
    expect(await client.answer()).toEqual({ ack: 'good' });
  });
});

describe('connections', () => {
  it('over the limit are closed at once, and counted', async () => {
    const { sender, count } = await open({ options: { max_connections: '1' } });
    const first = await sender();
    first.send(GOOD);
    expect(await first.answer()).toEqual({ ack: 'good' });
    const second = await sender();
    await second.closed();
    expect(count('connections_refused_total')).toBe(1);
    first.send(GOOD);
    expect(await first.answer()).toEqual({ ack: 'good' });
  });

  it('a sender that goes away in the middle of a message leaves nothing behind', async () => {
    const { sender, reserved, count, collector } = await open();
    const client = await sender();
    client.send(pack(['app', Buffer.alloc(1_000_000)]).subarray(0, 500_000));
    await expect.poll(reserved).toBeGreaterThanOrEqual(1_000_000);
    client.close();
    await expect.poll(reserved).toBe(0);
    expect(count('connections_closed_total')).toBe(0);
    expect(collector.events).toEqual([]);
  });
});
