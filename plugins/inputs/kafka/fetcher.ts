/** Reads partitions from the broker that leads them: one request under way at a time, the next when the pipeline has taken the last. */
import type { Consumer, ConnectionPool } from '@platformatic/kafka';
import { Batch } from '../../../src/plugin.ts';
import type { Emit } from '../../../src/plugin.ts';
import type { KafkaClient } from '../../shared/kafka/client.ts';
import { isPassedOver } from './decompression.ts';
import type { Partition } from './partition.ts';
import type { Message, RecordMaker, Tagged } from './records.ts';

type FetchResponse = Awaited<ReturnType<Consumer['fetch']>>;
type Batches = NonNullable<FetchResponse['responses'][number]['partitions'][number]['records']>;

export interface FetcherOptions {
  client: KafkaClient;
  consumer: Consumer;
  /** Connections of its own: a request that waits for records must not hold up heartbeats. */
  connections: ConnectionPool;
  maker: RecordMaker;
  emit: Emit;
  /** What was to be read of a partition is not there any more; so many records of it were never read. */
  onLost: (partition: Partition, records: number) => void;
  /** A batch of so many records could not be decompressed, or is too large then. */
  onPassedOver: (partition: Partition, records: number, offset: number) => void;
}

/** Attribute bit of batches that hold a transaction's end. */
const CONTROL = 1 << 5;
const OFFSET_OUT_OF_RANGE = 1;
/** A batch for the pipeline: at most so many records, and no further one beyond so many characters. */
const MOST_RECORDS = 2000;
const MOST_TEXT = 1_000_000;

export class Fetcher {
  private readonly options: FetcherOptions;

  constructor(options: FetcherOptions) {
    this.options = options;
  }

  /** The nodes that lead these partitions; those without a leader are not in it. */
  async byLeader(partitions: readonly Partition[]): Promise<Map<number, Partition[]>> {
    const { consumer } = this.options;
    const nodes = new Map<number, Partition[]>();
    if (partitions.length === 0) return nodes;
    const topics = [...new Set(partitions.map(({ name }) => name.topic))];
    const metadata = await consumer.metadata({ topics });
    for (const partition of partitions) {
      const { topic, partition: number } = partition.name;
      const leader = metadata.topics.get(topic)?.partitions[number]?.leader;
      if (leader === undefined || leader < 0) continue;
      const list = nodes.get(leader);
      if (list === undefined) nodes.set(leader, [partition]);
      else list.push(partition);
    }
    return nodes;
  }

  /**
   * One request for those that nobody reads just now, and its records handed over. `isMine` says whether a partition is still this member's: as soon as it is not, nothing
   * more of it is handed over. Throws what the library throws.
   */
  async turn(
    node: number,
    wanted: readonly Partition[],
    isMine: (partition: Partition) => boolean,
  ): Promise<void> {
    const partitions = wanted.filter(({ busy }) => !busy);
    for (const partition of partitions) partition.busy = true;
    try {
      await this.read(node, partitions, isMine);
    } finally {
      for (const partition of partitions) partition.busy = false;
    }
  }

  private async read(
    node: number,
    partitions: readonly Partition[],
    isMine: (partition: Partition) => boolean,
  ): Promise<void> {
    let response: FetchResponse;
    try {
      response = await this.fetch(node, partitions);
    } catch (error) {
      const answer = (error as { response?: FetchResponse }).response;
      if (answer?.responses === undefined || !this.outOfRange(answer, partitions)) throw error;
      return;
    }
    for (const { topicId, partitions: parts } of response.responses) {
      for (const { partitionIndex, records, highWatermark } of parts) {
        const partition = find(partitions, topicId, partitionIndex);
        if (partition === undefined || !isMine(partition)) continue;
        partition.end = Number(highWatermark);
        if (records != null && records.length > 0) await this.take(partition, records, isMine);
      }
    }
  }

  private fetch(node: number, partitions: readonly Partition[]): Promise<FetchResponse> {
    const { client, consumer, connections } = this.options;
    const { settings, library } = client;
    const byTopic = new Map<string, Partition[]>();
    for (const partition of partitions) {
      const { topicId } = partition.name;
      byTopic.set(topicId, [...(byTopic.get(topicId) ?? []), partition]);
    }
    return consumer.fetch({
      node,
      connectionPool: connections,
      maxWaitTime: settings.fetchWaitMs,
      minBytes: settings.fetchMinBytes,
      maxBytes: settings.fetchBytes,
      isolationLevel:
        library.FetchIsolationLevels[settings.readCommitted ? 'READ_COMMITTED' : 'READ_UNCOMMITTED'],
      topics: [...byTopic].map(([topicId, list]) => ({
        topicId,
        partitions: list.map(({ name, position }) => ({
          partition: name.partition,
          currentLeaderEpoch: -1,
          fetchOffset: BigInt(position),
          lastFetchedEpoch: -1,
          partitionMaxBytes: settings.fetchPartitionBytes,
        })),
      })),
    });
  }

  /** Whether the error was that offsets are not there any more, or not yet; those partitions go on where there is something. */
  private outOfRange({ responses }: FetchResponse, partitions: readonly Partition[]): boolean {
    let found = false;
    for (const { topicId, partitions: parts } of responses) {
      for (const { partitionIndex, errorCode, logStartOffset, highWatermark } of parts) {
        if (errorCode !== OFFSET_OUT_OF_RANGE) continue;
        const partition = find(partitions, topicId, partitionIndex);
        if (partition === undefined) continue;
        found = true;
        const first = Math.max(0, Number(logStartOffset));
        const lost = first - partition.position;
        // Beyond the end: the log was cut, and begins anew.
        if (lost > 0) {
          partition.position = first;
          partition.source.advance(first);
        } else partition.restart(Math.min(first, Math.max(0, Number(highWatermark))));
        this.options.onLost(partition, Math.max(0, lost));
      }
    }
    return found;
  }

  private async take(
    partition: Partition,
    batches: Batches,
    isMine: (partition: Partition) => boolean,
  ): Promise<void> {
    const { maker } = this.options;
    const { name, source } = partition;
    const place = { topic: name.topic, partition: name.partition, offset: 0, source: source.id };
    let open: Tagged | undefined;
    let text = 0;
    let next = partition.position;
    /** Whether it may go on. */
    const handOver = async (): Promise<boolean> => {
      const full = open;
      open = undefined;
      text = 0;
      if (full !== undefined) {
        const end = next;
        // It is read on from here even if the partition is taken away while there is no room.
        partition.position = end;
        await this.options.emit(full.tag, full.batch);
        // Not taken: the agent stops.
        if (source.emitted < end) return false;
      }
      return isMine(partition);
    };
    for (const { firstOffset, lastOffsetDelta, attributes, firstTimestamp, records } of batches) {
      const first = Number(firstOffset);
      if (isPassedOver(records)) {
        this.options.onPassedOver(partition, records.length, first);
      } else if ((attributes & CONTROL) === 0) {
        for (const record of records) {
          const offset = first + record.offsetDelta;
          if (offset < partition.position || offset < next) continue;
          const message = record as unknown as Message;
          const tag = maker.tagOf(message);
          if (
            open !== undefined &&
            (open.tag !== tag || open.batch.length >= MOST_RECORDS || text >= MOST_TEXT)
          ) {
            if (!(await handOver())) return;
          }
          if (open === undefined) {
            const batch = new Batch();
            batch.source = source;
            batch.base = offset;
            open = { tag, batch };
          }
          place.offset = offset;
          text += maker.push(open.batch, message, place, Number(firstTimestamp + record.timestampDelta));
          next = offset + 1;
        }
      }
      next = Math.max(next, first + lastOffsetDelta + 1);
    }
    if (!(await handOver())) return;
    // Offsets that hold no record of ours (compacted, or a transaction's end) are done with too.
    partition.position = next;
    source.advance(next);
  }
}

function find(partitions: readonly Partition[], topicId: string, number: number): Partition | undefined {
  return partitions.find(({ name }) => name.topicId === topicId && name.partition === number);
}
