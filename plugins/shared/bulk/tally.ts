/** What the records of an attempt came to, item by item (DELIVERY.md, rules 19 to 22). */
import { allDelivered, RetryableError } from '../../../src/plugin.ts';
import type { Outcome, Rejection } from '../../../src/plugin.ts';
import type { ItemAnswer } from './answer.ts';

export type Verdict = 'delivered' | 'retry' | 'rejected';

export type Operation = 'create' | 'index' | 'update' | 'upsert';

/** Reasons of a 400 that no record is at fault for: the configuration here or there is, and would be for every record. */
const SETUP = [
  /^illegal_argument_exception: pipeline with id \[.*\] does not exist/,
  /^illegal_argument_exception: only write ops with an op_type of create are allowed in data streams/,
  /this action would add \[\d+\] (?:total )?shards, but this cluster currently has/,
];

const ADVICE: Readonly<Record<number, string>> = {
  401: 'check user and password or key',
  403: 'the credentials may not write there, or the index is closed to writing: check roles, blocks and disk space',
  404: 'create the index, or let it be created (action.auto_create_index), and check its name',
};

/** What an item's answer means for its record. */
export function judge({ status, type, reason }: ItemAnswer, operation: Operation): Verdict {
  if (status >= 200 && status < 300) return 'delivered';
  // What is there already was delivered before: an id belongs to one record. Other operations only meet another writer.
  if (status === 409) return operation === 'create' ? 'delivered' : 'retry';
  if (status === 404 && type === 'document_missing_exception') return 'rejected';
  if (status < 400 || status >= 500 || status === 408 || status === 429 || ADVICE[status] !== undefined)
    return 'retry';
  return SETUP.some((pattern) => pattern.test(reason)) ? 'retry' : 'rejected';
}

export class Tally {
  private readonly operation: Operation;
  readonly rejected: Rejection[] = [];
  private readonly retry: number[] = [];
  private delivered = 0;
  /** Why the first record is to be sent again. */
  private why: string | undefined;
  private waitMs: number | undefined;

  constructor(operation: Operation) {
    this.operation = operation;
  }

  /** Something of the attempt is settled: an error is no longer about all of it. */
  get hasResults(): boolean {
    return this.delivered > 0 || this.rejected.length > 0;
  }

  /** All these were delivered. */
  take(count: number): void {
    this.delivered += count;
  }

  /** One item's answer; answers whether it was rejected, which is then the caller's to settle. */
  item(index: number, answer: ItemAnswer): boolean {
    const verdict = judge(answer, this.operation);
    if (verdict === 'rejected') return true;
    if (verdict === 'delivered') this.delivered++;
    else this.again([index], describe(answer));
    return false;
  }

  reject(index: number, { status, reason }: ItemAnswer): void {
    this.rejected.push({ index, status, reason: reason === '' ? `It was answered with ${status}.` : reason });
  }

  /** These are to be sent again. */
  again(indexes: readonly number[], reason: string, waitMs?: number): void {
    for (const index of indexes) this.retry.push(index);
    this.why ??= reason;
    this.waitMs ??= waitMs;
  }

  /** The outcome of all. Throws {@link RetryableError} when the destination took nothing and is at fault. */
  outcome(place: string): Outcome {
    const { retry, rejected, why, waitMs } = this;
    if (retry.length === 0) return rejected.length === 0 ? allDelivered : { rejected };
    const reason = `${place}: ${retry.length} records were not taken: ${why}`;
    if (!this.hasResults) throw new RetryableError(reason, { retryAfterMs: waitMs });
    return { retry, rejected, reason, ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }) };
  }
}

function describe({ status, reason }: ItemAnswer): string {
  const advice = ADVICE[status];
  const said = reason === '' ? '' : ` ${reason}`;
  return `${status}${said}${advice === undefined ? '' : `: ${advice}`}`;
}
