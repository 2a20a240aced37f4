/** Which partition a record goes to. */
import type { Topic } from './cluster.ts';

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** The hash that Java's producer chooses partitions by; source: org.apache.kafka.common.utils.Utils.murmur2. */
export function murmur2(data: Uint8Array): number {
  const { length } = data;
  let h = SEED ^ length;
  const whole = length - (length % 4);
  for (let at = 0; at < whole; at += 4) {
    let k =
      (data[at] as number) |
      ((data[at + 1] as number) << 8) |
      ((data[at + 2] as number) << 16) |
      ((data[at + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> R;
    k = Math.imul(k, M);
    h = Math.imul(h, M);
    h ^= k;
  }
  for (let rest = length - 1; rest >= whole; rest--) h ^= (data[rest] as number) << (8 * (rest - whole));
  if (whole < length) h = Math.imul(h, M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  h ^= h >>> 15;
  return h;
}

/** The partition of a key: always the same one, and the same as Java's, as long as their number stays. */
export function partitionOfKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

/**
 * The partition for the records of an attempt that have no key: all go to one, the next attempt's to the next, so that batches stay large.
 * One without a leader, or that `blocked` names, is passed over; undefined when there is no other.
 */
export function partitionInTurn(
  topic: Topic,
  turn: number,
  blocked: (partition: number) => boolean,
): number | undefined {
  for (let step = 0; step < topic.partitions; step++) {
    const partition = (turn + step) % topic.partitions;
    if (topic.leader(partition) !== undefined && !blocked(partition)) return partition;
  }
  return undefined;
}
