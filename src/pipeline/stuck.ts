/**
 * What waits for long while the main loop turns: an output for an answer, an asynchronous filter for whatever it asked, an input
 * for room. Each makes the agent not ready, and is said once when it begins and once when it is over.
 */
import type { Logger } from '../telemetry/log.ts';

/** An attempt takes so long only where the destination does not answer. */
const ANSWER_MS = 20_000;
/** As long: an asynchronous filter asks somebody, too. */
const FILTER_MS = 20_000;
/** Waiting a moment for room is how backpressure works. */
const ROOM_MS = 30_000;

/** Since when something waits: monotonic milliseconds, undefined while it does not. */
type Since = number | undefined;

/** What of a running pipeline may wait. */
export interface Waiting {
  inputs: readonly {
    name: string;
    account: { pausedAt: Since };
    /** Since when a batch is in an asynchronous filter. */
    pendingSince: Since;
  }[];
  outputs: readonly {
    instance: { name: string };
    queue: {
      /** `attemptSince`: start of the oldest attempt that is under way. */
      state: { attemptSince: Since };
    };
  }[];
}

interface Stuck {
  /** What waits and for what; the same for as long as it does. */
  fields: Readonly<Record<string, string>>;
  message: string;
  since: number;
  sentence: (seconds: number) => string;
}

/** All that waits for too long at `now`, monotonic milliseconds. */
function* stuckIn({ inputs, outputs }: Waiting, now: number): Generator<Stuck> {
  const long = (since: Since, limit: number): since is number => since !== undefined && now - since >= limit;
  for (const { instance, queue } of outputs) {
    const since = queue.state.attemptSince;
    if (!long(since, ANSWER_MS)) continue;
    yield {
      fields: { output: instance.name },
      message: 'The output waits for an answer',
      since,
      sentence: (seconds) => `Output ${instance.name} has waited ${seconds} s for an answer.`,
    };
  }
  for (const { name, account, pendingSince } of inputs) {
    if (long(pendingSince, FILTER_MS)) {
      yield {
        fields: { input: name },
        message: 'Records of the input wait for a filter',
        since: pendingSince,
        sentence: (seconds) =>
          `Records of input ${name} have waited ${seconds} s for an asynchronous filter.`,
      };
    }
    if (long(account.pausedAt, ROOM_MS)) {
      yield {
        fields: { input: name },
        message: 'The input waits for room: the memory buffer is full',
        since: account.pausedAt,
        sentence: (seconds) => `Input ${name} has waited ${seconds} s for room: the memory buffer is full.`,
      };
    }
  }
}

/** A sentence for each thing that waits for too long. */
export function stuckReasons(waiting: Waiting, now = performance.now()): string[] {
  return [...stuckIn(waiting, now)].map(({ since, sentence }) => sentence(secondsOf(now - since)));
}

/** Says in the log what begins to be stuck and what goes on again. */
export class StuckWatch {
  private readonly log: Logger;
  private known = new Map<string, Stuck>();

  constructor(log: Logger) {
    this.log = log;
  }

  /** Call it about once a second. */
  look(waiting: Waiting, now = performance.now()): void {
    const current = new Map<string, Stuck>();
    for (const stuck of stuckIn(waiting, now)) {
      // Another attempt that takes as long is news; the same one is not.
      const key = `${stuck.message} ${Object.values(stuck.fields).join(' ')} ${stuck.since}`;
      current.set(key, stuck);
      if (!this.known.has(key))
        this.log.warn({ ...stuck.fields, seconds: secondsOf(now - stuck.since) }, stuck.message);
    }
    for (const [key, { fields, message, since }] of this.known) {
      if (current.has(key)) continue;
      this.log.info({ ...fields, waited_for: message, seconds: secondsOf(now - since) }, 'It waits no more');
    }
    this.known = current;
  }
}

function secondsOf(milliseconds: number): number {
  return Math.round(milliseconds / 1000);
}
