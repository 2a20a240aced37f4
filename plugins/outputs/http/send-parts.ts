/** Sends the parts of an attempt in order and makes one outcome of theirs. */
import { allDelivered, RetryableError, SplitError } from '../../../src/plugin.ts';
import type { Outcome, Rejection } from '../../../src/plugin.ts';
import type { Part } from './requests.ts';

/**
 * `send` returns what the part's records came to (rejections by the attempt's indexes) and throws like `deliver`. As long as nothing
 * was delivered, such an error is the attempt's; afterwards the part that failed and those behind it are asked for again, so that
 * nothing goes out twice.
 */
export async function sendParts(
  parts: readonly Part[],
  send: (part: Part) => Promise<Rejection[]>,
): Promise<Outcome> {
  const rejected: Rejection[] = [];
  for (const [at, part] of parts.entries()) {
    try {
      rejected.push(...(await send(part)));
    } catch (error) {
      if (error instanceof SplitError && part.length === 1 && parts.length > 1) {
        rejected.push({
          index: part.index,
          reason: error.message,
          ...(error.status === undefined ? {} : { status: error.status }),
        });
        continue;
      }
      if (at === 0) throw error;
      return leftOver(parts.slice(at), rejected, error);
    }
  }
  return rejected.length === 0 ? allDelivered : { rejected };
}

function leftOver(parts: readonly Part[], rejected: readonly Rejection[], error: unknown): Outcome {
  const retry = parts.flatMap(({ index, length }) => Array.from({ length }, (_, offset) => index + offset));
  return {
    retry,
    rejected,
    ...(error instanceof Error ? { reason: error.message } : {}),
    ...(error instanceof RetryableError && error.retryAfterMs !== undefined
      ? { retryAfterMs: error.retryAfterMs }
      : {}),
  };
}
