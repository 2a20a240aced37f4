/**
 * Bytes that came on a connection and are not taken yet. What the socket hands over is looked at where it is; only the beginning of a message
 * that goes on is copied and kept, and the input's memory is asked for room before.
 */
import type { InputContext, LargestReservation } from '../../src/plugin.ts';
import { MemoryRoom } from './memory-room.ts';

/** A buffer doubles until it has grown by so much at once. Bytes. */
const MOST_GROWTH = 1_000_000;

const EMPTY = Buffer.alloc(0);

/** A message takes more memory than there can ever be. The message is a sentence about its sender. */
export class NeverFitsError extends Error {
  override name = 'NeverFitsError';

  constructor({ bytes, option }: LargestReservation) {
    super(
      `Its message takes more than the ${bytes} bytes of memory that there can be: raise ${option}, or have it send less at a time.`,
    );
  }
}

export class Inbox {
  /** What is there. */
  bytes: Buffer = EMPTY;
  /** Where the next message begins in it. */
  start = 0;
  private readonly room: MemoryRoom;
  private buffer: Buffer | undefined;

  constructor(context: Pick<InputContext, 'reserve' | 'largestReservation'>) {
    this.room = new MemoryRoom(context);
  }

  /** Bytes that are not taken. */
  get rest(): number {
    return this.bytes.length - this.start;
  }

  /** Bytes of memory that are set aside. */
  get reserved(): number {
    return this.room.bytes;
  }

  /** Takes a piece from the socket in, behind what is kept; false when there is no room for both. Throws {@link NeverFitsError}. */
  add(piece: Buffer, least: number): boolean {
    if (this.rest === 0) {
      this.clear();
      this.bytes = piece;
      return true;
    }
    if (!this.hold(Math.max(this.rest + piece.length, least))) return false;
    const buffer = this.buffer as Buffer;
    const { length } = this.bytes;
    piece.copy(buffer, length);
    this.bytes = buffer.subarray(0, length + piece.length);
    return true;
  }

  /**
   * Keeps what is not taken, in memory of its own; false when there is no room. `least`: bytes that its message will have at least. Throws
   * {@link NeverFitsError}.
   */
  keep(least: number): boolean {
    if (this.rest === 0) {
      this.clear();
      return true;
    }
    return this.hold(Math.max(this.rest, least));
  }

  /** Lets go of everything. */
  clear(): void {
    this.bytes = EMPTY;
    this.start = 0;
    this.buffer = undefined;
    this.room.release();
  }

  /** Gives back what was set aside for more than there is; false when there is nothing of that kind. */
  fit(): boolean {
    const { rest, buffer } = this;
    if (buffer === undefined || buffer.length === rest) return false;
    const fitting = Buffer.allocUnsafeSlow(rest);
    this.bytes.copy(fitting, 0, this.start);
    this.buffer = fitting;
    this.bytes = fitting;
    this.start = 0;
    this.room.release();
    // What was given back a moment ago is there yet.
    this.room.ask(rest, 0);
    return true;
  }

  /** Moves the rest to the front of a buffer that has so many bytes. */
  private hold(size: number): boolean {
    const { rest, buffer } = this;
    let target = buffer;
    if (target === undefined || target.length < size) {
      const capacity = target?.length ?? 0;
      const { largest } = this.room;
      if (size > largest.bytes) throw new NeverFitsError(largest);
      const wanted = Math.min(Math.max(size, capacity + Math.min(capacity, MOST_GROWTH)), largest.bytes);
      // Not for the old one beside it, which goes at once: there may never be room for both.
      if (this.room.ask(wanted, 0) !== 'given') return false;
      target = Buffer.allocUnsafeSlow(wanted);
    }
    this.bytes.copy(target, 0, this.start);
    this.buffer = target;
    this.bytes = target.subarray(0, rest);
    this.start = 0;
    return true;
  }
}
