/** One connection of a stream listener: pieces come in, its reader takes messages out of them, and what is begun is kept until it goes on. */
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { InputContext } from '../../src/plugin.ts';
import { Inbox, NeverFitsError } from './inbox.ts';

/** Why a connection is closed from this side. */
export type Closing = 'malformed' | 'too_large' | 'stalled' | 'idle' | 'no_room';

/** Thrown by a reader: the stream cannot be understood any more. `message` is a sentence for the log. */
export class StreamError extends Error {
  readonly reason: Closing;

  constructor(reason: Closing, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Takes messages out of a stream. */
export interface StreamReader {
  /**
   * Takes the whole messages at the beginning of `bytes` and answers how many bytes they had. What is left is shown again, with more behind
   * it: the reader bounds it, by an answer or a {@link StreamError}. The memory may be used until `flush` returns.
   */
  read(bytes: Buffer): number;
  /** A message is begun, though nothing of it may be left: its rest is skipped. */
  readonly isWithin: boolean;
  /** The stream is over, or is not going on, with a message begun: `isWhole` when its sender ended it. */
  end(rest: Buffer, isWhole: boolean): void;
  /** What was read can be emitted. The promise is that there is room for more. */
  flush(): Promise<void> | undefined;
}

/** What a connection needs of its listener. */
export interface Surroundings {
  stallMs: number;
  idleMs: number;
  context: Pick<InputContext, 'reserve' | 'largestReservation'>;
  /** A piece came. */
  received(): void;
  /** It is closed from this side. */
  closing(reason: Closing, why: string): void;
  /** A defect. */
  failed(error: unknown): void;
}

/** How often somebody who waits for room looks whether there is some. Milliseconds. */
const LOOK_MS = 50;

export class StreamConnection {
  private readonly socket: Socket;
  private readonly reader: StreamReader;
  private readonly around: Surroundings;
  private readonly inbox: Inbox;
  private pieces: Buffer[] = [];
  /** A piece that waits for room beside what is kept. */
  private waiting: Buffer | undefined;
  private isWorking = false;
  private isClosed = false;
  /** Its sender has ended it, and did not just go away. */
  private hasEnded = false;
  private timeoutMs = -1;

  constructor(socket: Socket, reader: StreamReader, around: Surroundings) {
    this.socket = socket;
    this.reader = reader;
    this.around = around;
    this.inbox = new Inbox(around.context);
    // A reset is a close: what was read before it counts.
    socket.on('error', () => {});
    socket.on('data', this.onData);
    socket.on('timeout', this.onTimeout);
    socket.once('end', () => {
      this.hasEnded = true;
    });
    socket.once('close', () => this.over());
    this.rest();
  }

  /** Says to the sender that nothing more is wanted, and takes in what comes until it closes. */
  finish(): void {
    this.socket.end();
  }

  /** It has more, and waits for room. */
  get isWaiting(): boolean {
    return this.isWorking;
  }

  /** Closes at once. What was read is taken. */
  destroy(): void {
    this.over();
    this.socket.destroy();
  }

  private readonly onData = (piece: Buffer): void => {
    this.around.received();
    if (this.isWorking) {
      this.pieces.push(piece);
      this.socket.pause();
      return;
    }
    const wait = this.guarded(piece);
    if (wait === undefined) this.rest();
    else void this.catchUp(wait);
  };

  /** Takes a piece in. The promise is there when there is no room for more. */
  private guarded(piece: Buffer): Promise<unknown> | undefined {
    try {
      return this.absorb(piece);
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  private absorb(piece: Buffer): Promise<unknown> | undefined {
    const { inbox } = this;
    this.waiting = piece;
    if (inbox.add(piece, 0)) {
      this.waiting = undefined;
      return this.harvest();
    }
    return this.withRoom(() => inbox.add(piece, 0)).then((isThere) => {
      if (!isThere) return undefined;
      this.waiting = undefined;
      return this.harvest();
    });
  }

  private harvest(): Promise<unknown> | undefined {
    const { inbox, reader } = this;
    let room: Promise<void> | undefined;
    try {
      inbox.start += reader.read(inbox.start === 0 ? inbox.bytes : inbox.bytes.subarray(inbox.start));
    } finally {
      // Also before what cannot be understood: those in front of it are taken.
      room = reader.flush();
    }
    if (inbox.keep(0)) return room;
    const kept = this.withRoom(() => inbox.keep(0));
    return room === undefined ? kept : Promise.all([room, kept]);
  }

  /** Waits, then takes in what has come in the meantime. */
  private async catchUp(wait: Promise<unknown>): Promise<void> {
    this.isWorking = true;
    this.socket.pause();
    this.setTimeout(0);
    let next: Promise<unknown> | undefined = wait;
    for (;;) {
      if (next !== undefined) await next.catch((error: unknown) => this.fail(error));
      if (this.isClosed) return;
      const piece = this.pieces.shift();
      if (piece === undefined) break;
      next = this.guarded(piece);
    }
    this.isWorking = false;
    this.rest();
    this.socket.resume();
  }

  /**
   * Waits until `ready` says yes; false when that is not going to be. Who keeps the beginning of a message and gets no room for the rest is
   * sent away after a while: all could wait for one another.
   */
  private async withRoom(ready: () => boolean): Promise<boolean> {
    const since = performance.now();
    for (;;) {
      await pause(LOOK_MS);
      if (this.isClosed) return false;
      if (ready()) return true;
      if (performance.now() - since < this.around.stallMs) continue;
      this.sendAway('no_room', 'There was no room in memory for the rest of its message.');
      return false;
    }
  }

  /** Between two pieces. */
  private rest(): void {
    const { stallMs, idleMs } = this.around;
    this.setTimeout(this.isWithin ? stallMs : idleMs);
  }

  private get isWithin(): boolean {
    return this.inbox.rest > 0 || this.reader.isWithin;
  }

  private setTimeout(ms: number): void {
    if (ms === this.timeoutMs) return;
    this.timeoutMs = ms;
    this.socket.setTimeout(ms);
  }

  private readonly onTimeout = (): void => {
    if (this.isWithin) this.sendAway('stalled', 'Its message did not go on.');
    else if (!this.isWorking) this.sendAway('idle', 'It sent nothing for idle_timeout.');
  };

  private fail(error: unknown): void {
    if (error instanceof StreamError) {
      this.inbox.clear();
      this.sendAway(error.reason, error.message);
      return;
    }
    if (error instanceof NeverFitsError) {
      this.sendAway('too_large', error.message);
      return;
    }
    this.around.failed(error);
    this.destroy();
  }

  private sendAway(reason: Closing, why: string): void {
    if (this.isClosed) return;
    this.around.closing(reason, why);
    this.destroy();
  }

  /** Takes what is left. */
  private over(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    const { inbox, reader, pieces, waiting } = this;
    this.pieces = [];
    this.waiting = undefined;
    try {
      // What waits for room cannot be had again: it is taken without.
      const kept = inbox.bytes.subarray(inbox.start);
      const more = waiting === undefined ? pieces : [waiting, ...pieces];
      const rest = more.length === 0 ? kept : Buffer.concat([kept, ...more]);
      const taken = more.length === 0 ? 0 : reader.read(rest);
      if (taken < rest.length) reader.end(rest.subarray(taken), this.hasEnded);
    } catch (error) {
      if (!(error instanceof StreamError)) this.around.failed(error);
    }
    void reader.flush();
    inbox.clear();
  }
}
