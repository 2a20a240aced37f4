import { crc32c, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RecordBatch } from '../../../../plugins/outputs/kafka/record-batch.ts';

const record = fc.record({
  timestamp: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  key: fc.option(fc.uint8Array({ maxLength: 200 }), { nil: undefined }),
  value: fc.uint8Array({ maxLength: 300 }),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 10 }), fc.string({ maxLength: 100 })), { maxLength: 3 }),
});

it('is what the library reads back', () => {
  const batch = new RecordBatch();
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 100 }), (records) => {
      batch.reset();
      for (const { timestamp, key, value, headers } of records) {
        const padded = Buffer.concat([Buffer.from('<<'), value, Buffer.from('>>')]);
        batch.add(
          timestamp,
          key === undefined ? undefined : Buffer.from(key),
          padded,
          2,
          2 + value.length,
          headers.map(([name, text]) => ({ name: Buffer.from(name), value: Buffer.from(text) })),
        );
      }
      const identity = { producerId: 77n, producerEpoch: 3, sequence: 2_000_000_000 };
      const bytes = batch.finish(batch.records, 0, identity, crc32c);
      expect(bytes.length).toBe(batch.size);
      expect(bytes.readUInt32BE(17)).toBe(crc32c(bytes.subarray(21)));
      const read = readRecordsBatch(Reader.from(bytes));
      expect(read).toMatchObject({
        length: bytes.length - 12,
        lastOffsetDelta: records.length - 1,
        producerId: 77n,
        producerEpoch: 3,
        firstSequence: 2_000_000_000,
        maxTimestamp: BigInt(Math.max(...records.map(({ timestamp }) => timestamp))),
      });
      expect(
        read.records.map(({ key, value, headers, timestampDelta }) => ({
          timestamp: Number(read.firstTimestamp + timestampDelta),
          key: key === null ? undefined : new Uint8Array(key),
          value: new Uint8Array(value as Buffer),
          headers: headers.map(([name, text]) => [String(name), String(text)]),
        })),
      ).toEqual(
        records.map(({ timestamp, key, value, headers }) => ({
          timestamp,
          key: key === undefined ? undefined : new Uint8Array(key),
          value: new Uint8Array(value),
          headers,
        })),
      );
    }),
  );
});
