/**
 * Membership in a consumer group: joins, joins again after whatever ended it, and says which partitions are this member's.
 *
 * The library sends the heartbeats by a timer of its own, so they go on while the pipeline has no room; when one says that the group
 * rebalances, it joins again by itself. It gives up where that fails: then this does.
 */
import type { Consumer } from '@platformatic/kafka';
import type { Logger } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import type { KafkaClient } from '../../shared/kafka/client.ts';
import { describeKafkaError, isUnknownTopic } from '../../shared/kafka/failure.ts';

export interface Assignment {
  topic: string;
  partitions: readonly number[];
}

export interface GroupEvents {
  /** The partitions of this member from now on. */
  assigned(assignments: readonly Assignment[]): void;
  /** They are given back in a moment: the last chance to commit. */
  revoking(): void;
}

export interface GroupOptions {
  groupId: string;
  topics: readonly string[];
}

/** Between two attempts to join. Milliseconds. */
const REJOIN_MS = 1000;
/** Between two looks for topics that were missing and for partitions that are new. Milliseconds. */
const LOOK_MS = 10_000;
/** A request of the group may wait for all members to join. Milliseconds beyond the time for that. */
const PATIENCE_MS = 5000;

export class Group {
  readonly consumer: Consumer;
  private readonly client: KafkaClient;
  private readonly options: GroupOptions;
  private readonly events: GroupEvents;
  private readonly log: Logger;
  private readonly failures = new Rarely();
  private failing = false;
  private closed = false;
  private joining = false;
  private timer: NodeJS.Timeout | undefined;
  /** By topic its id and number of partitions, as they were when it joined. */
  private readonly known = new Map<string, string>();

  constructor(client: KafkaClient, options: GroupOptions, events: GroupEvents, log: Logger) {
    this.client = client;
    this.options = options;
    this.events = events;
    this.log = log;
    const { settings, library } = client;
    this.consumer = new library.Consumer({
      ...client.options,
      requestTimeout: settings.sessionTimeoutMs + PATIENCE_MS,
      groupId: options.groupId,
      ...(settings.groupInstanceId === undefined ? {} : { groupInstanceId: settings.groupInstanceId }),
      sessionTimeout: settings.sessionTimeoutMs,
      rebalanceTimeout: settings.sessionTimeoutMs,
      heartbeatInterval: settings.heartbeatMs,
      autocommit: false,
    });
    this.consumer.on('consumer:group:join', ({ assignments }) => {
      this.recovered();
      events.assigned(assignments ?? []);
    });
    this.consumer.on('consumer:group:rebalance', () => events.revoking());
    // A join by the library failed; it does not try again.
    this.consumer.on('error', (error: Error) => {
      this.report(error);
      this.schedule(REJOIN_MS);
    });
  }

  start(): void {
    void this.join();
  }

  private async join(): Promise<void> {
    if (this.closed || this.joining) return;
    this.joining = true;
    let wait = LOOK_MS;
    try {
      this.client.refresh();
      if (await this.look()) {
        if (this.consumer.isActive()) this.events.revoking();
        await this.consumer.joinGroup({});
      }
    } catch (error) {
      this.report(error);
      wait = REJOIN_MS;
    } finally {
      this.joining = false;
      this.schedule(wait);
    }
  }

  /** Looks which topics there are; true when it has to join for what it found, or is in no group. */
  private async look(): Promise<boolean> {
    let changed = !this.consumer.isActive();
    for (const topic of this.options.topics) {
      try {
        const metadata = await this.consumer.metadata({ topics: [topic] });
        const { id = '', partitionsCount = 0 } = metadata.topics.get(topic) ?? {};
        const shape = `${id}:${partitionsCount}`;
        if (this.known.get(topic) === shape) continue;
        this.known.set(topic, shape);
        if (!this.consumer.topics.has(topic)) this.consumer.topics.track(topic);
        changed = true;
      } catch (error) {
        if (!isUnknownTopic(error)) throw error;
        this.report(error);
        if (this.known.delete(topic)) this.consumer.topics.untrack(topic);
      }
    }
    return changed && this.known.size > 0;
  }

  private schedule(milliseconds: number): void {
    clearTimeout(this.timer);
    if (!this.closed) this.timer = setTimeout(() => void this.join(), milliseconds);
  }

  /** Says what went wrong, seldom. */
  report(error: unknown): void {
    if (this.closed) return;
    this.failing = true;
    const times = this.failures.happened();
    if (times === 0) return;
    const { groupId } = this.options;
    this.log.warn(
      { brokers: this.client.place, group: groupId, error: describeKafkaError(error), times },
      'Kafka cannot be read now; it is tried again',
    );
  }

  /** It works. */
  recovered(): void {
    if (!this.failing) return;
    this.failing = false;
    this.log.info({ brokers: this.client.place, group: this.options.groupId }, 'Kafka can be read again');
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    await this.consumer.close(true);
  }
}
