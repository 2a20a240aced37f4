import { decode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import udp from '../../../plugins/outputs/udp.ts';
import type { Output } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import { DatagramSink } from '../../net/sockets.ts';

describeOutput('udp', async () => {
  const sink = await new DatagramSink().open();
  const output = await createOutput(udp, { port: String(sink.port), json_date_key: 'false' }, contextIn('/'));
  let sent = 0;
  return {
    output: {
      ...output,
      async deliver(slices, signal) {
        const outcome = await output.deliver(slices, signal);
        sent += slices.reduce((sum, { length }) => sum + length, 0);
        return outcome;
      },
    },
    arrived: async () => (await sink.received(sent)).map((datagram) => parseExact(datagram.toString())),
    cleanUp: () => sink.close(),
  };
});

describe('udp', () => {
  let sink: DatagramSink;
  let outputs: Output[];

  beforeEach(async () => {
    outputs = [];
    sink = await new DatagramSink().open();
  });
  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    await sink.close();
  });

  const open = async (options: Record<string, string>): Promise<Output> => {
    const output = await createOutput(udp, { port: String(sink.port), ...options }, contextIn('/'));
    outputs.push(output);
    return output;
  };
  const two = [sliceOf('app', ['{"log":"a"}']), sliceOf('app', ['{"log":"b\\nc"}', '{}'])];
  const texts = async (count: number): Promise<string[]> =>
    (await sink.received(count)).map((datagram) => datagram.toString());

  it.each([
    [
      'json_lines',
      [
        '{"date":1700000000.5,"log":"a"}\n',
        '{"date":1700000000.5,"log":"b\\nc"}\n',
        '{"date":1700000000.5}\n',
      ],
    ],
    [
      'json_stream',
      [
        '{"date":1700000000.5,"log":"a"}\n',
        '{"date":1700000000.5,"log":"b\\nc"}\n',
        '{"date":1700000000.5}\n',
      ],
    ],
    [
      'json',
      [
        '[{"date":1700000000.5,"log":"a"}]\n',
        '[{"date":1700000000.5,"log":"b\\nc"}]\n',
        '[{"date":1700000000.5}]\n',
      ],
    ],
  ])('%s: a datagram each', async (format, expected) => {
    const output = await open({ format });
    expect(await output.deliver(two, noAbort())).toEqual({});
    expect(await texts(3)).toEqual(expected);
  });

  it('msgpack: a datagram each', async () => {
    const output = await open({ format: 'msgpack' });
    expect(await output.deliver(two, noAbort())).toEqual({});
    expect((await sink.received(3)).map((datagram) => (decode(datagram) as unknown[])[1])).toEqual([
      { log: 'a' },
      { log: 'b\nc' },
      {},
    ]);
  });

  it('raw: a line each', async () => {
    const output = await open({ raw_message_key: 'log' });
    expect(await output.deliver(two, noAbort())).toEqual({
      rejected: [{ index: 2, reason: 'The record has nothing under raw_message_key log.' }],
    });
    expect(await texts(2)).toEqual(['a\n', 'b\\nc\n']);
  });

  it.each(['json_lines', 'json', 'msgpack'])(
    '%s: rejects what no datagram can have, by its index',
    async (format) => {
      const output = await open({ format });
      const large = `{"log":"${'x'.repeat(70_000)}"}`;
      const records = ['{"log":"a"}', large, '{"log":"b"}'];
      expect(await output.deliver([sliceOf('app', records)], noAbort())).toEqual({
        rejected: [
          {
            index: 1,
            reason: expect.stringMatching(
              /^The record takes 70\d\d\d bytes, more than a datagram can have\.$/,
            ),
          },
        ],
      });
      expect(await texts(2)).toHaveLength(2);
    },
  );

  it('asks for all again when nobody listens', async () => {
    const output = await open({});
    await sink.close();
    await expect(output.deliver(two, noAbort())).rejects.toThrow(/^udp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    await sink.open();
    expect(await output.deliver(two, noAbort())).toEqual({});
    expect(await texts(3)).toHaveLength(3);
  });

  it('has no options of TLS, and checks the others', () => {
    expect(Object.keys(udp.options).filter((key) => key.startsWith('tls'))).toEqual([]);
    expect(problemsOf(udp, { host: 'udp://x', format: 'raw' })).toEqual([
      expect.stringMatching(/^host is not a host/),
      expect.stringMatching(/^format needs raw_message_key/),
    ]);
  });
});
