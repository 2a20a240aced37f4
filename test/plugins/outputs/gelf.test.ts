import { hostname } from 'node:os';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import gelf from '../../../plugins/outputs/gelf.ts';
import { ChunkWriter } from '../../../plugins/outputs/gelf/chunks.ts';
import { ByteSink } from '../../../src/codec/bytes.ts';
import type { Output } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, problemsOf, sliceOf } from '../../contract/support.ts';
import { tlsFile } from '../../net/servers.ts';
import { DatagramSink, StreamSink } from '../../net/sockets.ts';
import { GelfAssembler, gelfStream, readGelf } from '../../support/gelf.ts';

describeOutput('gelf', async () => {
  const sink = await new StreamSink().open();
  const output = await createOutput(gelf, { port: String(sink.port), mode: 'tcp' }, contextIn('/'));
  return {
    // The records of the contract have no short message: it shows nothing but how attempts go, and that they are rejected for that alone.
    output: {
      ...output,
      async deliver(slices, signal) {
        const { rejected = [], ...outcome } = await output.deliver(slices, signal);
        expect(rejected.every(({ reason }) => reason.startsWith('GELF needs a short message'))).toBe(true);
        return outcome;
      },
    },
    cleanUp: () => sink.close(),
  };
});

describe('gelf', () => {
  let cleanUps: (() => Promise<unknown> | void)[];

  beforeEach(() => {
    cleanUps = [];
  });
  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const open = async (options: Record<string, string>): Promise<Output> => {
    const output = await createOutput(gelf, { gelf_short_message_key: 'log', ...options }, contextIn('/'));
    cleanUps.push(() => output.close?.());
    return output;
  };
  const stream = async (certificate?: string): Promise<StreamSink> => {
    const sink = await new StreamSink(certificate === undefined ? {} : { certificate }).open();
    cleanUps.push(() => sink.close());
    return sink;
  };
  const datagrams = async (): Promise<DatagramSink> => {
    const sink = await new DatagramSink().open();
    cleanUps.push(() => sink.close());
    return sink;
  };
  const messageOf = (log: string) => ({
    version: '1.1',
    host: hostname(),
    short_message: log,
    timestamp: 1_700_000_000.5,
  });
  const records = [
    '{"log":"a\\u0000\\n"}',
    '{"msg":"none"}',
    '{"log":"ü","level":"warn","k":{"n":18446744073709551615}}',
  ];
  const rejected = [{ index: 1, reason: 'GELF needs a short message: the record has no text under "log".' }];

  it.each(['tcp', 'tls'])('%s: a NUL behind each message, nothing compressed', async (mode) => {
    const sink = await stream(mode === 'tls' ? 'server' : undefined);
    const output = await open({
      mode,
      port: String(sink.port),
      'tls.ca_file': tlsFile('ca.pem'),
      gelf_tag_key: 'tag',
    });
    expect(await output.deliver([sliceOf('app.x', records)], noAbort())).toEqual({ rejected });
    await sink.until((bytes) => bytes.filter((byte) => byte === 0).length === 2);
    expect(gelfStream(sink.bytes)).toEqual([
      { ...messageOf('a\0\n'), _tag: 'app.x' },
      { ...messageOf('ü'), level: 4, _k_n: 18_446_744_073_709_551_615n, _tag: 'app.x' },
    ]);
  });

  it('udp: a compressed datagram each', async () => {
    const sink = await datagrams();
    const output = await open({ port: String(sink.port) });
    expect(await output.deliver([sliceOf('app', records)], noAbort())).toEqual({ rejected });
    const [first, second] = await sink.received(2);
    expect(first?.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
    expect([first, second].map((datagram) => readGelf(datagram as Buffer)['short_message'])).toEqual([
      'a\0\n',
      'ü',
    ]);
  });

  it('udp: plain where that is asked for, unless it does not fit', async () => {
    const sink = await datagrams();
    const output = await open({ port: String(sink.port), compress: 'off' });
    await output.deliver(
      [sliceOf('app', [{ record: { log: 'x' } }, { record: { log: 'x'.repeat(3000) } }])],
      noAbort(),
    );
    const [plain, packed] = await sink.received(2);
    expect(plain?.[0]).toBe(123);
    expect(packed?.[0]).toBe(0x1f);
    expect(readGelf(packed as Buffer)['short_message']).toBe('x'.repeat(3000));
  });

  it('udp: what does not fit comes in chunks, and what no chunks hold is rejected', async () => {
    const sink = await datagrams();
    const output = await open({ port: String(sink.port), packet_size: '100' });
    // What gzip cannot make smaller.
    let seed = 1;
    const noise = (length: number): string =>
      Array.from({ length }, () => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
        return String.fromCodePoint(0x4e00 + ((seed >>> 8) % 20_000));
      }).join('');
    const texts = [noise(300), noise(9000), 'short', noise(1500)];
    const outcome = await output.deliver(
      [
        sliceOf(
          'app',
          texts.map((log) => ({ record: { log } })),
        ),
      ],
      noAbort(),
    );
    expect(outcome.rejected).toEqual([
      {
        index: 1,
        reason: expect.stringMatching(
          /^The message has \d+ bytes, more than 128 chunks of packet_size, 100, hold\.$/,
        ),
      },
    ]);
    const assembler = new GelfAssembler();
    let taken = 0;
    while (assembler.messages.length < 3) {
      const all = await sink.received(taken + 1);
      for (const datagram of all.slice(taken)) assembler.take(datagram);
      taken = all.length;
    }
    expect(assembler.unfinished).toBe(0);
    expect(assembler.messages.map((message) => message['short_message'])).toEqual([
      texts[0],
      'short',
      texts[3],
    ]);
    for (const datagram of sink.datagrams) expect(datagram.length).toBeLessThanOrEqual(112);
  });

  it.each([
    [{ tls: 'on' }, ['tls does not go with mode udp, which is not encrypted: use mode tls']],
    [{ tls: 'on', mode: 'tcp' }, []],
    [{ mode: 'tls', 'tls.verify': 'off' }, [expect.stringMatching(/^tls.verify is off/)]],
    [{ host: 'a b' }, [expect.stringMatching(/^host is not a host/)]],
  ])('check %j', (options, problems) => {
    expect(problemsOf(gelf, options)).toEqual(problems);
  });
});

describe('ChunkWriter', () => {
  it('cuts whatever length into at most 128 chunks that become the same again, ids never twice', () => {
    const writer = new ChunkWriter(10);
    const ids = new Set<string>();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 1400 }), (array) => {
        const message = Buffer.from(array);
        const sink = new ByteSink();
        const ends: number[] = [];
        const count = writer.write(message, sink, ends);
        expect(count).toBe(message.length > 1280 ? 0 : Math.ceil(message.length / 10));
        expect(ends).toHaveLength(count);
        if (count < 2) {
          expect(Buffer.from(sink.bytes)).toEqual(count === 0 ? Buffer.alloc(0) : message);
          return;
        }
        const chunks = ends.map((end, at) => Buffer.from(sink.bytes.subarray(ends[at - 1] ?? 0, end)));
        expect(Buffer.concat(chunks.map((chunk) => chunk.subarray(12)))).toEqual(message);
        expect(chunks.map((chunk) => chunk[10])).toEqual(chunks.map((_, at) => at));
        expect(new Set(chunks.map((chunk) => chunk[11]))).toEqual(new Set([count]));
        const id = new Set(chunks.map((chunk) => chunk.toString('hex', 2, 10)));
        expect(id.size).toBe(1);
        for (const each of id) {
          expect(ids.has(each)).toBe(false);
          ids.add(each);
        }
      }),
    );
  });
});
