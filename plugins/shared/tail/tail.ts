/**
 * The tail input: reads followed files in turn, a bounded quantum each, and hands their lines over. Waiting for room holds up
 * reading only: files that appear or move meanwhile are opened all the same.
 */
import { unparsedRecords } from '../line-counters.ts';
import type { Emit, Input, InputContext } from '../../../src/plugin.ts';
import { Rarely } from '../rarely.ts';
import { Attendants } from './attendants.ts';
import type { Attend } from './attendants.ts';
import { Follower } from './follower.ts';
import type { FollowOptions } from './follow-options.ts';
import { observe } from '../gauges.ts';
import { GzipError } from './gzip.ts';
import { FileJoin, joinOf } from './join/held.ts';
import { LineReader } from './line-reader.ts';
import type { LineEvents, LineOptions } from './line-reader.ts';
import { Rescue } from './rescue.ts';
import type { TailFile } from './tail-file.ts';

export interface TailOptions extends Omit<FollowOptions, 'store' | 'log'>, LineOptions {
  exitOnEof: boolean;
  /** Milliseconds that a rotated file is watched for late writers. */
  rotateWaitMs: number;
  /** Milliseconds after which a last line without an end is taken as it is; 0: never. */
  unterminatedMs: number;
  /** Who attends to the files, where an input does more than follow them. */
  attend?: Attend | undefined;
}

/** Bytes of one file before the next has its turn. */
const QUANTUM = 1 << 20;
const HOUSEKEEPING_MS = 1000;
/** How long a stop may take where nobody says. Milliseconds. */
const STOP_MS = 1000;

export class TailInput implements Input {
  readonly finite: boolean;
  private readonly options: TailOptions;
  private readonly context: InputContext;
  private readonly follower: Follower;
  private readonly rescue: Rescue;
  private readonly attendants: Attendants | undefined;
  private readonly ready = new Set<TailFile>();
  private readonly observed: (() => void)[] = [];
  private stopped = false;
  private readonly stopping = Promise.withResolvers<void>();
  private running: Promise<void> | undefined;
  /** The last batch that waits for room. */
  private waiting: Promise<void> | undefined;
  private wake: () => void = () => undefined;
  /** A reader whose batches are put on disk where there is no room for them. */
  private newReader: () => LineReader = () => {
    throw new Error('Reading before the start.');
  };
  private housekeepingDue = 0;
  private ended = false;

  constructor(options: TailOptions, context: InputContext) {
    const { metrics, name, log, store } = context;
    this.options = {
      ...options,
      formatOf: (file) => this.attendants?.of(file)?.format?.() ?? options.formatOf(file),
    };
    this.context = context;
    this.finite = options.exitOnEof;
    const counter = (term: string, help: string) => metrics.counter(`tailrace_input_${term}_total`, help);
    const opened = counter('files_opened', 'Files that were opened.').labels({ name });
    const closed = counter('files_closed', 'Files that were closed.').labels({ name });
    const rotated = counter(
      'files_rotated',
      'Files that were renamed, replaced or deleted while followed.',
    ).labels({ name });
    const refused = counter('files_refused', 'Paths that match and are not read, by reason.');
    const lost = counter('lost_bytes', 'Bytes of files that went before they were read, by reason.');
    const { attend } = options;
    this.attendants = attend && new Attendants(attend, (file) => this.makeReady(file));
    this.follower = new Follower(
      { ...options, store, log },
      {
        onFollowed: (file) => this.attendants?.followed(file),
        onForgotten: (file) => this.attendants?.forgotten(file),
        onReady: (file) => {
          if (this.attendants?.waiting(file) === undefined) this.makeReady(file);
        },
        onOpened: () => opened.value++,
        onClosed: () => closed.value++,
        onRotated: () => rotated.value++,
        onRefused: (reason) => refused.labels({ name, reason }).value++,
        onLost: (reason, bytes) => {
          lost.labels({ name, reason }).value += bytes;
        },
      },
    );
    this.rescue = new Rescue({
      follower: this.follower,
      secure: (source) => context.secure(source),
      limit: options.maxOpen,
      waitMs: options.rotateWaitMs,
      reader: () => this.newReader(),
      isHeldBack: (file) => this.attendants?.waiting(file) !== undefined,
      read: (file, reader, budget, over) => this.read(file, reader, budget, over),
      finish: (file, reader) => this.finish(file, reader),
    });
    this.observe(
      'tailrace_input_file_lag_bytes',
      'Bytes of followed files that are not read or not settled.',
      () => {
        let sum = 0;
        for (const file of this.follower.files.values()) sum += file.lag;
        return sum;
      },
    );
    this.observe('tailrace_input_open_files', 'Files that are open.', () => this.follower.descriptors.count);
  }

  private observe(metric: string, help: string, value: () => number): void {
    const { metrics, name } = this.context;
    this.observed.push(observe(metrics.gauge(metric, help), name, value));
  }

  private makeReady(file: TailFile): void {
    this.ready.add(file);
    this.wake();
  }

  async start(emit: Emit): Promise<void> {
    const events = this.lineEvents();
    const saving = this.rescue.through(emit);
    this.newReader = () => new LineReader(this.options, { ...events, emit: saving });
    await this.follower.start();
    const waiting: Emit = (tag, batch) => {
      const room = emit(tag, batch);
      if (room === undefined) return undefined;
      this.waiting = this.waitInTurn(this.waiting, room);
      return this.waiting;
    };
    this.running = this.run(new LineReader(this.options, { ...events, emit: waiting }));
  }

  private lineEvents(): Omit<LineEvents, 'emit'> {
    const { metrics, name, log } = this.context;
    const long = metrics.counter(
      'tailrace_input_long_lines_total',
      'Lines over the limit, by what was done with them.',
    );
    const unparsed = unparsedRecords(this.context);
    const seldom = new Rarely();
    const partial = metrics.counter(
      'tailrace_input_partial_records_total',
      'Records that went on without their rest, by reason.',
    );
    return {
      keep: (bytes) => this.context.keep(bytes),
      onReleased: (reason) => {
        partial.labels({ name, reason }).value++;
      },
      onLongLine: (file, action) => {
        long.labels({ name, action }).value++;
        if (action === 'skip') this.context.drop('long_line', 1);
        log.warn(
          { file: file.path, limit: this.options.maxLine, action },
          'A line is longer than buffer_max_size',
        );
      },
      onBatch: (file, batch) => this.attendants?.of(file)?.process(batch),
      onUnparsed: (file, reason) => {
        unparsed.value++;
        const lines = seldom.happened();
        if (lines === 0) return;
        log.warn({ file: file.path, reason, lines }, 'Lines do not fit the parser; they go on as they are');
      },
    };
  }

  /** A block may come as several batches: one after the other waits, for that is when deleted files are seen to. */
  private async waitInTurn(before: Promise<void> | undefined, room: Promise<void>): Promise<void> {
    await before?.catch(() => undefined);
    await this.waitFor(room);
  }

  /** Waits for room; what is about to be lost is saved meanwhile, for this may take as long as a destination is down. */
  private async waitFor(room: Promise<void>): Promise<void> {
    const state = { there: false };
    const arrived = room.then(() => {
      state.there = true;
      this.wake();
    });
    while (!state.there && !this.stopped) {
      await this.rescue.look();
      if (!state.there && !this.stopped) await this.nap();
    }
    await arrived;
  }

  private async run(reader: LineReader): Promise<void> {
    while (!this.stopped) {
      try {
        if (performance.now() >= this.housekeepingDue) await this.keepHouse(reader);
        const file = this.next();
        if (file !== undefined) await this.read(file, reader, QUANTUM, () => this.stopped);
        else if (this.options.exitOnEof && !this.ended && !this.isWaiting) await this.end(reader);
        else await this.sleep();
      } catch (error) {
        this.context.log.error({ error }, 'Reading files failed; it is tried again');
        await this.sleep();
      }
    }
  }

  private get isWaiting(): boolean {
    return this.follower.isWaiting || this.attendants?.isWaiting === true;
  }

  /** The file whose turn it is; a generation only after the one before it. */
  private next(): TailFile | undefined {
    for (const file of this.ready) {
      const { predecessor } = file;
      if (predecessor?.hasMore === true && this.ready.has(predecessor)) continue;
      this.ready.delete(file);
      return file;
    }
    return undefined;
  }

  private async read(
    file: TailFile,
    reader: LineReader,
    budget: number,
    stopped: () => boolean,
  ): Promise<void> {
    // While somebody waited for room it may have been let go.
    const waiting = this.attendants?.waiting(file);
    // Deleted files are read whether or not it is their turn; at a stop without what they waited for, for nobody can read them later.
    if (waiting !== undefined) await Promise.race([waiting, this.stopping.promise]);
    if (file.broken || !this.follower.isFollowed(file)) return;
    try {
      this.follow(file);
      if (!this.follower.open(file)) {
        await reader.release(file, 'file_gone');
        this.follower.endings.abandon(file);
        return;
      }
      // Set first: what is written while it is read makes it ready again.
      file.caughtUpAt = performance.now();
      file.busy = true;
      file.look();
      const result = await reader.turn(file, budget, stopped);
      if (result === 'truncated') {
        await reader.release(file, 'file_gone');
        this.follower.endings.restart(file);
        this.housekeepingDue = 0;
        this.rescue.hurry();
      } else {
        this.identify(file);
        if (result === 'more') {
          file.caughtUpAt = undefined;
          this.ready.add(file);
        } else this.caughtUp(file);
      }
    } catch (error) {
      this.failed(file, error);
    } finally {
      file.busy = false;
      this.follower.descriptors.trim();
    }
  }

  /** What the generation before a file left open goes on at its head. */
  private follow(file: TailFile): void {
    const { predecessor } = file;
    if (predecessor === undefined) return;
    file.predecessor = undefined;
    const before = joinOf(predecessor.source);
    if (before?.goesOn !== true || predecessor.hasMore || file.offset > 0) return;
    file.join ??= new FileJoin(file.source);
    file.source.unfinished = file.join;
    file.join.inherit(before, file.offset);
  }

  private caughtUp(file: TailFile): void {
    if (!file.compressed) return;
    file.complete = !file.bytes.isCut;
    file.source.touch();
  }

  /** Also where nothing is stored: it is known by its first bytes as long as it is there. */
  private identify(file: TailFile): void {
    // While room was waited for it may have been written anew, which the next turn shall see.
    if (!file.fingerprintGrows || !file.hasItsHead) return;
    const identity = file.takeFingerprint();
    this.context.store?.identify(file.source, identity);
  }

  private failed(file: TailFile, error: unknown): void {
    const damaged = error instanceof GzipError;
    this.context.metrics
      .counter('tailrace_input_file_errors_total', 'Failures to read a file, by reason.')
      .labels({ name: this.context.name, reason: damaged ? 'damaged' : 'read_error' }).value++;
    const { path, offset } = file;
    if (damaged) {
      file.broken = true;
      this.context.log.error(
        { file: path, offset, error },
        'The file is damaged and cannot be read on; other files go on',
      );
      return;
    }
    // With the next scan it is opened and read again.
    file.caughtUpAt ??= performance.now();
    file.overlook();
    this.follower.descriptors.close(file);
    this.context.log.error({ file: path, offset, error }, 'The file cannot be read; will try again');
  }

  /** Ends what is over: rotated files that are read and settled, and lines that never got their end. */
  private async keepHouse(reader: LineReader): Promise<void> {
    const now = performance.now();
    this.housekeepingDue = now + HOUSEKEEPING_MS;
    const { rotateWaitMs, unterminatedMs } = this.options;
    for (const file of this.follower.files.values()) {
      // Late writers may write where no directory is watched.
      if (file.rotatedAt !== undefined) this.follower.noticeGrowth(file);
      if (file.caughtUpAt === undefined && !file.broken) continue;
      const idle = now - (file.caughtUpAt ?? 0);
      if (file.isHolding) await this.letGo(file, reader, now);
      const rotated =
        file.rotatedAt !== undefined && now - file.rotatedAt >= rotateWaitMs && idle >= rotateWaitMs;
      const expired = unterminatedMs > 0 && idle >= unterminatedMs;
      if ((rotated || expired) && !file.broken && file.offset < file.size)
        await this.finishLine(file, reader);
      if (!rotated || this.ready.has(file) || !this.follower.isFollowed(file)) continue;
      if (file.source.position() >= file.offset) this.follower.endings.forget(file);
    }
    await this.rescue.look();
    this.follower.endings.forgetRetired();
    for (const attendant of this.attendants?.all() ?? []) {
      const room = attendant.speak?.();
      if (room !== undefined) await this.waitFor(room);
    }
  }

  /** Records that waited long enough for their rest go on without it. */
  private async letGo(file: TailFile, reader: LineReader, now: number): Promise<void> {
    const { join } = this.options.formatOf(file);
    if (join === undefined || this.ready.has(file)) return;
    // Of a file that was just rotated, the rest may come in the next one.
    const wait =
      file.rotatedAt === undefined ? join.waitMs : Math.max(join.waitMs, this.options.rotateWaitMs);
    await reader.release(file, 'timeout', ({ at }) => now - at >= wait);
  }

  /** Takes what there is of a file that gets no more: a line without its end, records without their rest. */
  private async finish(file: TailFile, reader: LineReader): Promise<void> {
    if (file.offset < file.size) await this.finishLine(file, reader);
    if (!file.isHolding) return;
    await reader.release(file, file.rotatedAt === undefined ? 'end' : 'file_gone');
  }

  private async finishLine(file: TailFile, reader: LineReader): Promise<void> {
    try {
      if (!this.follower.open(file)) return;
      file.busy = true;
      await reader.finish(file);
      this.identify(file);
    } catch (error) {
      this.failed(file, error);
    } finally {
      file.busy = false;
    }
  }

  /** All files were read to their ends, and that is all that was asked for. */
  private async end(reader: LineReader): Promise<void> {
    for (const file of this.follower.files.values()) {
      if (!file.broken && (file.offset < file.size || file.isHolding)) await this.finish(file, reader);
    }
    if (this.ready.size > 0) return;
    this.ended = true;
    this.context.finished({ exit: true });
  }

  private sleep(): Promise<void> {
    return this.stopped || this.ready.size > 0 ? Promise.resolve() : this.nap();
  }

  /** A moment, or until it is woken. */
  private nap(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, HOUSEKEEPING_MS);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = () => undefined;
        resolve();
      };
    });
  }

  lag(): readonly { file: string; bytes: number }[] {
    return [...this.follower.files.values()].map(({ path: file, lag: bytes }) => ({ file, bytes }));
  }

  async stop(over = AbortSignal.timeout(STOP_MS)): Promise<void> {
    this.stopped = true;
    this.stopping.resolve();
    this.rescue.stop(over);
    this.wake();
    await this.follower.stop();
    await this.running;
    await this.rescue.finish(over);
    // Without positions, nobody will read again what is held.
    if (this.context.store !== undefined) return;
    for (const file of this.follower.files.values())
      if (file.isHolding) await this.finish(file, this.newReader());
  }

  async close(): Promise<void> {
    for (const end of this.observed) end();
    for (const { join } of this.follower.files.values())
      if (join !== undefined) this.context.keep(-join.bytes);
    this.attendants?.close();
    await this.follower.endings.close();
  }
}
