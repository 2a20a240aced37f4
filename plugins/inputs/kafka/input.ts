/**
 * The kafka input: a member of a consumer group. What it reads counts as done when its records are safe, and then the group is told:
 * of each partition the offset before which everything is.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { ConnectionPool } from '@platformatic/kafka';
import { unparsedRecords } from '../../shared/line-counters.ts';
import type { Emit, Input, InputContext } from '../../../src/plugin.ts';
import { observe } from '../../shared/gauges.ts';
import { Rarely } from '../../shared/rarely.ts';
import type { KafkaClient } from '../../shared/kafka/client.ts';
import { describeKafkaError } from '../../shared/kafka/failure.ts';
import { boundDecompression } from './decompression.ts';
import { Fetcher } from './fetcher.ts';
import { Group } from './group.ts';
import type { Assignment } from './group.ts';
import { Partition } from './partition.ts';
import { RecordMaker } from './records.ts';
import type { RecordOptions } from './records.ts';

export interface KafkaInputOptions extends RecordOptions {
  groupId: string;
  topics: readonly string[];
}

/** Between two commits. Milliseconds. */
const COMMIT_MS = 1000;
/** After a request that failed. Milliseconds. */
const AGAIN_MS = 1000;
/** What closing may take. Milliseconds. */
const CLOSE_MS = 5000;
const EARLIEST = -2n;
const LATEST = -1n;

export class KafkaInput implements Input {
  private readonly client: KafkaClient;
  private readonly options: KafkaInputOptions;
  private readonly context: InputContext;
  private readonly group: Group;
  private readonly connections: ConnectionPool;
  /** All partitions that were ever this member's, by `topicId:partition`. */
  private readonly partitions = new Map<string, Partition>();
  private mine = new Set<Partition>();
  /** Of the assignment: whoever began under an older one finds out by it. */
  private generation = 0;
  /** Offsets may be committed. */
  private joined = false;
  private committing: Promise<void> | undefined;
  private readonly pumps = new Map<number, Promise<void>>();
  private readonly stopped = new AbortController();
  private readonly lost: (reason: string) => { value: number };
  private readonly seldomUnparsed = new Rarely();
  private readonly seldomUncommitted = new Rarely();
  private readonly observed: (() => void)[] = [];
  private fetcher: Fetcher | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor(client: KafkaClient, options: KafkaInputOptions, context: InputContext) {
    this.client = client;
    this.options = options;
    this.context = context;
    this.connections = new client.library.ConnectionPool(client.settings.clientId, client.options);
    this.group = new Group(
      client,
      options,
      { assigned: (assignments) => void this.assigned(assignments), revoking: () => this.revoking() },
      context.log,
    );
    const lost = context.metrics.counter(
      'tailrace_input_lost_records_total',
      'Records that were gone before they were read, by reason.',
    );
    this.lost = (reason) => lost.labels({ name: context.name, reason });
    this.observe(
      'tailrace_input_partitions',
      'Partitions that this member of the consumer group reads.',
      () => this.mine.size,
    );
    this.observe(
      'tailrace_input_lag_records',
      'Records of these partitions that are not read, or not safe yet.',
      () => this.lagRecords,
    );
  }

  private observe(metric: string, help: string, value: () => number): void {
    const { metrics, name } = this.context;
    this.observed.push(observe(metrics.gauge(metric, help), name, value));
  }

  private get lagRecords(): number {
    let sum = 0;
    for (const { end, source } of this.mine) sum += Math.max(0, end - source.position());
    return sum;
  }

  start(emit: Emit): void {
    const { client, connections, group, context } = this;
    const unparsed = unparsedRecords(context);
    const maker = new RecordMaker(this.options, () => {
      unparsed.value++;
      const messages = this.seldomUnparsed.happened();
      if (messages > 0)
        context.log.warn({ messages }, 'Messages are not what format and record say; they go on as text');
    });
    this.fetcher = new Fetcher({
      client,
      consumer: group.consumer,
      connections,
      maker,
      emit,
      onLost: (partition, records) => {
        this.lost('offset_out_of_range').value += records;
        const { topic, partition: number } = partition.name;
        context.log.error(
          { topic, partition: number, records, offset: partition.position },
          'The offset to read on from is not there any more: retention has taken records, or the log was cut',
        );
      },
      onPassedOver: (partition, records, offset) => {
        this.lost('undecompressable').value += records;
        const { topic, partition: number } = partition.name;
        context.log.error(
          { topic, partition: number, records, offset },
          'A batch cannot be decompressed, or is far too large then; it is passed over',
        );
      },
    });
    boundDecompression(client.library);
    this.timer = setInterval(() => {
      void this.commit();
      void this.spread();
    }, COMMIT_MS);
    group.start();
  }

  private revoking(): void {
    // The requests of a connection are answered in order: this one comes before the join that ends the membership.
    void this.commit();
    this.joined = false;
  }

  /** The group has given out its partitions: looks up where to go on, and reads. */
  private async assigned(assignments: readonly Assignment[]): Promise<void> {
    const generation = ++this.generation;
    this.mine = new Set();
    this.joined = true;
    for (;;) {
      try {
        const mine = await this.resume(assignments);
        if (generation !== this.generation) return;
        this.mine = mine;
        break;
      } catch (error) {
        if (generation !== this.generation || this.stopped.signal.aborted) return;
        this.group.report(error);
        if (!(await this.wait())) return;
      }
    }
    this.context.log.debug({ partitions: this.mine.size }, 'Partitions were assigned');
    await this.spread();
  }

  /** The assigned partitions, each where it goes on. */
  private async resume(assignments: readonly Assignment[]): Promise<Set<Partition>> {
    const { consumer } = this.group;
    const mine = new Set<Partition>();
    const some = assignments.filter(({ partitions }) => partitions.length > 0);
    if (some.length === 0) return mine;
    const topics = some.map(({ topic, partitions }) => ({ topic, partitions: [...partitions] }));
    const committed = await consumer.listCommittedOffsets({ topics });
    const metadata = await consumer.metadata({ topics: topics.map(({ topic }) => topic) });
    for (const { topic, partitions } of topics) {
      const topicId = metadata.topics.get(topic)?.id ?? topic;
      for (const number of partitions) {
        const offset = Number(committed.get(topic)?.[number] ?? -1n);
        const key = `${topicId}:${number}`;
        let partition = this.partitions.get(key);
        if (partition === undefined) {
          const start = offset >= 0 ? offset : await this.startOf(topic, number);
          const name = { cluster: metadata.id, topic, topicId, partition: number };
          partition = new Partition(name, start, offset);
          this.partitions.set(key, partition);
        } else partition.resume(offset);
        mine.add(partition);
      }
    }
    return mine;
  }

  /** Where a group begins that has committed nothing yet. It commits that at once: a restart must not skip what came meanwhile. */
  private async startOf(topic: string, partition: number): Promise<number> {
    const timestamp = this.client.settings.start === 'earliest' ? EARLIEST : LATEST;
    const offsets = await this.group.consumer.listOffsets({
      topics: [topic],
      partitions: { [topic]: [partition] },
      timestamp,
    });
    return Number(offsets.get(topic)?.[partition] ?? 0n);
  }

  /** Has every broker that leads some of the partitions asked for its records. */
  private async spread(): Promise<void> {
    const { fetcher } = this;
    if (fetcher === undefined || this.stopped.signal.aborted) return;
    try {
      const nodes = await fetcher.byLeader([...this.mine]);
      for (const node of nodes.keys()) {
        if (this.pumps.has(node) || this.stopped.signal.aborted) continue;
        this.pumps.set(
          node,
          this.pump(node, fetcher).finally(() => this.pumps.delete(node)),
        );
      }
    } catch (error) {
      this.group.report(error);
    }
  }

  /** Asks one broker again and again, until it leads none of the partitions. */
  private async pump(node: number, fetcher: Fetcher): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const { generation } = this;
      try {
        const nodes = await fetcher.byLeader([...this.mine]);
        const partitions = nodes.get(node);
        if (partitions === undefined) return;
        await fetcher.turn(
          node,
          partitions,
          (partition) => generation === this.generation && this.mine.has(partition) && !signal.aborted,
        );
        this.group.recovered();
      } catch (error) {
        if (signal.aborted) return;
        this.group.report(error);
        this.group.consumer.clearMetadata();
        await this.wait();
      }
    }
  }

  /** A moment; false when it is stopped meanwhile. */
  private async wait(): Promise<boolean> {
    try {
      await pause(AGAIN_MS, undefined, { signal: this.stopped.signal });
      return true;
    } catch {
      return false;
    }
  }

  /** Tells the group what is done. Never rejects. */
  private async commit(): Promise<void> {
    if (this.committing !== undefined || !this.joined) return;
    const due = [...this.mine].flatMap((partition) => {
      const offset = partition.toCommit;
      return offset === undefined ? [] : [{ partition, offset }];
    });
    if (due.length === 0) return;
    this.committing = this.send(due).finally(() => {
      this.committing = undefined;
    });
    await this.committing;
  }

  private async send(due: readonly { partition: Partition; offset: number }[]): Promise<void> {
    try {
      await this.group.consumer.commit({
        offsets: due.map(({ partition: { name }, offset }) => ({
          topic: name.topic,
          partition: name.partition,
          offset: BigInt(offset),
          leaderEpoch: -1,
        })),
      });
      for (const { partition, offset } of due) partition.committed = Math.max(partition.committed, offset);
    } catch (error) {
      const times = this.seldomUncommitted.happened();
      if (times === 0 || !this.joined) return;
      this.context.log.warn(
        { error: describeKafkaError(error), times },
        'Offsets cannot be committed now; it is tried again, and a crash before would read records twice',
      );
    }
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await Promise.all(this.pumps.values());
  }

  async close(): Promise<void> {
    for (const end of this.observed) end();
    clearInterval(this.timer);
    await within(this.committing ?? Promise.resolve());
    await within(this.commit());
    this.joined = false;
    this.generation++;
    await within(Promise.allSettled([this.group.close(), this.connections.close()]));
  }
}

/** Waits for something, but not for ever: a broker that does not answer must not hold up the end. */
async function within(work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work, pause(CLOSE_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
  over.abort();
}
