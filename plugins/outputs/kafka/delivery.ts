/**
 * One attempt: records to topics and partitions, batches to leaders, answers back to records.
 *
 * A partition takes one batch per request. What does not fit goes in the next round, and so do the halves of a batch that the broker
 * finds too large. A partition whose batch stays without answer takes nothing more in this attempt: its batch is in doubt (session.ts).
 */
import type { Connection } from '@platformatic/kafka';
import { RetryableError } from '../../../src/plugin.ts';
import type { ByteSink, Logger, Outcome, Rejection, Slice } from '../../../src/plugin.ts';
import type { CodeNames } from '../../shared/kafka/failure.ts';
import { abortable } from './abortable.ts';
import type { Address, Addresses } from './addressing.ts';
import { verdictOf } from './answers.ts';
import type { Answer, Cluster, Shipment, Topic } from './cluster.ts';
import type { Compress } from './compress.ts';
import { loseSession, said, settleDoubts } from './doubts.ts';
import { MessageHeaders, originText } from './headers.ts';
import { partitionInTurn, partitionOfKey } from './partition.ts';
import type { BatchPool, Header } from './record-batch.ts';
import type { Session } from './session.ts';
import type { WriteValues } from './values.ts';

/** What all attempts of an output share. */
export interface DeliveryOptions {
  place: string;
  cluster: Cluster;
  session: Session;
  idempotent: boolean;
  address: Address;
  values: WriteValues;
  /** Bytes behind each value that are not part of it. */
  separator: number;
  compress: Compress;
  codec: number;
  /** Bytes of a batch, uncompressed. */
  batchBytes: number;
  /** By topic, where its brokers turned out to take less. */
  learned: Map<string, number>;
  headers: boolean;
  /** Where the next attempt's records without key go, by topic. */
  turns: Map<string, number>;
  /** Topics that are the configuration's; others are named by records. */
  isConfigured: (topic: string) => boolean;
  /** How often in a row a topic that a record names was unknown. */
  unknown: Map<string, number>;
  batches: BatchPool;
  crc32c: (bytes: Buffer) => number;
  codeNames: CodeNames;
  log: Logger;
}

/** Part of the records that go to one partition. */
interface Work {
  key: string;
  topic: string;
  partition: number;
  leader: number;
  /** Indexes of records, runs that are sent one after the other, each in batches of its own. */
  runs: number[][];
}

/** A batch and the records in it. */
interface Sent extends Shipment {
  work: Work;
  indexes: number[];
  /** Bytes before compression. */
  size: number;
  sequence: number;
}

const NO_HEADERS: readonly Header[] = [];
/** A topic that a record names and that stays unknown: after this many answers the record is at fault. */
const UNKNOWN_ANSWERS = 5;
const MOST_UNKNOWN = 1000;

export class Delivery {
  private readonly options: DeliveryOptions;
  private readonly slices: readonly Slice[];
  private readonly signal: AbortSignal;
  private readonly sliceOf: Slice[] = [];
  /** Index of a record in its slice. */
  private readonly at: Int32Array;
  private readonly ends: Uint32Array;
  private readonly sink: ByteSink;
  private readonly retry: number[] = [];
  private readonly rejected: Rejection[] = [];
  private readonly messageHeaders = new MessageHeaders();
  private key: Addresses['key'] = () => undefined;
  private reason: string | undefined;
  private delivered = 0;

  constructor(options: DeliveryOptions, slices: readonly Slice[], sink: ByteSink, signal: AbortSignal) {
    this.options = options;
    this.slices = slices;
    this.signal = signal;
    this.sink = sink;
    const records = slices.reduce((sum, { length }) => sum + length, 0);
    this.at = new Int32Array(records);
    this.ends = new Uint32Array(records);
    for (const slice of slices) {
      for (let index = 0; index < slice.length; index++) {
        this.at[this.sliceOf.length] = index;
        this.sliceOf.push(slice);
      }
    }
  }

  async run(): Promise<Outcome> {
    const { session, address, values } = this.options;
    const unfit = values(this.slices, this.sink, this.ends);
    const addresses = address(this.slices, this.at.length);
    this.key = (index) => addresses.key(index);
    const refused = new Map([...unfit, ...addresses.rejected].map((one) => [one.index, one]));
    this.rejected.push(...refused.values());
    await this.openSession();
    if (session.doubts.size > 0) {
      await settleDoubts(this.options, {
        topic: (name) => this.topic(name),
        blame: (words) => this.blame(words),
        signal: this.signal,
      });
      await this.openSession();
    }
    const works = await this.assign(addresses, refused);
    while (works.some(({ runs }) => runs.length > 0)) await this.round(works);
    return this.outcome();
  }

  private async openSession(): Promise<void> {
    const { session, cluster, idempotent } = this.options;
    if (!idempotent || session.isOpen) return;
    try {
      const { producerId, producerEpoch } = await abortable(this.signal, cluster.newProducerId());
      session.open(producerId, producerEpoch);
    } catch (error) {
      this.signal.throwIfAborted();
      throw this.failure(cluster.describe(error));
    }
  }

  /** Sorts the records by partition. Those whose topic cannot be had are retried or rejected. */
  private async assign(addresses: Addresses, refused: ReadonlyMap<number, Rejection>): Promise<Work[]> {
    const { session } = this.options;
    const works = new Map<string, Work>();
    const topics = new Map<string, Topic | undefined>();
    const inTurn = new Map<string, number | undefined>();
    const inDoubt = session.originsInDoubt();
    const looksBack = session.hasHistory;
    for (let index = 0; index < this.at.length; index++) {
      if (refused.has(index)) continue;
      if (looksBack) {
        const origin = originText(this.sliceOf[index] as Slice, this.at[index] as number);
        if (origin !== undefined && session.takeStored(origin)) {
          this.delivered++;
          continue;
        }
        if (origin !== undefined && inDoubt.has(origin)) {
          this.retry.push(index);
          continue;
        }
      }
      const name = addresses.topic(index);
      if (!topics.has(name)) topics.set(name, await this.topic(name));
      const topic = topics.get(name);
      if (topic === undefined) {
        this.withoutTopic(index, name);
        continue;
      }
      const key = addresses.key(index);
      if (key === undefined && !inTurn.has(name)) inTurn.set(name, this.turn(name, topic));
      const partition = key === undefined ? inTurn.get(name) : partitionOfKey(key, topic.partitions);
      const leader = partition === undefined ? undefined : topic.leader(partition);
      const id = `${name}:${partition ?? '?'}`;
      if (partition === undefined || leader === undefined || session.doubts.has(id)) {
        this.blame(
          leader === undefined
            ? `topic "${name}" has no leader for partition ${partition ?? 'any'}: see whether all brokers are up`
            : `partition ${partition} of topic "${name}" waits for an earlier batch`,
        );
        this.retry.push(index);
        continue;
      }
      let work = works.get(id);
      if (work === undefined) {
        work = { key: id, topic: name, partition, leader, runs: [[]] };
        works.set(id, work);
      }
      work.runs[0]?.push(index);
    }
    return [...works.values()];
  }

  private turn(name: string, topic: Topic): number | undefined {
    const { turns, session } = this.options;
    const turn = turns.get(name) ?? 0;
    const partition = partitionInTurn(topic, turn, (one) => session.doubts.has(`${name}:${one}`));
    turns.set(name, (partition ?? turn) + 1);
    return partition;
  }

  /** The topic; undefined when it cannot be had now, and then the reason is known. */
  private async topic(name: string): Promise<Topic | undefined> {
    const { cluster, unknown } = this.options;
    try {
      const topic = await abortable(this.signal, cluster.topic(name, this.signal));
      unknown.delete(name);
      if (topic.partitions > 0) return topic;
      this.blame(`topic "${name}" has no partitions`);
      return undefined;
    } catch (error) {
      this.signal.throwIfAborted();
      const words = cluster.describe(error);
      this.blame(words.includes(`"${name}"`) ? words : `topic "${name}": ${words}`);
      if (unknown.size < MOST_UNKNOWN && words.includes('UNKNOWN_TOPIC'))
        unknown.set(name, (unknown.get(name) ?? 0) + 1);
      return undefined;
    }
  }

  /** A topic of the configuration is waited for; one that a record names and nobody knows is the record's fault. */
  private withoutTopic(index: number, name: string): void {
    const { isConfigured, unknown } = this.options;
    if (isConfigured(name) || (unknown.get(name) ?? 0) < UNKNOWN_ANSWERS) this.retry.push(index);
    else this.rejected.push({ index, reason: `The brokers do not know the topic "${name}".` });
  }

  /** A batch for each partition that has something left, in one request per leader. */
  private async round(works: readonly Work[]): Promise<void> {
    const byLeader = new Map<number, Work[]>();
    for (const work of works) {
      if (work.runs.length === 0) continue;
      const list = byLeader.get(work.leader);
      if (list === undefined) byLeader.set(work.leader, [work]);
      else list.push(work);
    }
    await Promise.all([...byLeader].map(([leader, list]) => this.sendTo(leader, list)));
    this.signal.throwIfAborted();
  }

  private async sendTo(leader: number, works: readonly Work[]): Promise<void> {
    const { cluster } = this.options;
    let connection: Connection;
    try {
      connection = await abortable(this.signal, cluster.connect(leader));
    } catch (error) {
      for (const work of works) this.giveBack(work, cluster.describe(error));
      cluster.forget();
      return;
    }
    const { idempotent, session } = this.options;
    if (idempotent && !session.isOpen) {
      // Another leader has just ended the session: without one nothing would be known again.
      for (const work of works) this.giveBack(work, 'the brokers do not know this producer any more');
      return;
    }
    const sent: Sent[] = [];
    for (const work of works) sent.push(await this.pack(work));
    try {
      const answers = await abortable(this.signal, cluster.produce(connection, sent));
      for (const [index, one] of sent.entries()) this.take(one, answers[index] as Answer);
    } catch (error) {
      const words = cluster.describe(error);
      for (const one of sent) this.leaveInDoubt(one, words);
      cluster.forget();
    }
  }

  /** Makes the next batch of a partition. */
  private async pack(work: Work): Promise<Sent> {
    const { session, compress, codec, crc32c, separator, batchBytes, learned, headers, batches } =
      this.options;
    const limit = learned.get(work.topic) ?? batchBytes;
    const run = work.runs[0] as number[];
    const batch = batches.take();
    let taken = 0;
    for (; taken < run.length; taken++) {
      const index = run[taken] as number;
      const start = index === 0 ? 0 : (this.ends[index - 1] as number);
      const stop = (this.ends[index] as number) - separator;
      if (taken > 0 && batch.size + stop - start > limit) break;
      const slice = this.sliceOf[index] as Slice;
      const at = this.at[index] as number;
      const timestamp = Math.max(0, slice.seconds(at) * 1000 + Math.floor(slice.nanos(at) / 1e6));
      batch.add(
        timestamp,
        this.key(index),
        this.sink.raw,
        start,
        stop,
        headers ? this.messageHeaders.of(slice, at) : NO_HEADERS,
      );
    }
    const indexes = run.slice(0, taken);
    if (taken === run.length) work.runs.shift();
    else work.runs[0] = run.slice(taken);
    const identity = session.identity(work.key);
    const bytes = batch.finish(await compress(batch.records), codec, identity, crc32c);
    const { size } = batch;
    batches.give(batch);
    return {
      work,
      indexes,
      topic: work.topic,
      partition: work.partition,
      bytes,
      size,
      sequence: identity.sequence,
    };
  }

  private take(sent: Sent, answer: Answer): void {
    const { session, cluster } = this.options;
    const { work, indexes, topic } = sent;
    // The codes of duplicates are for what was sent before: a new batch cannot be one.
    const verdict =
      answer.code !== 0 && verdictOf(answer.code) === 'stored' ? 'session_lost' : verdictOf(answer.code);
    const words = said(this.options, topic, answer);
    switch (verdict) {
      case 'stored':
        session.advance(work.key, indexes.length);
        this.delivered += indexes.length;
        return;
      case 'too_large':
        this.halve(sent, words);
        return;
      case 'refused':
        this.refuse(sent, answer, words);
        return;
      case 'in_doubt':
        this.leaveInDoubt(sent, words);
        return;
      case 'session_lost':
        loseSession(this.options, answer);
        this.retry.push(...indexes);
        this.giveBack(work, words);
        return;
      case 'moved':
        cluster.forget();
        this.retry.push(...indexes);
        this.giveBack(work, words);
        return;
      case 'failed':
        this.retry.push(...indexes);
        this.giveBack(work, words);
    }
  }

  private halve({ work, indexes, topic, size }: Sent, words: string): void {
    const [only] = indexes;
    if (indexes.length === 1 && only !== undefined) {
      this.rejected.push({
        index: only,
        status: 10,
        reason: `${words}: the message takes ${size} bytes, see max.message.bytes of the topic.`,
      });
      return;
    }
    const { learned, batchBytes } = this.options;
    const half = indexes.length >> 1;
    if (size <= (learned.get(topic) ?? batchBytes)) learned.set(topic, size >> 1);
    work.runs.unshift(indexes.slice(0, half), indexes.slice(half));
  }

  /** Rejects the records that the broker names; where it names none, halves are tried. */
  private refuse({ work, indexes }: Sent, { code, records }: Answer, words: string): void {
    const [only] = indexes;
    if (indexes.length === 1 && only !== undefined) {
      this.rejected.push({ index: only, status: code, reason: records[0]?.message ?? words });
      return;
    }
    const bad = new Map(records.map((one) => [one.index, one.message]));
    if (bad.size === 0) {
      const half = indexes.length >> 1;
      work.runs.unshift(indexes.slice(0, half), indexes.slice(half));
      return;
    }
    const good: number[] = [];
    for (const [at, index] of indexes.entries()) {
      if (bad.has(at)) this.rejected.push({ index, status: code, reason: bad.get(at) ?? words });
      else good.push(index);
    }
    if (good.length > 0) work.runs.unshift(good);
  }

  private leaveInDoubt({ work, indexes, topic, partition, bytes, sequence }: Sent, words: string): void {
    const { session, idempotent } = this.options;
    if (idempotent) {
      const origins = indexes.map(
        (index) => originText(this.sliceOf[index] as Slice, this.at[index] as number) ?? '',
      );
      session.doubt(work.key, { topic, partition, bytes, count: indexes.length, sequence, origins });
    }
    this.retry.push(...indexes);
    this.giveBack(work, words);
  }

  /** Nothing more goes to that partition in this attempt. */
  private giveBack(work: Work, words: string): void {
    for (const run of work.runs) this.retry.push(...run);
    work.runs = [];
    this.blame(words);
  }

  /** The first reason is shown. */
  private blame(words: string): void {
    this.reason ??= words;
  }

  private failure(words: string): RetryableError {
    return new RetryableError(`${this.options.place}: ${words}`);
  }

  private outcome(): Outcome {
    const { retry, rejected } = this;
    const reason = this.reason ?? 'something failed';
    if (retry.length === 0) return rejected.length === 0 ? {} : { rejected };
    if (this.delivered === 0 && rejected.length === 0) throw this.failure(reason);
    return { retry, rejected, reason: `${this.options.place}: ${reason}` };
  }
}
