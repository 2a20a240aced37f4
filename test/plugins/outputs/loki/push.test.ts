import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Entries } from '../../../../plugins/outputs/loki/entries.ts';
import { writeJsonPush } from '../../../../plugins/outputs/loki/push-json.ts';
import { writeProtobufPush } from '../../../../plugins/outputs/loki/push-protobuf.ts';
import type { Stream } from '../../../../plugins/outputs/loki/streams.ts';
import { ByteSink } from '../../../../src/codec/bytes.ts';
import { compressSnappy } from '../../../../src/codec/snappy.ts';
import { readPush } from '../../../support/loki-push.ts';
import type { PushedStream } from '../../../support/loki-push.ts';

interface Line {
  seconds: number;
  nanos: number;
  line: string;
  metadata: [string, string][] | undefined;
}

function entriesOf(lines: readonly Line[]): Entries {
  const entries = new Entries(lines.length);
  const memory = Buffer.from(lines.map(({ line }) => line).join(''));
  let at = 0;
  lines.forEach(({ seconds, nanos, line, metadata }, index) => {
    entries.seconds[index] = seconds;
    entries.nanos[index] = nanos;
    entries.placeInScratch(index, at, at + Buffer.byteLength(line));
    at += Buffer.byteLength(line);
    if (metadata !== undefined) (entries.metadata ??= [])[index] = metadata;
  });
  entries.setScratch(memory);
  return entries;
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 });
const pair = fc.tuple(fc.constantFrom('a', 'b_c', '_1'), text);
const line = fc.record({
  seconds: fc.oneof(
    fc.constantFrom(0, -1, -62_135_596_800, 1_700_000_000),
    fc.integer({ min: 0, max: 2 ** 33 }),
  ),
  nanos: fc.integer({ min: 0, max: 999_999_999 }),
  line: fc.oneof(
    text,
    fc.json(),
    fc.constant('\u0000\u001f\t\n"\\\u007f\u2028'),
    fc.constant('x'.repeat(300)),
  ),
  metadata: fc.option(fc.array(pair, { maxLength: 3 }), { nil: undefined }),
});
const streamsAndLines = fc.tuple(
  fc.array(line, { minLength: 1, maxLength: 30 }),
  fc.array(fc.uniqueArray(pair, { selector: ([name]) => name, minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  }),
);

function expectedOf(
  lines: readonly Line[],
  streams: readonly Stream[],
  emptyMetadata: boolean,
): PushedStream[] {
  return streams.map(({ labels, entries }) => ({
    labels: Object.fromEntries(labels),
    entries: entries.map((index) => {
      const { seconds, nanos, line: own, metadata } = lines[index] as Line;
      const shown = metadata !== undefined && (metadata.length > 0 || emptyMetadata);
      return {
        at: BigInt(seconds) * 1_000_000_000n + BigInt(nanos),
        line: own,
        ...(shown ? { metadata: Object.fromEntries(metadata) } : {}),
      };
    }),
  }));
}

describe.each(['json', 'protobuf'] as const)('a push as %s', (format) => {
  it('carries every label, time, line and metadata', () => {
    fc.assert(
      fc.property(streamsAndLines, ([lines, labelSets]) => {
        const streams: Stream[] = labelSets.map((labels, at) => ({
          labels,
          entries: lines.flatMap((_, index) => (index % labelSets.length === at ? [index] : [])),
        }));
        const sink = new ByteSink();
        const entries = entriesOf(lines);
        let contentType = 'application/json';
        if (format === 'json') {
          writeJsonPush(streams, entries, sink);
        } else {
          const plain = new ByteSink();
          writeProtobufPush(streams, entries, plain);
          compressSnappy(plain.bytes, sink);
          contentType = 'application/x-protobuf';
        }
        expect(readPush({ body: sink.bytes, headers: { 'content-type': contentType } })).toEqual(
          expectedOf(lines, streams, format === 'json'),
        );
      }),
      { numRuns: 200 },
    );
  });
});

describe('the bytes of a push', () => {
  const entries = entriesOf([
    { seconds: 1_700_000_000, nanos: 5, line: '{"a":"b"}', metadata: undefined },
    { seconds: 1_700_000_000, nanos: 0, line: 'x', metadata: [['k', 'v']] },
  ]);
  const streams: Stream[] = [{ labels: [['job', 'a"b']], entries: [0, 1] }];

  it('are those of Loki’s documentation', () => {
    const sink = new ByteSink();
    writeJsonPush(streams, entries, sink);
    expect(sink.bytes.toString()).toBe(
      '{"streams":[{"stream":{"job":"a\\"b"},"values":[["1700000000000000005","{\\"a\\":\\"b\\"}"],' +
        '["1700000000000000000","x",{"k":"v"}]]}]}',
    );
  });

  it('are the shortest protobuf', () => {
    const sink = new ByteSink();
    writeProtobufPush(streams, entries, sink);
    expect(sink.bytes.toString('hex')).toBe(
      Buffer.concat([
        Buffer.from([0x0a, 58, 0x0a, 12]),
        Buffer.from('{job="a\\"b"}'),
        Buffer.from([0x12, 21, 0x0a, 8, 0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x10, 5, 0x12, 9]),
        Buffer.from('{"a":"b"}'),
        Buffer.from([0x12, 19, 0x0a, 6, 0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x12, 1]),
        Buffer.from('x'),
        Buffer.from([0x1a, 6, 0x0a, 1, 0x6b, 0x12, 1, 0x76]),
      ]).toString('hex'),
    );
  });
});
