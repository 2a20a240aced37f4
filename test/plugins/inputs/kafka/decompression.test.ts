import { gzipSync, zstdCompressSync } from 'node:zlib';
import * as library from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import {
  boundDecompression,
  isPassedOver,
  lz4Size,
  snappySize,
} from '../../../../plugins/inputs/kafka/decompression.ts';
import { RecordBatch } from '../../../../plugins/outputs/kafka/record-batch.ts';

const { compressionsAlgorithms, crc32c, Reader, readRecordsBatch } = library;

boundDecompression(library);

/** A batch of three records whose compressed bytes are these; compressed as they should be without. */
function batchOf(codec: 1 | 2 | 3 | 4, bytes?: Uint8Array) {
  const batch = new RecordBatch();
  for (const text of ['one', 'two', 'three'])
    batch.add(1, undefined, Buffer.from(text), 0, Buffer.byteLength(text), []);
  const { compressSync } = library.compressionsAlgorithmsByBitmask[codec] ?? compressionsAlgorithms.none;
  const identity = { producerId: -1n, producerEpoch: -1, sequence: -1 };
  return readRecordsBatch(
    Reader.from(batch.finish(bytes ?? compressSync(batch.records), codec, identity, crc32c)),
  );
}

describe.each([
  ['gzip', 1],
  ['snappy', 2],
  ['lz4', 3],
  ['zstd', 4],
] as const)('%s', (_name, codec) => {
  it('decompresses what is well', () => {
    const { records } = batchOf(codec);
    expect(isPassedOver(records)).toBe(false);
    expect(records.map(({ value }) => String(value))).toEqual(['one', 'two', 'three']);
  });

  it('passes over what is damaged, and knows how many records that are', () => {
    const { records, lastOffsetDelta } = batchOf(codec, Buffer.from('\u00ffnonsense'.repeat(20)));
    expect([isPassedOver(records), records.length, lastOffsetDelta]).toEqual([true, 3, 2]);
  });
});

describe('a batch that is far too large after decompression is passed over', () => {
  const bomb = Buffer.alloc(100 * 1024 * 1024);

  it.each([
    ['gzip', 1, () => gzipSync(bomb)],
    ['zstd', 4, () => zstdCompressSync(bomb)],
    ['snappy', 2, () => compressionsAlgorithms.snappy.compressSync(bomb)],
    ['lz4', 3, () => compressionsAlgorithms.lz4.compressSync(bomb)],
  ] as const)('%s', (_name, codec, make) => {
    expect(isPassedOver(batchOf(codec, make()).records)).toBe(true);
  });
});

it('reads sizes without decompressing', () => {
  const text = Buffer.alloc(1_000_000, 'log line ');
  expect(snappySize(Buffer.from(compressionsAlgorithms.snappy.compressSync(text)))).toBe(1_000_000);
  const most = lz4Size(Buffer.from(compressionsAlgorithms.lz4.compressSync(text)));
  expect(most).toBeGreaterThanOrEqual(1_000_000);
  expect(most).toBeLessThan(6_000_000);
});
