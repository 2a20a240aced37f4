/** Those that wait for a pod, and for a while what was said to them: that it is not there, or not to be had. */
import type { Answer, Pod, PodQuery } from '../pods.ts';
import { wholeMs } from './contact.ts';
import { nameKey } from './pod-table.ts';

/** Answers that are believed. */
const MAX_BELIEVED = 5000;
/** Of one name: whoever makes up tags can make up ids of containers. */
const MAX_OF_NAME = 100;
/** A pod that did not become known in time is not waited for again for so long. Milliseconds. */
const LATE_MS = 30_000;

interface Waiter {
  query: PodQuery;
  resolve(answer: Answer<Pod>): void;
  /** What it gets when its time is over. */
  best(): Answer<Pod>;
  timer: NodeJS.Timeout;
  /** Monotonic milliseconds. */
  ends: number;
}

interface Believed {
  answer: 'absent' | 'unknown' | 'found';
  until: number;
}

export class Waiters {
  private readonly byName = new Map<string, Set<Waiter>>();
  /** By name, and within by uid and container. */
  private readonly said = new Map<string, Map<string, Believed>>();

  private readonly onLate: () => void;

  /** `onLate`: somebody waited in vain. */
  constructor(onLate: () => void) {
    this.onLate = onLate;
  }

  /** What was said of exactly this not long ago; `found`: what the table has is the newest. */
  believed(query: PodQuery, now: number): Believed['answer'] | undefined {
    const believed = this.said.get(nameKey(query))?.get(restOf(query));
    return believed !== undefined && now < believed.until ? believed.answer : undefined;
  }

  /** Those who were not told anything may ask again. */
  forgetUnknown(): void {
    for (const rest of this.said.values())
      for (const [key, { answer }] of rest) if (answer === 'unknown') rest.delete(key);
  }

  wait(query: PodQuery, waitMs: number, best: () => Answer<Pod>): Promise<Answer<Pod>> {
    const { promise, resolve } = Promise.withResolvers<Answer<Pod>>();
    const key = nameKey(query);
    const waiters = this.byName.get(key) ?? new Set<Waiter>();
    this.byName.set(key, waiters);
    const waiter: Waiter = {
      query,
      resolve,
      best,
      timer: setTimeout(() => this.late(waiter), wholeMs(waitMs)),
      ends: performance.now() + waitMs,
    };
    waiters.add(waiter);
    return promise;
  }

  /** One query of each name that is waited for. */
  queries(): PodQuery[] {
    return [...this.byName.values()].flatMap((waiters) => [...waiters].slice(0, 1).map(({ query }) => query));
  }

  /** Something is new of a pod of that name: whoever waits for it has it, and nothing is believed any more. */
  heard(pod: Pod, find: (query: PodQuery) => Pod | undefined): void {
    const key = nameKey(pod);
    this.said.delete(key);
    for (const waiter of this.byName.get(key) ?? []) {
      const found = find(waiter.query);
      if (found !== undefined) this.end(waiter, { found });
    }
  }

  /** All is known that can be known of that name now. */
  settle(
    query: PodQuery,
    find: (query: PodQuery) => Pod | undefined,
    otherwise: 'absent' | 'unknown',
    believedMs: number,
  ): void {
    const until = performance.now() + believedMs;
    for (const waiter of this.byName.get(nameKey(query)) ?? []) {
      const found = find(waiter.query);
      this.believe(waiter.query, { answer: found === undefined ? otherwise : 'found', until });
      this.end(waiter, found === undefined ? otherwise : { found });
    }
  }

  /** Nobody will be told anything for a while. */
  settleAll(answer: 'absent' | 'unknown', believedMs: number): void {
    const until = performance.now() + believedMs;
    for (const waiters of this.byName.values()) {
      for (const waiter of waiters) {
        const best = waiter.best();
        if (typeof best !== 'object') this.believe(waiter.query, { answer, until });
        this.end(waiter, typeof best === 'object' ? best : answer);
      }
    }
  }

  /** Gives all that wait less time: `patience` of what they have left. */
  shorten(patience: (leftMs: number) => number): void {
    const now = performance.now();
    for (const waiters of this.byName.values()) {
      for (const waiter of waiters) {
        const left = patience(waiter.ends - now);
        if (now + left >= waiter.ends) continue;
        clearTimeout(waiter.timer);
        waiter.ends = now + left;
        waiter.timer = setTimeout(() => this.late(waiter), wholeMs(left));
      }
    }
  }

  close(): void {
    for (const waiters of this.byName.values()) for (const waiter of waiters) this.end(waiter, waiter.best());
  }

  private late(waiter: Waiter): void {
    const answer = waiter.best();
    if (answer === 'unknown') this.believe(waiter.query, { answer, until: performance.now() + LATE_MS });
    this.onLate();
    this.end(waiter, answer);
  }

  private end(waiter: Waiter, answer: Answer<Pod>): void {
    clearTimeout(waiter.timer);
    const key = nameKey(waiter.query);
    const waiters = this.byName.get(key);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.byName.delete(key);
    waiter.resolve(answer);
  }

  private believe(query: PodQuery, believed: Believed): void {
    const key = nameKey(query);
    if (this.said.size >= MAX_BELIEVED && !this.said.has(key)) this.said.clear();
    const rest = this.said.get(key) ?? new Map<string, Believed>();
    this.said.set(key, rest);
    if (rest.size >= MAX_OF_NAME) rest.clear();
    rest.set(restOf(query), believed);
  }
}

function restOf({ uid = '', containerId = '' }: PodQuery): string {
  return `${uid}/${containerId}`;
}
