/**
 * Sends the events of an attempt. Splunk names the first event that it does not take and takes none behind it; whether it kept those before
 * is not documented, so they are sent once more (DELIVERY.md, rule 22), and what is behind goes out in a request of its own.
 */
import { allDelivered, RetryableError, SplitError } from '../../../src/plugin.ts';
import type { Outcome, Rejection } from '../../../src/plugin.ts';
import type { Accepted, BadEvent } from './answer.ts';

/** Events refused one by one without one acceptance, from which on something else is at fault (rule 21). */
const MANY = 16;
/** Refused events of one attempt; the rest is for the next. */
const MOST_REFUSED = 200;

type Range = readonly [from: number, to: number];

export interface Exchange {
  /** Posts the events from `from` to `to` (exclusive). Throws RetryableError and SplitError. */
  post: (from: number, to: number) => Promise<Accepted | BadEvent>;
  /** Resolves when a request's events are indexed; absent where nobody waits for that. */
  indexed?: ((ackId: number) => Promise<void>) | undefined;
}

/** Answers like `deliver` for `total` events. */
export async function sendEvents(total: number, { post, indexed }: Exchange): Promise<Outcome> {
  const rejected: Rejection[] = [];
  const open: Range[] = [[0, total]];
  const acknowledged: Promise<{ range: Range; error?: Error }>[] = [];
  const failed: Range[] = [];
  let accepted = 0;
  let failure: Error | undefined;
  for (let range = open.shift(); range !== undefined; range = open.shift()) {
    const [from, to] = range;
    let answer: Accepted | BadEvent;
    try {
      if (rejected.length >= MOST_REFUSED)
        throw new RetryableError('Splunk refuses many events; the rest is sent by itself');
      answer = await post(from, to);
    } catch (error) {
      if (accepted === 0 && rejected.length === 0) throw error;
      if (error instanceof SplitError && to - from === 1) {
        rejected.push(rejectionOf(from, error.message, error.status));
        continue;
      }
      if (!(error instanceof RetryableError || error instanceof SplitError)) throw error;
      failure = error;
      failed.push(range, ...open.splice(0));
      break;
    }
    if ('event' in answer) {
      const bad = from + answer.event;
      rejected.push(rejectionOf(bad, answer.reason, answer.status));
      if (accepted === 0 && (rejected.length >= MANY || total === 1))
        throw new SplitError(answer.reason, answer.status);
      open.unshift(
        ...(
          [
            [from, bad],
            [bad + 1, to],
          ] as const
        ).filter(([start, stop]) => start < stop),
      );
      continue;
    }
    accepted += to - from;
    const { ackId } = answer;
    if (ackId === undefined || indexed === undefined) continue;
    acknowledged.push(
      indexed(ackId).then(
        () => ({ range }),
        (error: Error) => ({ range, error }),
      ),
    );
  }
  for (const { range, error } of await Promise.all(acknowledged)) {
    if (error === undefined) continue;
    if (!(error instanceof RetryableError)) throw error;
    failure ??= error;
    failed.push(range);
    accepted -= range[1] - range[0];
  }
  if (failure !== undefined && accepted === 0 && rejected.length === 0) throw failure;
  if (accepted === 0 && failure === undefined && rejected.length > 0) {
    // Nothing at all was taken: the queue halves, and finds out whose fault it is.
    throw new SplitError(rejected[0]?.reason ?? '', rejected[0]?.status);
  }
  if (rejected.length === 0 && failed.length === 0) return allDelivered;
  return {
    rejected,
    retry: failed.flatMap(([from, to]) => Array.from({ length: to - from }, (_, offset) => from + offset)),
    ...(failure === undefined ? {} : { reason: failure.message }),
    ...(failure instanceof RetryableError && failure.retryAfterMs !== undefined
      ? { retryAfterMs: failure.retryAfterMs }
      : {}),
  };
}

function rejectionOf(index: number, reason: string, status: number | undefined): Rejection {
  return { index, reason, ...(status === undefined ? {} : { status }) };
}
