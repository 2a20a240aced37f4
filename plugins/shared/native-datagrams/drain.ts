/**
 * Empties a socket whenever something came. As long as more is known to be there, or to come soon, no signal is wanted; each turn of the
 * loop takes a burst at most, so that others get theirs.
 */
import type { InputContext } from '../../../src/plugin.ts';
import { onArrival } from './arrivals.ts';
import type { NativeSocket } from './socket.ts';

/** What a look at a socket found: `all` that was there, or a burst, behind which there may be `more`. */
export type Found = 'none' | 'all' | 'more';

export interface Drained {
  socket: NativeSocket;
  /** Takes what is there, up to a burst. */
  take: () => Found;
  /** What was taken can go on its way. The promise says when to go on; nothing is taken before. */
  flush: () => Promise<void> | undefined;
  /**
   * While datagrams come one upon the other, they are looked for after this time instead of being signalled one by one: each signal costs
   * more than the datagram. 0: never. Milliseconds.
   */
  paceMs: number;
}

/** Milliseconds until receiving is tried again after a failure. */
const AGAIN_MS = 1000;

export class Drain {
  private readonly drained: Drained;
  private readonly context: InputContext;
  private readonly forget: () => void;
  private timer: NodeJS.Timeout | undefined;
  private isOver = false;
  /** Somebody looks anyway, or there is no room: no signal is wanted. */
  private isBusy = true;
  /** The next look is after the pace. */
  private isPaced = false;
  /** When something was there the last time. */
  private foundAt = Number.NEGATIVE_INFINITY;

  constructor(drained: Drained, context: InputContext) {
    this.drained = drained;
    this.context = context;
    this.forget = onArrival(this.onArrival);
  }

  /** Throws a sentence when the kernel cannot be asked for signals. */
  start(): void {
    this.signal(true);
    // What came before the first signal.
    this.look();
  }

  /** Nothing is taken any more. */
  close(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    this.forget();
  }

  private readonly onArrival = (): void => {
    if (!this.isBusy) this.look();
  };

  private readonly look = (): void => {
    if (this.isOver) return;
    try {
      this.takeAndGoOn();
    } catch (error) {
      this.context.log.error({ error }, 'Cannot receive datagrams; will try again');
      this.isBusy = true;
      this.later(AGAIN_MS);
    }
  };

  private takeAndGoOn(): void {
    const { drained } = this;
    let found = drained.take();
    this.isPaced = this.isNextSoon(found);
    if (this.isBusy && found !== 'more' && !this.isPaced) {
      // What comes from here on is signalled; what came before is taken yet.
      this.signal(true);
      const late = drained.take();
      if (late !== 'none') found = late;
    }
    const room = drained.flush();
    if (room !== undefined) {
      this.signal(false);
      void room.then(this.look);
    } else if (found === 'more') {
      this.signal(false);
      setImmediate(this.look);
    } else if (this.isPaced) {
      this.signal(false);
      this.later(drained.paceMs);
    }
  }

  /** Whether to look again soon: something came within the pace of what came before. */
  private isNextSoon(found: Found): boolean {
    const { paceMs } = this.drained;
    if (paceMs === 0) return false;
    const now = performance.now();
    const isSoon = this.isPaced || now - this.foundAt < paceMs;
    if (found !== 'none') this.foundAt = now;
    return isSoon && found === 'all';
  }

  private later(ms: number): void {
    this.timer = setTimeout(this.look, ms);
  }

  private signal(isWanted: boolean): void {
    if (this.isBusy !== isWanted) return;
    this.drained.socket.signal(isWanted);
    this.isBusy = !isWanted;
  }
}
