/**
 * The memory buffer's accounts: how many bytes the chunks of each input hold, against a limit per input and one for all.
 * It holds no chunk itself: chunks live in the queues that need them, and say here what they cost.
 */

/** What the chunks of one input cost. */
export interface InputAccount {
  readonly name: string;
  /** Bytes. */
  readonly limit: number;
  used: number;
  /** Of these, bytes that are reserved for what is not whole yet. */
  begun: number;
  /** What it was refused. */
  readonly refused: Refused;
  /** Chunks of it that are in memory. */
  chunks: number;
  /** How many of them make it wait; Infinity for no limit. */
  readonly maxChunks: number;
  /** Since when its input is being kept waiting, monotonic milliseconds; undefined while it is not. */
  pausedAt: number | undefined;
  /** How often it was paused. */
  pauses: number;
}

/** Bytes that somebody asked for in vain a moment ago, and will ask for again. */
export class Refused {
  private bytes = 0;
  private at = Number.NEGATIVE_INFINITY;

  note(bytes: number): void {
    this.bytes = Math.max(this.wanted, bytes);
    this.at = performance.now();
  }

  /** So many were given. */
  given(bytes: number): void {
    if (bytes >= this.bytes) this.bytes = 0;
  }

  /** The most that was asked for; 0 when nobody was refused. */
  get wanted(): number {
    return performance.now() - this.at < REFUSED_MS ? this.bytes : 0;
  }
}

interface Waiter {
  account: InputAccount;
  resume: () => void;
}

/**
 * Of a limit, one part in so many is for whole records alone: who begins messages on many connections and never ends them must not keep the
 * other inputs waiting.
 */
const WHOLE_SHARE = 8;

/** Who was refused memory asks again within this time. Milliseconds. */
const REFUSED_MS = 5000;

export class MemoryBuffer {
  /** Bytes that all chunks and request bodies may take together. */
  readonly limit: number;
  /** Of these, bytes that are kept for what is read back from disk (DELIVERY.md, rule 16). */
  reserved = 0;
  /** Bytes taken by inputs and request bodies. */
  used = 0;
  /** Of these, bytes that are reserved for what is not whole yet. */
  begun = 0;
  /** Bytes of what was read back. */
  back = 0;
  /** Bytes that uploads of objects take beside the limit: how many that are is a matter of options, not of what waits. */
  beside = 0;
  /** Called when an input begins to wait, or is refused: whoever holds chunks back should let go of them. */
  onPressure: (() => void) | undefined;
  private waiters: Waiter[] = [];
  private readonly refused = new Refused();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** An account; a `limit` of 0 means that only the common limit holds. */
  open(name: string, limit: number, maxChunks = Number.POSITIVE_INFINITY): InputAccount {
    return {
      name,
      chunks: 0,
      maxChunks,
      limit: limit > 0 ? Math.min(limit, this.limit) : this.limit,
      used: 0,
      begun: 0,
      refused: new Refused(),
      pausedAt: undefined,
      pauses: 0,
    };
  }

  /** Bytes are taken; never refused, for the batch is already there: the input waits before the next. */
  charge(bytes: number, account?: InputAccount): void {
    this.used += bytes;
    if (account !== undefined) account.used += bytes;
  }

  /** Bytes of a chunk that was read back are taken, or given back when negative. */
  chargeBack(bytes: number): void {
    this.back += bytes;
  }

  /** Bytes of an upload are taken, or given back when negative: nobody waits for them. */
  chargeBeside(bytes: number): void {
    this.beside += bytes;
  }

  /** All bytes that are taken. */
  get total(): number {
    return this.used + this.back + this.beside;
  }

  /** Some input waits for room. */
  get isWaitedFor(): boolean {
    return this.waiters.length > 0;
  }

  /** Bytes are free again. */
  release(bytes: number, account?: InputAccount): void {
    this.used -= bytes;
    if (account !== undefined) account.used -= bytes;
    if (this.waiters.length > 0) this.wake();
  }

  /** Charges bytes of what is not whole yet, if they fit beside all the others; false when they do not. */
  reserve(bytes: number, account: InputAccount): boolean {
    const limit = this.limit - this.reserved;
    const fits = account.used + bytes <= account.limit && this.used + bytes <= limit;
    const leavesRoom =
      account.begun + bytes <= reservable(account.limit) && this.begun + bytes <= reservable(limit);
    if (!fits) {
      this.refused.note(bytes);
      account.refused.note(bytes);
      this.onPressure?.();
    }
    if (!fits || !leavesRoom) return false;
    this.refused.given(bytes);
    account.refused.given(bytes);
    this.begun += bytes;
    account.begun += bytes;
    this.charge(bytes, account);
    return true;
  }

  /** The bytes that can be reserved when nothing else is there. `own`: it is the account's limit that says so, not the common one. */
  mostReservable({ limit }: InputAccount): { bytes: number; own: boolean } {
    const common = this.limit - this.reserved;
    return { bytes: Math.min(reservable(limit), reservable(common)), own: limit < common };
  }

  /** Gives back what was reserved. */
  giveBack(bytes: number, account: InputAccount): void {
    this.begun -= bytes;
    account.begun -= bytes;
    this.release(bytes, account);
  }

  /** Bytes that somebody was refused a moment ago, and will ask for again. */
  get wanted(): number {
    return this.refused.wanted;
  }

  /** Resolves when the input may go on; undefined when it may right now. */
  room(account: InputAccount): Promise<void> | undefined {
    if (this.hasRoom(account)) return undefined;
    account.pauses++;
    account.pausedAt = performance.now();
    const waiting = new Promise<void>((resume) => this.waiters.push({ account, resume }));
    this.onPressure?.();
    return waiting;
  }

  /** Lets everybody go on, for a stop: inputs look whether they shall. */
  releaseAll(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const { account, resume } of waiters) {
      account.pausedAt = undefined;
      resume();
    }
  }

  private hasRoom(account: InputAccount): boolean {
    return (
      account.used < account.limit &&
      account.chunks < account.maxChunks &&
      this.used < this.limit - this.reserved
    );
  }

  private wake(): void {
    const waiters = this.waiters;
    this.waiters = [];
    for (const waiter of waiters) {
      if (this.hasRoom(waiter.account)) {
        waiter.account.pausedAt = undefined;
        waiter.resume();
      } else {
        this.waiters.push(waiter);
      }
    }
  }
}

/** Of so many bytes, those that may be reserved for what is not whole yet. */
function reservable(limit: number): number {
  return limit - Math.floor(limit / WHOLE_SHARE);
}
