/** An attempt as requests, and what became of it out of what became of them. */
import { RetryableError, SplitError } from '../../../src/plugin.ts';
import type { Outcome, Rejection } from '../../../src/plugin.ts';
import type { Entries } from './entries.ts';
import type { Plan, Stream } from './streams.ts';

/** One request: some streams of one tenant. */
export interface Push {
  tenant: string | undefined;
  streams: readonly Stream[];
}

/** What a request came to; indexes of entries, which are those of the attempt's records. */
export interface PushResult {
  rejected: readonly Rejection[];
  /** Not certain: to be sent again. */
  unclear: readonly number[];
}

/** No answer came: the next request would fare no better. */
export class NoAnswerError extends RetryableError {}

/** Requests of an attempt under way at once. */
export const PARALLEL = 8;

/** Cuts a plan: at most so many streams a request (0: all of a tenant) and about so many bytes of lines. */
export function cutPushes(plan: Plan, maxStreams: number, maxBytes: number): Push[] {
  const pushes: Push[] = [];
  for (const { tenant, streams } of plan.tenants) {
    let current: Stream[] = [];
    let bytes = 0;
    const close = (): void => {
      if (current.length > 0) pushes.push({ tenant, streams: current });
      current = [];
      bytes = 0;
    };
    for (const stream of streams) {
      for (const part of cutStream(stream, plan.entries, maxBytes)) {
        const size = lineBytes(part, plan.entries);
        if (current.length === maxStreams || bytes + size > maxBytes) close();
        current.push(part);
        bytes += size;
        if (maxStreams === 1) close();
      }
    }
    close();
  }
  return pushes;
}

/** Bytes of the lines of a request: what Loki counts against its rates. */
export function pushBytes(push: Push, entries: Entries): number {
  return push.streams.reduce((sum, stream) => sum + lineBytes(stream, entries), 0);
}

function lineBytes(stream: Stream, entries: Entries): number {
  return stream.entries.reduce((sum, entry) => sum + entries.lineLength(entry), 0);
}

function cutStream(stream: Stream, entries: Entries, maxBytes: number): Stream[] {
  if (lineBytes(stream, entries) <= maxBytes) return [stream];
  const parts: Stream[] = [];
  let start = 0;
  let bytes = 0;
  stream.entries.forEach((entry, at) => {
    const size = entries.lineLength(entry);
    if (at > start && bytes + size > maxBytes) {
      parts.push({ labels: stream.labels, entries: stream.entries.slice(start, at) });
      start = at;
      bytes = 0;
    }
    bytes += size;
  });
  parts.push({ labels: stream.labels, entries: stream.entries.slice(start) });
  return parts;
}

/**
 * Sends the requests: tenant after tenant, the streams of a tenant side by side, the pieces of a stream one after the other. One that
 * fails holds up no other, unless no answer came at all. Throws like `deliver` when nothing was taken; else says which records are to be
 * sent again.
 */
export async function sendPushes(
  plan: Plan,
  pushes: readonly Push[],
  send: (push: Push) => Promise<PushResult>,
): Promise<Outcome> {
  const rejected: Rejection[] = [...plan.rejected];
  const retry: number[] = [];
  const errors: Error[] = [];
  let answered = plan.rejected.length > 0;
  /** No further request is worth the while. */
  let over = false;
  let defect: unknown;

  const sendOne = async (push: Push): Promise<void> => {
    if (over) {
      addEntries(push, retry);
      return;
    }
    try {
      const result = await send(push);
      rejected.push(...result.rejected);
      retry.push(...result.unclear);
      answered = true;
    } catch (error) {
      if (error instanceof RetryableError || error instanceof SplitError) errors.push(error);
      else defect ??= error;
      over ||= error instanceof NoAnswerError || defect !== undefined;
      addEntries(push, retry);
    }
  };
  for (const lanes of lanesByTenant(pushes)) {
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < lanes.length) for (const push of lanes[next++] ?? []) await sendOne(push);
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, lanes.length) }, work));
  }
  // Only now: until then other requests may still read the records.
  if (defect !== undefined) throw defect;

  const [first] = errors;
  // What must be halved is halved only when nothing of it was taken; else it comes back alone and is then.
  if (first !== undefined && !answered) throw errors.find((error) => error instanceof SplitError) ?? first;
  if (retry.length === 0 && rejected.length === 0) return {};
  const waits = errors.flatMap((error) =>
    error instanceof RetryableError ? (error.retryAfterMs ?? []) : [],
  );
  return {
    retry,
    rejected,
    ...(waits.length === 0 ? {} : { retryAfterMs: Math.max(...waits) }),
    ...(retry.length === 0 ? {} : { reason: first?.message ?? 'Loki did not say which entries it took' }),
  };
}

function addEntries(push: Push, into: number[]): void {
  for (const { entries } of push.streams) for (const entry of entries) into.push(entry);
}

/** By tenant, the requests that must be sent one after the other: the pieces of a stream follow each other. */
function lanesByTenant(pushes: readonly Push[]): Push[][][] {
  const tenants: Push[][][] = [];
  let before: Push | undefined;
  for (const push of pushes) {
    if (before === undefined || before.tenant !== push.tenant) tenants.push([]);
    const lanes = tenants.at(-1) as Push[][];
    const isNextPiece = before?.streams.at(-1)?.labels === push.streams[0]?.labels;
    if (isNextPiece && lanes.length > 0) lanes.at(-1)?.push(push);
    else lanes.push([push]);
    before = push;
  }
  return tenants;
}
