import { decodeMulti } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import tcp from '../../../plugins/outputs/tcp.ts';
import type { Output } from '../../../src/plugin.ts';
import { RetryableError } from '../../../src/plugin.ts';
import { describeOutput } from '../../contract/output.ts';
import { contextIn, createOutput, noAbort, parseExact, problemsOf, sliceOf } from '../../contract/support.ts';
import { StreamSink } from '../../net/sockets.ts';

describeOutput('tcp', async () => {
  const sink = await new StreamSink().open();
  return {
    output: await createOutput(
      tcp,
      { port: String(sink.port), format: 'json_lines', json_date_key: 'false' },
      contextIn('/'),
    ),
    arrived: async () => {
      await sink.until((bytes) => bytes.at(-1) === 10);
      const lines = sink.bytes.toString().split('\n').filter(Boolean);
      return lines.map((line) => parseExact(line));
    },
    cleanUp: () => sink.close(),
  };
});

describe('tcp', () => {
  let sink: StreamSink;
  let outputs: Output[];

  beforeEach(async () => {
    outputs = [];
    sink = await new StreamSink().open();
  });
  afterEach(async () => {
    for (const output of outputs) await output.close?.();
    await sink.close();
  });

  const open = async (options: Record<string, string>): Promise<Output> => {
    const output = await createOutput(tcp, { port: String(sink.port), ...options }, contextIn('/'));
    outputs.push(output);
    return output;
  };
  const two = [
    sliceOf('app', ['{"log":"a"}']),
    sliceOf('app', [{ record: '{"log":"b\\nc","n":1.0}', nanos: 123_456_789 }]),
  ];

  it.each([
    ['json', '[{"date":1700000000.5,"log":"a"},{"date":1700000000.123457,"log":"b\\nc","n":1.0}]'],
    ['json_lines', '{"date":1700000000.5,"log":"a"}\n{"date":1700000000.123457,"log":"b\\nc","n":1.0}\n'],
    ['json_stream', '{"date":1700000000.5,"log":"a"}{"date":1700000000.123457,"log":"b\\nc","n":1.0}'],
  ])('%s', async (format, expected) => {
    const output = await open({ format });
    expect(await output.deliver(two, noAbort())).toEqual({});
    expect((await sink.received(expected.length)).toString()).toBe(expected);
  });

  it('msgpack, unless another format is asked for', async () => {
    const output = await open({});
    expect(await output.deliver(two, noAbort())).toEqual({});
    // The last value of the second event: 1.0 is a double.
    const last = Buffer.from('cb3ff0000000000000', 'hex');
    await sink.until((bytes) => bytes.subarray(-last.length).equals(last));
    expect([...decodeMulti(sink.bytes)].map((event) => (event as unknown[])[1])).toEqual([
      { log: 'a' },
      { log: 'b\nc', n: 1 },
    ]);
  });

  it('raw: one line per record, whatever stands in it; records without the key are rejected', async () => {
    const output = await open({ raw_message_key: "$k['log']" });
    const records = [
      '{"k":{"log":"a\\nb\\r"}}',
      '{"log":"x"}',
      '{"k":{"log":{"n":18446744073709551615}}}',
      '{"k":{"log":null}}',
    ];
    expect(await output.deliver([sliceOf('app', records)], noAbort())).toEqual({
      rejected: [
        { index: 1, reason: expect.stringContaining("$k['log']") },
        { index: 3, reason: expect.stringContaining("$k['log']") },
      ],
    });
    const expected = 'a\\nb\\r\n{"n":18446744073709551615}\n';
    expect((await sink.received(expected.length)).toString()).toBe(expected);
  });

  it('writes an attempt at once, and uses the connection again', async () => {
    const output = await open({ format: 'json_lines', json_date_key: 'off' });
    await output.deliver(two, noAbort());
    await output.deliver(two, noAbort());
    await sink.until((bytes) => bytes.toString().split('\n').length === 5);
    expect(sink.connections).toHaveLength(1);
  });

  it('notices that the server went away, and comes back to it', async () => {
    const output = await open({ format: 'json_lines', json_date_key: 'off' });
    const one = [sliceOf('app', ['{"n":1}'])];
    await output.deliver(one, noAbort());
    await sink.received(8);
    await sink.close();
    const failed = await output.deliver(one, noAbort()).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RetryableError);
    expect((failed as Error).message).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    await sink.open();
    expect(await output.deliver(one, noAbort())).toEqual({});
    await sink.received(16);
  });

  it.each([
    [{ format: 'raw' }, ['format needs raw_message_key: the value that is written']],
    [{ format: 'raw', raw_message_key: 'log' }, []],
    [{ raw_message_key: '$a.b' }, [expect.stringMatching(/^raw_message_key cannot be read: /)]],
    [{ host: 'http://x' }, [expect.stringMatching(/^host is not a host/)]],
    [{ 'tls.crt_file': '/x' }, [expect.stringMatching(/^tls.crt_file stands alone/)]],
  ])('check %j', (options, problems) => {
    expect(problemsOf(tcp, options)).toEqual(problems);
  });
});
