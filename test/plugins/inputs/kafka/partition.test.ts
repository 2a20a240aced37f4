import { expect, it } from 'vitest';
import { Partition } from '../../../../plugins/inputs/kafka/partition.ts';

const NAME = { cluster: 'c', topic: 'logs', topicId: 'id', partition: 3 };

it('has the same source id whoever reads it', () => {
  expect(new Partition(NAME, 5, 5).source.id).toBe(new Partition(NAME, 900, 7).source.id);
});

it('commits where it begins when the group has committed nothing', () => {
  expect(new Partition(NAME, 0, -1).toCommit).toBe(0);
  expect(new Partition(NAME, 5, 5).toCommit).toBeUndefined();
});

it('commits only what every output has', () => {
  const partition = new Partition(NAME, 10, 10);
  let open = 12;
  partition.source.launch('out', {
    batchStart: 10,
    get landed() {
      return open === 20;
    },
    firstOpen: () => open,
    settledRanges: () => [],
  });
  partition.source.advance(20);
  expect(partition.toCommit).toBe(12);
  open = 20;
  expect(partition.toCommit).toBe(20);
});

it('goes on behind what it handed over, and behind what others have done', () => {
  const partition = new Partition(NAME, 10, 10);
  partition.position = 20;
  partition.source.advance(20);
  partition.resume(15);
  expect([partition.position, partition.committed]).toEqual([20, 15]);
  partition.resume(30);
  expect([partition.position, partition.source.emitted, partition.toCommit]).toEqual([30, 30, undefined]);
});
