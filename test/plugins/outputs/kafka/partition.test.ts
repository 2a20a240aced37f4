import { murmur2 as libraryMurmur2 } from '@platformatic/kafka';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { murmur2, partitionInTurn } from '../../../../plugins/outputs/kafka/partition.ts';

describe('murmur2', () => {
  // From the tests of Java's client (UtilsTest.testMurmur2).
  it.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('%s', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  it('is that of the library', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(murmur2(bytes)).toBe(libraryMurmur2(Buffer.from(bytes)));
      }),
    );
  });
});

describe('partitions in turn', () => {
  const topic = { partitions: 3, leader: (partition: number) => (partition === 1 ? undefined : 7) };

  it('passes over those without a leader and those that are blocked', () => {
    expect(partitionInTurn(topic, 0, () => false)).toBe(0);
    expect(partitionInTurn(topic, 1, () => false)).toBe(2);
    expect(partitionInTurn(topic, 1, (one) => one === 2)).toBe(0);
    expect(partitionInTurn(topic, 0, () => true)).toBeUndefined();
  });
});
