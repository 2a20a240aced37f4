import { describe, expect, it } from 'vitest';
import { Batch } from '../../src/event/batch.ts';
import { encodeBatch } from '../../src/event/chunk.ts';
import { metadataCost } from '../../src/event/metadata-cost.ts';

describe('metadataCost', () => {
  it('grows with what is in it', () => {
    const empty = metadataCost([{}]);
    const small = metadataCost([{ otlp: { a: 'x' } }]);
    expect(small).toBeGreaterThan(empty);
    expect(metadataCost([{ otlp: { a: 'x'.repeat(1000), list: [1, 2n, null] } }])).toBeGreaterThan(
      small + 999,
    );
    expect(metadataCost([undefined, undefined])).toBe(16);
  });

  it('counts once what records share', () => {
    const resource = { attributes: { text: 'x'.repeat(10_000) } };
    const shared = metadataCost(Array.from({ length: 100 }, () => ({ resource })));
    const alone = metadataCost(Array.from({ length: 100 }, () => ({ resource: structuredClone(resource) })));
    expect(shared).toBeLessThan(30_000);
    expect(alone).toBeGreaterThan(1_000_000);
  });

  it('is part of the cost of a chunk', () => {
    const costOf = (metadata: Batch['metadata']): number => {
      const batch = new Batch();
      batch.push({}, '{}', 1, 0);
      batch.metadata = metadata;
      return encodeBatch('app', batch, true, 0).cost;
    };
    const entry = { otlp: { text: 'x'.repeat(500) } };
    expect(costOf([entry]) - costOf(undefined)).toBe(metadataCost([entry]));
  });
});
