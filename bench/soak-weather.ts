/** What befalls the destination of a soak: weather that changes at random, from a seed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Sink } from './sink.ts';

/** mulberry32, below 1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const KINDS = ['good', 'slow', 'flaky', 'silent', 'down'] as const;

export class SoakWeather {
  /** How often each kind of weather came. */
  readonly counts: Record<string, number> = {};
  private readonly sink: Sink;
  private readonly random: () => number;
  private readonly over = new AbortController();
  private changing: Promise<void> | undefined;

  constructor(sink: Sink, random: () => number) {
    this.sink = sink;
    this.random = random;
  }

  start(): void {
    this.changing = this.change();
  }

  /** From now on it is good. */
  async stop(): Promise<void> {
    this.over.abort();
    await this.changing;
    await this.sink.be({ kind: 'good' });
  }

  private async change(): Promise<void> {
    const { signal } = this.over;
    while (!signal.aborted) {
      const kind = KINDS[Math.floor(this.random() * KINDS.length)] ?? 'good';
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      const down = kind === 'down';
      if (kind === 'slow') await this.sink.be({ kind, ms: 200 + this.random() * 1000 });
      else if (kind === 'flaky') await this.sink.be({ kind, share: 0.2 });
      else if (kind === 'down') await this.sink.close();
      else await this.sink.be({ kind });
      // Of five, two are such that nothing is delivered: they are shorter, or the backlog would only grow.
      const seconds = kind === 'silent' || down ? 2 + this.random() * 8 : 5 + this.random() * 15;
      await pause(seconds * 1000, undefined, { signal }).catch(() => undefined);
      if (down) await this.sink.open();
    }
  }
}
