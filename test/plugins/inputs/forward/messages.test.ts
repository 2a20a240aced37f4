import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eventTime, pack } from '../../../support/forward-sender.ts';
import { open } from './opening.ts';

const EVENTS = [
  [eventTime(1_700_000_000, 1), { n: 1 }],
  [1_700_000_001, { n: 2 }],
  [1_700_000_002.5, { n: 3 }],
  [[eventTime(1_700_000_003, 999_999_999), { m: true }], { n: 4 }],
  [[eventTime(1_700_000_004), {}], { n: 5, big: 18_446_744_073_709_551_615n, nested: [null, { a: 'ü😀' }] }],
];
const PACKED = Buffer.concat(EVENTS.map(pack));
const EXPECTED = [
  { seconds: 1_700_000_000, nanos: 1, metadata: undefined, record: { n: 1 } },
  { seconds: 1_700_000_001, nanos: 0, metadata: undefined, record: { n: 2 } },
  { seconds: 1_700_000_002, nanos: 500_000_000, metadata: undefined, record: { n: 3 } },
  { seconds: 1_700_000_003, nanos: 999_999_999, metadata: { m: true }, record: { n: 4 } },
  {
    seconds: 1_700_000_004,
    nanos: 0,
    metadata: undefined,
    record: { n: 5, big: Number(2n ** 64n - 1n), nested: [null, { a: 'ü😀' }] },
  },
].map((event) => ({ tag: 'app', ...event }));

describe('the modes of the forward protocol', () => {
  it.each<[string, unknown[]]>([
    ['Forward', ['app', EVENTS]],
    ['Forward with options', ['app', EVENTS, { size: 5 }]],
    ['Forward with nil for options', ['app', EVENTS, null]],
    ['Forward of Fluent Bit', ['app', EVENTS, { size: 5, fluent_signal: 0 }]],
    ['PackedForward', ['app', PACKED]],
    ['PackedForward with options', ['app', PACKED, { size: 5, compressed: 'text' }]],
    ['CompressedPackedForward', ['app', gzipSync(PACKED), { compressed: 'gzip' }]],
    ['CompressedPackedForward of zstd', ['app', zstdCompressSync(PACKED), { compressed: 'zstd' }]],
    ['CompressedPackedForward that does not say so', ['app', gzipSync(PACKED), { size: 5 }]],
    [
      'CompressedPackedForward in several members',
      ['app', Buffer.concat(EVENTS.map((event) => gzipSync(pack(event)))), { compressed: 'gzip' }],
    ],
  ])('%s', async (_name, message) => {
    const { collector, sender, asked } = await open();
    (await sender()).send(message);
    await collector.reached(5);
    expect(collector.events).toEqual(EXPECTED);
    expect(asked).toEqual([false]);
  });

  it('Message, with and without options', async () => {
    const { collector, sender } = await open();
    (await sender()).send(
      ['app', eventTime(7, 8), { n: 1 }],
      ['app', 9, { n: 2 }, null],
      ['app', 9.5, { n: 3 }, { metadata: { m: 1 } }],
    );
    await collector.reached(3);
    expect(collector.events).toEqual([
      { tag: 'app', seconds: 7, nanos: 8, metadata: undefined, record: { n: 1 } },
      { tag: 'app', seconds: 9, nanos: 0, metadata: undefined, record: { n: 2 } },
      { tag: 'app', seconds: 9, nanos: 500_000_000, metadata: { m: 1 }, record: { n: 3 } },
    ]);
    // What comes together goes together.
    expect(collector.batches).toEqual([3]);
  });

  it('PackedForward as a text, as old senders have it', async () => {
    const { collector, sender } = await open();
    const events = pack([1, { n: 1 }]);
    (await sender()).send(
      Buffer.concat([Buffer.from([0x92]), pack('app'), Buffer.from([0xa0 | events.length]), events]),
    );
    await collector.reached(1);
    expect(collector.records).toEqual([{ n: 1 }]);
  });

  it('heartbeats and empty messages are no records', async () => {
    const { collector, sender } = await open();
    const client = await sender();
    client.send(null, ['app', []], ['app', Buffer.alloc(0), { chunk: 'empty' }], ['app', [[1, { n: 1 }]]]);
    expect(await client.answer()).toEqual({ ack: 'empty' });
    await collector.reached(1);
    expect(collector.records).toEqual([{ n: 1 }]);
  });

  it('what Fluent Bit says of a group goes into the metadata of its records', async () => {
    const { collector, sender } = await open();
    const resource = { attributes: { 'service.name': 'shop' } };
    const scope = { name: 'lib' };
    const begin = [
      [eventTime(0xffff_ffff), { schema: 'otlp', resource_id: 0 }],
      { resource, scope, more: 1 },
    ];
    const end = [[eventTime(0xffff_fffe), {}], {}];
    const plain = (n: number): unknown => [eventTime(n), { n }];
    (await sender()).send(
      ['app', [begin, [[eventTime(1), { otlp: { severity_number: 9 } }], { n: 1 }], plain(2), end, plain(3)]],
      ['app', Buffer.concat([begin, plain(4)].map(pack))],
      ['app', [plain(5), [[eventTime(0xffff_ffff), {}], {}], plain(6)]],
    );
    await collector.reached(6);
    expect(collector.records).toEqual([1, 2, 3, 4, 5, 6].map((n) => ({ n })));
    expect(collector.events.map(({ metadata }) => metadata)).toEqual([
      { otlp: { severity_number: 9 }, resource, scope },
      { resource, scope },
      undefined,
      { resource, scope },
      undefined,
      undefined,
    ]);
  });

  it('however the bytes are cut', async () => {
    const stream = Buffer.concat([
      pack(['app', EVENTS]),
      pack(null),
      pack(['app', gzipSync(PACKED), { compressed: 'gzip' }]),
      pack(['app', eventTime(1), { text: 'x'.repeat(100_000) }]),
      pack(['app', PACKED]),
    ]);
    const { collector, sender, reserved } = await open();
    let events = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: stream.length }), { maxLength: 12 }), async (cuts) => {
        const client = await sender();
        client.socket.setNoDelay(true);
        let from = 0;
        for (const cut of [...cuts.toSorted((a, b) => a - b), stream.length]) {
          client.socket.write(stream.subarray(from, cut));
          from = cut;
          await new Promise(setImmediate);
        }
        events += 16;
        await collector.reached(events);
        expect(collector.events.slice(-16)).toEqual([
          ...EXPECTED,
          ...EXPECTED,
          { tag: 'app', seconds: 1, nanos: 0, metadata: undefined, record: { text: 'x'.repeat(100_000) } },
          ...EXPECTED,
        ]);
        client.close();
      }),
      { numRuns: 30 },
    );
    expect(reserved()).toBe(0);
  });
});

describe('tags', () => {
  const tagsOf = async (options: Record<string, string>, tags: unknown[]): Promise<unknown[]> => {
    const { collector, sender } = await open({ options });
    (await sender()).send(...tags.map((tag, n) => [tag, 1, { n }]));
    await collector.reached(tags.length);
    const found: unknown[] = [];
    for (const { tag, record } of collector.events) found[(record as { n: number }).n] = tag;
    return found;
  };

  it('come with the message, whatever may be in one', async () => {
    expect(await tagsOf({}, ['app', 'a.b/c_D-9', '', 'app'])).toEqual(['app', 'a.b/c_D-9', 'test', 'app']);
  });

  it('have other characters replaced, are cut, and that is counted', async () => {
    const { collector, sender, count, context } = await open();
    (await sender()).send(['../a b\n@ü', 1, {}], ['x'.repeat(300), 1, {}], ['x'.repeat(300), 1, {}]);
    await collector.reached(3);
    expect(collector.events.map(({ tag }) => tag)).toEqual(['../a_b___', 'x'.repeat(256), 'x'.repeat(256)]);
    expect(count('tags_changed_total')).toBe(2);
    expect(context.log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('get a prefix, which wins over a tag', async () => {
    expect(await tagsOf({ tag_prefix: 'edge.' }, ['app', ''])).toEqual(['edge.app', 'edge.']);
    expect(await tagsOf({ tag: 'fixed' }, ['app', 'x y'])).toEqual(['fixed', 'fixed']);
    expect(await tagsOf({ tag: 'fixed', tag_prefix: 'edge.' }, ['app'])).toEqual(['edge.app']);
  });
});
