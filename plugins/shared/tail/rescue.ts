/**
 * What can soon be read no more goes to disk (DELIVERY.md, rule 3).
 *
 *   truncated   what memory has of the old generation, at once
 *   deleted     what memory has, and the rest of the file, once delivery had {@link PATIENCE_MS} for it; at a stop at once
 *
 * Where there is no disk, or no room on it, a deleted file stays open until it is delivered, and saving it is tried again; of more such
 * files than may be open, the oldest are given up.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Emit, InputContext, Source } from '../../../src/plugin.ts';
import type { Follower } from './follower.ts';
import type { LineReader } from './line-reader.ts';
import type { TailFile } from './tail-file.ts';

/** How long normal delivery has for a deleted file, so that a pipeline that does well writes nothing to disk. */
const PATIENCE_MS = 2000;
/** Between two looks. */
const LOOK_MS = 500;
/** After the disk took something no more. */
const TRY_AGAIN_MS = 5000;
/** Memory that is safe on disk is given back within this time. */
const EVICTION_MS = 30;
/** Bytes of one deleted file before others have a turn. */
const QUANTUM = 8 << 20;

export interface RescueOptions {
  follower: Follower;
  secure: InputContext['secure'];
  /** Deleted files that are kept open though they cannot be saved. */
  limit: number;
  /** Milliseconds that a deleted file is watched for late writers. */
  waitMs: number;
  /** A reader of its own: the one of the input may be waiting for room. */
  reader: () => LineReader;
  /** It may not be read yet: reading it would keep the others waiting. */
  isHeldBack: (file: TailFile) => boolean;
  /** Reads at most about so many bytes; `stopped` is asked between blocks. */
  read: (file: TailFile, reader: LineReader, budget: number, stopped: () => boolean) => Promise<void>;
  /** Takes a last line without its end, and records without their rest. */
  finish: (file: TailFile, reader: LineReader) => Promise<void>;
}

export class Rescue {
  private readonly options: RescueOptions;
  private dueAt = 0;
  private tryAgainAt = 0;
  /** The disk did not take what was read last. */
  private refused = false;
  private stopping = false;
  /** Set at a stop; what is read after it is aborted is not taken. */
  private over: AbortSignal | undefined;

  constructor(options: RescueOptions) {
    this.options = options;
  }

  /** Makes a way to the pipeline that makes its room itself, by putting on disk what was handed over. */
  through(emit: Emit): Emit {
    return (tag, batch) => {
      const { source, base } = batch;
      const end = base + (batch.stops[batch.length - 1] as number);
      const room = emit(tag, batch);
      return room === undefined || source === undefined ? room : this.makeRoom(room, source, end);
    };
  }

  /** Resolves when the next batch may come; early when the disk refuses, so that whoever reads can see that. */
  private async makeRoom(room: Promise<void>, source: Source, end: number): Promise<void> {
    const state = { there: false };
    const waiting = room.then(() => {
      state.there = true;
    });
    while (!state.there) {
      // While a filter is at work on the batch there is nothing to secure, and its bytes are not done with.
      if (source.emitted >= end) {
        if (this.over?.aborted === true) return;
        this.refused = !(await this.options.secure(source));
        if (!this.refused || !this.stopping) {
          await Promise.race([waiting, pause(EVICTION_MS)]);
          return;
        }
      }
      await Promise.race([waiting, pause(EVICTION_MS)]);
    }
  }

  /**
   * Saves what is due. Called by the input's own loop, also while that waits for room; never by two at once. The file that is being read
   * then may be read on, and closed: who waits has nothing more to do with it.
   */
  async look(): Promise<void> {
    const now = performance.now();
    if (now < this.dueAt || this.stopping) return;
    this.dueAt = now + LOOK_MS;
    const { follower, limit } = this.options;
    const truncated = new Set(follower.endings.retired);
    const deleted: TailFile[] = [];
    for (const file of follower.files.values()) {
      if (file.rotatedAt !== undefined && file.observeDeletion()) deleted.push(file);
      else if (file.source.gone) truncated.add(file.source);
    }
    const due = deleted.filter((file) => isDue(file, now));
    // From here on memory that is short moves it to disk, instead of keeping the input waiting.
    for (const { source } of due) source.gone = true;
    if (now >= this.tryAgainAt && !(await this.save(truncated, due))) {
      this.tryAgainAt = performance.now() + TRY_AGAIN_MS;
      const unsaved = due.filter((file) => !file.isDone);
      for (const file of unsaved.slice(0, Math.max(0, unsaved.length - limit))) {
        if (file.isHolding) await this.options.reader().release(file, 'file_gone');
        await follower.endings.letGo(file);
      }
    }
    for (const file of deleted) await this.forget(file);
    follower.endings.forgetRetired();
  }

  /** False when the disk does not take it. */
  private async save(truncated: Iterable<Source>, deleted: readonly TailFile[]): Promise<boolean> {
    const { secure } = this.options;
    this.refused = false;
    // What memory has comes first: nothing more is read while the disk refuses that.
    for (const source of [...truncated, ...deleted.map((file) => file.source)]) {
      if (source.position() < source.emitted && !(await secure(source))) return false;
      if (this.stopping) return true;
    }
    for (const file of deleted) {
      // Generations of one path are read oldest first (rule 4).
      if (file.predecessor?.hasMore === true || this.options.isHeldBack(file)) continue;
      if (file.hasMore || file.offset < file.size) await this.readOn(file, () => this.stopping);
      if (this.refused) return false;
    }
    return true;
  }

  private async readOn(file: TailFile, stopped: () => boolean): Promise<void> {
    const { read, reader, secure } = this.options;
    this.refused = false;
    const own = reader();
    const over = (): boolean => stopped() || (this.refused && !this.stopping);
    const end = file.offset + QUANTUM;
    // A turn ends where room had to be made.
    do await read(file, own, end - file.offset, over);
    while (file.isOpen && file.hasMore && file.offset < end && !over());
    if (!this.refused && file.source.position() < file.source.emitted) {
      this.refused = !(await secure(file.source));
    }
  }

  /** Closes a deleted file of which everything is safe. */
  private async forget(file: TailFile): Promise<void> {
    const { follower, waitMs, finish, reader } = this.options;
    const idleSince = Math.max(file.deletedAt ?? 0, file.caughtUpAt ?? Number.POSITIVE_INFINITY);
    if (file.broken || !follower.isFollowed(file) || performance.now() - idleSince < waitMs) return;
    if (file.offset < file.size || file.isHolding) await finish(file, reader());
    if (file.isDone && !file.hasMore) follower.endings.forget(file);
  }

  /** Looks at once when asked next. */
  hurry(): void {
    this.dueAt = 0;
  }

  /** The input shall stop, and has until `over` is aborted: what is being saved comes to its end. */
  stop(over: AbortSignal): void {
    this.stopping = true;
    this.over = over;
  }

  /** After {@link stop}: saves all that can be, the rest of deleted files included. */
  async finish(over: AbortSignal): Promise<void> {
    const { follower, finish, reader, secure } = this.options;
    for (const file of follower.files.values()) if (file.observeDeletion()) file.source.gone = true;
    for (const source of follower.endings.retired)
      if (source.position() < source.emitted) await secure(source);
    for (const file of follower.files.values()) {
      if (over.aborted) return;
      if (!file.observeDeletion()) {
        // It goes on with a record whose beginning nobody can read again.
        await reader().release(file, 'file_gone', ({ spans }) => spans.some(({ source }) => source.gone));
        if (file.source.gone) await secure(file.source);
        continue;
      }
      do await this.readOn(file, () => over.aborted);
      while (file.isOpen && file.hasMore && !over.aborted);
      const isCut = file.isOpen && !file.broken && (file.offset < file.size || file.isHolding);
      if (isCut && !over.aborted) await finish(file, reader());
      await secure(file.source);
    }
  }
}

function isDue(file: TailFile, now: number): boolean {
  return !file.isDone && !file.broken && now - (file.deletedAt ?? now) >= PATIENCE_MS;
}
