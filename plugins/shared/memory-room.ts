/**
 * Memory of an input's account for what grows while it is read: a body that arrives, and then what it becomes. Small things take many times
 * their bytes: `{}` in a list is three, and as a record it has an object, a text, a time and an origin. So each of them has a price at least.
 */
import type { InputContext, Reservation } from '../../src/plugin.ts';

/** What a record counts at least, while the body that it came in is there. Bytes. */
export const LEAST_RECORD = 64;
/** The same of a list or map, records included, until it is text again. Bytes. */
export const LEAST_CONTAINER = 32;
/** What a body becomes may come to so much before it is counted. Bytes. */
export const UNCOUNTED = 64 * 1024;

/** What is set aside at a time where the end is not known. Bytes. */
const STEP = 64 * 1024;

/** `later`: not now. `never`: there cannot be so much. */
export type Asked = 'given' | 'later' | 'never';

export class MemoryRoom {
  /** What there is. */
  bytes = 0;
  private readonly context: Pick<InputContext, 'reserve' | 'largestReservation'>;
  private readonly reservations: Reservation[] = [];

  constructor(context: Pick<InputContext, 'reserve' | 'largestReservation'>) {
    this.context = context;
  }

  /** The most that there can be, and the option that says so. */
  get largest(): ReturnType<InputContext['largestReservation']> {
    return this.context.largestReservation();
  }

  /** Asks for so many bytes in all, in steps. */
  ask(total: number, step: number = STEP): Asked {
    if (total <= this.bytes) return 'given';
    const most = this.largest.bytes;
    if (total > most) return 'never';
    const more = Math.max(total - this.bytes, Math.min(step, most - this.bytes));
    const reservation = this.context.reserve(more);
    if (reservation === undefined) return 'later';
    this.reservations.push(reservation);
    this.bytes += more;
    return 'given';
  }

  /** Gives all of it back. */
  release(): void {
    for (const reservation of this.reservations) reservation.release();
    this.reservations.length = 0;
    this.bytes = 0;
  }
}
