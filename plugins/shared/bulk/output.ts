/**
 * What the outputs have in common that speak the bulk protocol: bodies, answers, outcomes. How a request reaches a host is the store's own
 * client's business ({@link BulkSender}).
 */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { requireSuccess, RetryableError, SinkPool, SplitError } from '../../../src/plugin.ts';
import type { ByteSink, Output, Outcome, OutputContext, Slice } from '../../../src/plugin.ts';
import { readAnswer, requestError } from './answer.ts';
import type { ItemAnswer } from './answer.ts';
import { BulkBody } from './body.ts';
import type { BodyOptions, Cursor, Item } from './body.ts';
import { conflictingField, moveConflict } from './conflict.ts';
import { Tally } from './tally.ts';

/** A whole answer, whatever its status. */
export interface BulkResponse {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  text: string;
  /** The host that answered, for messages. */
  place: string;
  /** There was more of it than is kept. */
  cut: boolean;
}

/** Sends bulk requests by the store's client. */
export interface BulkSender {
  /** One request, to one host. Throws {@link RetryableError} when there is no answer, and the signal's reason when that is aborted. */
  send(body: Buffer, gzipped: boolean, signal: AbortSignal): Promise<BulkResponse>;
  /** For messages that are about no single host. */
  readonly place: string;
  close(): Promise<void>;
}

export interface BulkOutputOptions extends BodyOptions {
  compress: 'gzip' | undefined;
  on_mapping_conflict: 'off' | 'stringify';
  trace_output: boolean;
  trace_error: boolean;
}

/** Of a body or an item in the log with trace_output and trace_error, characters. */
const TRACED = 4000;

const compress = promisify(gzip);

export class BulkOutput implements Output {
  private readonly options: BulkOutputOptions;
  private readonly sender: BulkSender;
  private readonly context: OutputContext;
  private readonly pool = new SinkPool();
  private readonly idle: BulkBody[] = [];

  private readonly signing: { close(): Promise<void> } | undefined;

  /** `signing` ends with the output. */
  constructor(
    options: BulkOutputOptions,
    sender: BulkSender,
    context: OutputContext,
    signing?: { close(): Promise<void> },
  ) {
    this.options = options;
    this.sender = sender;
    this.context = context;
    this.signing = signing;
    // Shows what cannot be compiled before the first record comes.
    this.idle.push(new BulkBody(options));
  }

  async deliver(slices: readonly Slice[], signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    const tally = new Tally(this.options.write_operation);
    const body = this.idle.pop() ?? new BulkBody(this.options);
    let sink = this.pool.take();
    const conflicts: Item[] = [];
    const cursor: Cursor = { slice: 0, at: 0, index: 0 };
    while (cursor.slice < slices.length) {
      sink.length = 0;
      const indexes = body.fill(slices, cursor, sink, tally.rejected);
      body.leave();
      if (indexes.length === 0) continue;
      try {
        const answers = await this.request(sink.bytes, indexes.length, signal);
        if (answers === undefined) tally.take(indexes.length);
        else conflicts.push(...this.settle(answers, indexes, slices, tally));
        if (conflicts.length === 0 && !tally.hasResults) {
          // It takes nothing now: the other bodies would only come to the same.
          tally.again(rest(slices, cursor), 'the requests before were not taken');
          break;
        }
      } catch (error) {
        if (!tally.hasResults || signal.aborted) throw error;
        // The request that failed may still be reading what it was given.
        sink = this.pool.take();
        if (error instanceof SplitError && indexes.length === 1) {
          tally.reject(indexes[0] as number, { status: error.status ?? 0, type: '', reason: error.message });
          continue;
        }
        tally.again([...indexes, ...rest(slices, cursor)], ...reasonOf(error));
        break;
      }
    }
    if (conflicts.length > 0 && !(await this.sendConflicts(conflicts, body, sink, tally, signal)))
      sink = this.pool.take();
    this.pool.give(sink);
    this.idle.push(body);
    return tally.outcome(this.sender.place);
  }

  async close(): Promise<void> {
    await this.sender.close();
    await this.signing?.close();
  }

  /** Settles the items of an answer; answers with those whose conflict can be mended. */
  private settle(
    answers: readonly ItemAnswer[],
    indexes: readonly number[],
    slices: readonly Slice[],
    tally: Tally,
  ): Item[] {
    const conflicts: Item[] = [];
    let shown = !this.options.trace_error;
    for (const [at, answer] of answers.entries()) {
      const index = indexes[at] as number;
      if (!tally.item(index, answer)) continue;
      if (!shown) {
        shown = true;
        this.context.log.warn(
          { status: answer.status, reason: answer.reason, document: jsonOf(slices, index).slice(0, TRACED) },
          'A record was rejected',
        );
      }
      const mended =
        this.options.on_mapping_conflict === 'stringify' ? mend(answer, slices, index) : undefined;
      if (mended === undefined) tally.reject(index, answer);
      else conflicts.push(mended);
    }
    return conflicts;
  }

  /**
   * Records whose fields were moved are sent once more, in one request; what comes of that counts. Answers whether there was an answer:
   * else the sink may still be read.
   */
  private async sendConflicts(
    items: readonly Item[],
    body: BulkBody,
    sink: ByteSink,
    tally: Tally,
    signal: AbortSignal,
  ): Promise<boolean> {
    sink.length = 0;
    const indexes: number[] = [];
    for (const item of items) {
      if (body.add(item, sink)) indexes.push(item.index);
      else if (indexes.length === 0)
        tally.reject(item.index, {
          status: 413,
          type: '',
          reason: 'Without its mapping conflict it is larger than bulk_max_size.',
        });
      // The next attempt has room for it.
      else tally.again([item.index], 'the records with mapping conflicts do not fit into one request');
    }
    body.leave();
    if (indexes.length === 0) return true;
    try {
      const answers = await this.request(sink.bytes, indexes.length, signal);
      if (answers === undefined) tally.take(indexes.length);
      else {
        for (const [at, answer] of answers.entries()) {
          const index = indexes[at] as number;
          if (tally.item(index, answer)) tally.reject(index, answer);
        }
      }
    } catch (error) {
      if (signal.aborted) throw error;
      tally.again(indexes, ...reasonOf(error));
      return false;
    }
    return true;
  }

  /** One request; answers for its items, undefined when all were taken. */
  private async request(
    bytes: Buffer,
    count: number,
    signal: AbortSignal,
  ): Promise<ItemAnswer[] | undefined> {
    const gzipped = this.options.compress === 'gzip';
    if (this.options.trace_output)
      this.context.log.info({ records: count, body: bytes.toString('utf8', 0, TRACED) }, 'A bulk request');
    const response = await this.sender.send(gzipped ? await compress(bytes) : bytes, gzipped, signal);
    const { place, text, cut } = response;
    if (response.status < 200 || response.status >= 300)
      requireSuccess({ ...response, text: requestError(text) }, place, true);
    if (cut) {
      throw new SplitError(
        `${place} said more about ${count} records than buffer_size keeps, so that nothing is known of them`,
      );
    }
    try {
      return readAnswer(text, count);
    } catch (error) {
      throw new RetryableError(
        `${place} answered ${response.status} with ${(error as Error).message}: check host, port and path`,
        { cause: error },
      );
    }
  }
}

/** The record of an index, for a second try without the field that its rejection names. */
function mend(answer: ItemAnswer, slices: readonly Slice[], index: number): Item | undefined {
  if (answer.status !== 400) return undefined;
  const field = conflictingField(answer.reason);
  if (field === undefined) return undefined;
  const { slice, at } = locate(slices, index);
  const text = moveConflict(slice.record(at), field);
  return text === undefined ? undefined : { slice, at, index, text };
}

function locate(slices: readonly Slice[], index: number): { slice: Slice; at: number } {
  let at = index;
  for (const slice of slices) {
    if (at < slice.length) return { slice, at };
    at -= slice.length;
  }
  throw new Error(`There is no record ${index}.`);
}

function jsonOf(slices: readonly Slice[], index: number): string {
  const { slice, at } = locate(slices, index);
  return slice.json(at);
}

/** The indexes behind the cursor. */
function rest(slices: readonly Slice[], cursor: Cursor): number[] {
  const total = slices.reduce((sum, slice) => sum + slice.length, 0);
  return Array.from({ length: total - cursor.index }, (_, offset) => cursor.index + offset);
}

function reasonOf(error: unknown): [reason: string, waitMs?: number] {
  const message = error instanceof Error ? error.message : String(error);
  const wait = error instanceof RetryableError ? error.retryAfterMs : undefined;
  return wait === undefined ? [message] : [message, wait];
}
