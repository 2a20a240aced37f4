/**
 * One attempt at delivering records to their streams: a request after the other to each stream, in the order of the records' times, and
 * to several streams at once. After a failure nothing more goes to that stream; after one that concerns all of them, to none.
 */
import { allDelivered, RetryableError, SplitError } from '../../../src/plugin.ts';
import type { Outcome, Rejection, SinkPool, Slice } from '../../../src/plugin.ts';
import type { LogsApi } from './api.ts';
import { BatchWriter, Records } from './batches.ts';
import type { Batch } from './batches.ts';
import { isMissing, MissingGroupError } from './creation.ts';
import type { Creation } from './creation.ts';
import type { MessageOf } from './messages.ts';
import type { Names, Target } from './names.ts';
import { rejectedEvents } from './rejected.ts';

/** Requests at once, each to another stream. */
const AT_ONCE = 4;

export interface AttemptTools {
  api: LogsApi;
  creation: Creation;
  names: Names;
  message: MessageOf;
  maxEventBytes: number;
  /** Why a record without a message has none. */
  noMessage: string;
  sinks: SinkPool;
}

/** Records of one stream. */
interface Run {
  target: Target;
  /** In order of time, once sorted. */
  indexes: number[];
}

/** A request that was refused for what is in it. */
interface Refused extends Run {
  error: SplitError;
}

export class DeliveryAttempt {
  private readonly tools: AttemptTools;
  private readonly records: Records;
  private readonly signal: AbortSignal;
  private readonly runs: Run[];
  private readonly rejected = new Map<number, Rejection>();
  private readonly retry = new Set<number>();
  private refused: Refused[] = [];
  /** The first error of the destination. */
  private failure: RetryableError | undefined;
  private retryAfterMs: number | undefined;
  /** Nothing more is sent. */
  private over = false;
  /** Records of requests that were taken. */
  private taken = 0;

  constructor(tools: AttemptTools, slices: readonly Slice[], signal: AbortSignal) {
    this.tools = tools;
    this.records = new Records(slices);
    this.signal = signal;
    this.runs = groupByStream(slices, tools.names);
  }

  /** Throws when nothing was taken and the destination is at fault, or refuses what it was sent. */
  async run(): Promise<Outcome> {
    for (const { indexes } of this.runs) this.records.sort(indexes);
    await this.sendAll(this.runs);
    // The queue halves what is refused as a whole, and knows when the destination is at fault after all. What is refused beside others
    // that were taken is halved here: the others are not sent again.
    if (this.taken === 0) {
      const [refused] = this.refused;
      if (this.failure !== undefined && !this.onlySomeGroupsMiss) throw this.failure;
      if (refused !== undefined) throw refused.error;
    }
    while (this.refused.length > 0) {
      const { refused } = this;
      this.refused = [];
      await this.sendAll(refused.flatMap((run) => this.halves(run)));
    }
    if (this.retry.size === 0 && this.rejected.size === 0) return allDelivered;
    const { failure, retryAfterMs } = this;
    return {
      retry: [...this.retry],
      rejected: [...this.rejected.values()],
      ...(failure === undefined ? {} : { reason: failure.message }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  /** The records of the groups that are missing wait alone; those of others do not wait for them. */
  private get onlySomeGroupsMiss(): boolean {
    return this.tools.names.manyGroups && isOfItsGroup(this.failure);
  }

  private halves({ target, indexes, error }: Refused): Run[] {
    const [only] = indexes;
    if (only !== undefined && indexes.length === 1) {
      this.reject(only, error.message, error.status);
      return [];
    }
    const middle = indexes.length >> 1;
    return [
      { target, indexes: indexes.slice(0, middle) },
      { target, indexes: indexes.slice(middle) },
    ];
  }

  /** Sends runs, several at once; those of one stream follow each other. */
  private async sendAll(runs: readonly Run[]): Promise<void> {
    const byTarget = Map.groupBy(runs, ({ target }) => target);
    const queue = byTarget.values();
    const lane = async (): Promise<void> => {
      for (const sequence of queue) for (const run of sequence) await this.send(run);
    };
    const ends = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, byTarget.size) }, lane));
    const defect = ends.find((end) => end.status === 'rejected');
    if (defect !== undefined) throw defect.reason;
  }

  private async send({ target, indexes }: Run): Promise<void> {
    const { message, maxEventBytes, noMessage, sinks } = this.tools;
    const writer = new BatchWriter(target, indexes, { records: this.records, message, maxEventBytes });
    const sink = sinks.take();
    for (;;) {
      if (this.over) {
        this.sendAgain(writer.rest);
        break;
      }
      sink.length = 0;
      const batch = writer.write(sink);
      if (batch === undefined) break;
      try {
        await this.put(target, batch, sink.bytes);
      } catch (error) {
        if (error instanceof SplitError) {
          writer.skipParts();
          this.refused.push({ target, indexes: batch.records, error });
          continue;
        }
        this.failed(error);
        this.sendAgain(batch.records);
        this.sendAgain(writer.rest);
        // The sink is not handed back: an aborted request may still be reading it.
        return;
      }
    }
    for (const index of writer.empty) this.reject(index, noMessage);
    sinks.give(sink);
  }

  private async put(target: Target, batch: Batch, body: Buffer): Promise<void> {
    const { api, creation } = this.tools;
    let info;
    try {
      await creation.finish(target.group, this.signal);
      info = await api.putEvents(target, body, this.signal);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await creation.create(target, this.signal);
      info = await api.putEvents(target, body, this.signal);
    }
    this.taken += batch.records.length;
    if (info === undefined) return;
    for (const [event, reason] of rejectedEvents(info, batch.times, Date.now()))
      this.reject(batch.records[event] as number, reason);
  }

  private reject(index: number, reason: string, status?: number): void {
    this.rejected.set(index, { index, reason, ...(status === undefined ? {} : { status }) });
  }

  private sendAgain(indexes: readonly number[]): void {
    for (const index of indexes) this.retry.add(index);
  }

  /** Rethrows what is no failure of the destination. */
  private failed(error: unknown): void {
    // A group that is not there is the business of its own records.
    const concernsAll = !isOfItsGroup(error);
    if (concernsAll) this.over = true;
    if (!(error instanceof RetryableError)) throw error;
    // What concerns all is what is to be read in the log.
    if (this.failure === undefined || (concernsAll && isOfItsGroup(this.failure))) this.failure = error;
    if (error.retryAfterMs !== undefined)
      this.retryAfterMs = Math.max(this.retryAfterMs ?? 0, error.retryAfterMs);
  }
}

/** The group is not there, or its stream is not there yet although it was just made. */
function isOfItsGroup(error: unknown): boolean {
  return error instanceof MissingGroupError || isMissing(error);
}

/** The records of an attempt by the stream that they go to, in their order. */
function groupByStream(slices: readonly Slice[], names: Names): Run[] {
  const runs = new Map<string, Run>();
  let first = 0;
  for (const slice of slices) {
    let run: Run | undefined;
    for (let at = 0; at < slice.length; at++) {
      if (run === undefined || !names.perSlice) run = runOf(runs, names.of(slice, at));
      run.indexes.push(first + at);
    }
    first += slice.length;
  }
  return [...runs.values()];
}

function runOf(runs: Map<string, Run>, target: Target): Run {
  const key = `${target.group}\u0000${target.stream}`;
  let run = runs.get(key);
  if (run === undefined) {
    run = { target, indexes: [] };
    runs.set(key, run);
  }
  return run;
}
