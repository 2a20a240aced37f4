/**
 * The systemd input: follows the journal through journalctl, which knows its files, and hands its entries over.
 *
 * The child is started again when it ends, hangs, or writes what cannot be read: behind the last entry that was handed over, so nothing
 * comes twice. While there is no room its pipe is not read; the journal keeps what is not read yet, until vacuum takes it: gaps in the
 * sequence numbers are counted then (where no filter makes gaps of its own).
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Batch } from '../../../src/plugin.ts';
import type { Emit, Input, InputContext } from '../../../src/plugin.ts';
import { Rarely } from '../../shared/rarely.ts';
import { EntryMaker } from './entry.ts';
import type { Entry, EntryOptions } from './entry.ts';
import { ExportError, ExportReader } from './export-reader.ts';
import { advised, follow, listen, look, version } from './journalctl.ts';
import type { JournalPlace, JournalProcess } from './journalctl.ts';
import { JournalPositions, readCursor } from './positions.ts';
import type { Place } from './positions.ts';
import { compileUnitTag } from './tags.ts';

export interface SystemdOptions extends JournalPlace, EntryOptions {
  /** Entries of one block at most. */
  maxEntries: number;
  /** Bytes of one field, and about of one entry. */
  maxSize: number;
  /** Filters leave entries out: gaps in the sequence numbers mean nothing. */
  isFiltered: boolean;
  /** Begin at the end of the journal at the very first start. */
  readFromTail: boolean;
}

/** A batch that is being filled: entries of one stream and one tag. */
interface Part {
  stream: string;
  tag: string;
  batch: Batch;
  /** Number of its first entry, and the one behind its last. */
  start: number;
  stop: number;
}

/** Bytes that one block is made of, at most; memory that is held before there is a word about room. */
const BLOCK_BYTES = 1 << 20;
/** Positions in a batch are 32 bits wide. */
const MAX_SPAN = 2 ** 31 - 2;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** How long a child may give nothing before it is asked whether there is anything. */
const WATCH_MS = 30_000;
/** How long it has to end by itself. */
const END_MS = 2000;

/** By store, so that the input of a new configuration goes on behind what the old one has handed over. */
const known = new WeakMap<object, JournalPositions>();

function positionsOf({ store }: InputContext): JournalPositions {
  if (store === undefined) return new JournalPositions(undefined);
  let positions = known.get(store);
  if (positions === undefined) known.set(store, (positions = new JournalPositions(store)));
  return positions;
}

export class SystemdInput implements Input {
  private readonly options: SystemdOptions;
  private readonly context: InputContext;
  private readonly watchMs: number;
  private readonly tagOf: (unit: string | undefined) => string;
  private readonly restarts: { value: number };
  private readonly cuts: { value: number };
  private readonly lost: { value: number };
  private readonly seldomCut = new Rarely();
  private readonly seldomLost = new Rarely();
  private readonly seldomSaid = new Rarely();
  private readonly stopped = new AbortController();
  private readonly maker: EntryMaker;
  private readonly reader: ExportReader;
  private readonly parts = new Map<string, Part>();

  private emit: Emit | undefined;
  private positions!: JournalPositions;
  private running: Promise<void> | undefined;
  private child: JournalProcess | undefined;
  /** The child has given nothing yet: its first entry may be the one to go on behind. */
  private isFirst = false;
  private entries = 0;
  private bytes = 0;
  private cursor = '';
  private flushing: NodeJS.Immediate | undefined;
  private isFull = false;
  /** Bytes that the child has given. */
  private given = 0;

  constructor(options: SystemdOptions, context: InputContext, watchMs = WATCH_MS) {
    this.options = options;
    this.context = context;
    this.watchMs = watchMs;
    this.tagOf = compileUnitTag(context.tag);
    const { metrics, name } = context;
    const counter = (metric: string, help: string) => metrics.counter(`tailrace_input_${metric}_total`, help);
    this.restarts = counter('journalctl_restarts', 'Times that journalctl was started again.').labels({
      name,
    });
    this.cuts = counter('long_lines', 'Lines over the limit, by what was done with them.').labels({
      name,
      action: 'cut',
    });
    this.lost = counter('lost_records', 'Records that were gone before they were read, by reason.').labels({
      name,
      reason: 'vacuumed',
    });
    this.maker = new EntryMaker(options, (entry) => this.take(entry));
    this.reader = new ExportReader(this.maker, options.maxSize);
  }

  async start(emit: Emit): Promise<void> {
    this.emit = emit;
    const { command } = this.options;
    try {
      const said = await version(this.options);
      this.context.log.debug({ version: said }, 'The journal is read through journalctl');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(
        `Reading the journal: "${command}" cannot be run (${reason}). Install systemd's journalctl, or name it with journalctl_path.`,
        { cause: error },
      );
    }
    this.positions = positionsOf(this.context);
    this.running = this.run();
  }

  /** Follows, and begins again when that ends. Never rejects. */
  private async run(): Promise<void> {
    let wait = FIRST_PAUSE_MS;
    while (!this.stopped.signal.aborted) {
      const { given } = this;
      try {
        await this.locate();
        if (this.stopped.signal.aborted) return;
        await this.follow();
      } catch (error) {
        if (this.stopped.signal.aborted) return;
        this.restarts.value++;
        wait = this.given > given ? FIRST_PAUSE_MS : Math.min(wait * 2, LONGEST_PAUSE_MS);
        this.context.log.error(
          { error, again_ms: wait },
          'The journal cannot be read just now; journalctl is started again, behind what was read',
        );
      }
      await pause(wait, undefined, { signal: this.stopped.signal }).catch(() => undefined);
    }
  }

  /** Where to go on: at the very first start as configured, later behind what was handed over, if that is still there. */
  private async locate(): Promise<void> {
    const { options, positions, context } = this;
    const { signal } = this.stopped;
    if (positions.fresh) {
      positions.begin(options.readFromTail ? (await look(options, { count: 1, signal }))[0] : undefined);
      return;
    }
    if (positions.last === undefined) return;
    const [first] = await look(options, { count: 1, from: positions.last, signal });
    if (first === positions.last) return;
    const [newest] = await look(options, { count: 1, signal });
    if (isBefore(newest, positions.last)) {
      context.log.error(
        { cursor: positions.last, newest },
        'The journal ends before the entry to read on behind: an older state of it was put back. It is read from its head',
      );
      positions.startOver();
      return;
    }
    context.log.warn(
      { cursor: positions.last },
      'The entry to read on behind is not in the journal any more; reading goes on with the oldest after it',
    );
  }

  /** Reads one child to its end; throws what it died of. */
  private async follow(): Promise<void> {
    const child = follow(this.options, this.positions.last);
    this.child = child;
    this.isFirst = true;
    this.isFull = false;
    this.reader.reset();
    this.maker.reset();
    const said = listen(child);
    let failure: unknown;
    child.stdout.on('data', (piece: Buffer) => {
      try {
        if (failure === undefined) this.read(piece);
      } catch (error) {
        failure = error;
        child.kill('SIGKILL');
      }
    });
    child.stderr.on('data', () => {
      const times = this.seldomSaid.happened();
      if (times > 0) this.context.log.warn({ said: said(), times }, 'journalctl complains');
    });
    const watch = this.watch(child, (hung) => (failure ??= hung));
    try {
      await new Promise<void>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => {
          const reason = signal === null ? `code ${code}` : `signal ${signal}`;
          if (this.stopped.signal.aborted) resolve();
          else
            reject(
              failure ??
                new Error(`journalctl ended with ${reason}: ${advised(said()) || 'it said nothing'}`),
            );
        });
      });
    } finally {
      clearInterval(watch);
      this.child = undefined;
      this.flush();
    }
  }

  /** Kills a child that gives nothing though there is something. */
  private watch(child: JournalProcess, onHung: (error: Error) => void): NodeJS.Timeout {
    let { given } = this;
    let suspected = false;
    return setInterval(() => {
      if (this.given !== given || this.isFull) {
        given = this.given;
        suspected = false;
      } else if (suspected) {
        onHung(new Error('journalctl gives nothing though the journal has more; it was killed'));
        child.kill('SIGKILL');
      } else {
        void this.hasMore().then((more) => (suspected = more && this.given === given));
      }
    }, this.watchMs);
  }

  private async hasMore(): Promise<boolean> {
    const { last } = this.positions;
    const { signal } = this.stopped;
    const found = await look(this.options, { count: 2, from: last, matching: true, signal }).catch(() => []);
    return found.some((cursor) => cursor !== last);
  }

  private read(piece: Buffer): void {
    if (this.stopped.signal.aborted) return;
    this.given += piece.length;
    this.bytes += piece.length;
    this.reader.push(piece);
    if (this.bytes >= BLOCK_BYTES) this.flush();
    // What else has arrived comes before this, and into the same block.
    else this.flushing ??= setImmediate(() => this.flush());
  }

  private take(entry: Entry): void {
    const { positions } = this;
    const place = readCursor(entry.cursor);
    if (place === undefined || Number.isNaN(entry.micros)) {
      throw new ExportError(`an entry has no cursor or time that can be read: ${entry.cursor.slice(0, 200)}`);
    }
    const isFirst = this.isFirst;
    this.isFirst = false;
    if (isFirst && entry.cursor === positions.last) return;
    if (positions.goesBack(place)) this.flush();
    const missing = positions.step(place);
    if (missing > 0 && !this.options.isFiltered && entry.micros >= positions.since) this.miss(missing);
    if (entry.metadata?.['truncated'] === true) this.countCut(entry);
    this.put(entry, place);
  }

  private put(entry: Entry, { stream, number }: Place): void {
    const tag = this.tagOf(entry.unit);
    const key = `${stream} ${tag}`;
    let part = this.parts.get(key);
    if (part !== undefined && number - part.start > MAX_SPAN) {
      this.flush();
      part = undefined;
    }
    if (part === undefined) {
      part = { stream, tag, batch: new Batch(), start: number, stop: number };
      part.batch.base = number;
      this.parts.set(key, part);
    }
    const { batch, start } = part;
    const seconds = Math.floor(entry.micros / 1e6);
    const nanos = (entry.micros - seconds * 1e6) * 1000;
    batch.push(entry.record, undefined, seconds, nanos, number - start, number - start + 1);
    if (entry.metadata !== undefined) {
      batch.metadata ??= Array.from({ length: batch.length - 1 }, () => undefined);
    }
    batch.metadata?.push(entry.metadata);
    part.stop = number + 1;
    this.cursor = entry.cursor;
    if (++this.entries >= this.options.maxEntries) this.flush();
  }

  /** Hands over what was read. */
  private flush(): void {
    clearImmediate(this.flushing);
    this.flushing = undefined;
    this.bytes = 0;
    this.entries = 0;
    const { emit, positions } = this;
    const parts = [...this.parts.values()];
    this.parts.clear();
    if (parts.length === 0 || emit === undefined) return;
    const sources = positions.sourcesOf(parts);
    positions.handOver(this.cursor, parts);
    const rooms: Promise<void>[] = [];
    for (const [index, { tag, batch }] of parts.entries()) {
      batch.source = sources[index];
      const room = emit(tag, batch);
      if (room !== undefined) rooms.push(room);
    }
    positions.tidy();
    if (rooms.length > 0) this.waitFor(rooms);
  }

  /** Reads no more of the child until there is room. */
  private waitFor(rooms: readonly Promise<void>[]): void {
    const { child } = this;
    if (child === undefined) return;
    this.isFull = true;
    child.stdout.pause();
    void Promise.all(rooms).then(() => {
      if (this.child !== child) return undefined;
      this.isFull = false;
      child.stdout.resume();
      return undefined;
    });
  }

  private miss(entries: number): void {
    this.lost.value += entries;
    const times = this.seldomLost.happened();
    if (times === 0) return;
    this.context.log.error(
      { entries, times },
      'Entries are missing by the sequence numbers of the journal: vacuum took them before they were read, or their file is damaged',
    );
  }

  private countCut({ cursor }: Entry): void {
    this.cuts.value++;
    const entries = this.seldomCut.happened();
    if (entries === 0) return;
    this.context.log.warn(
      { cursor, entries },
      'Entries have more fields than max_fields or longer ones than buffer_max_size; they are cut',
    );
  }

  async stop(): Promise<void> {
    this.flush();
    this.emit = undefined;
    this.stopped.abort();
    const { child } = this;
    // What it still writes is read to be dropped: else its end would not be seen.
    child?.stdout.resume();
    child?.kill('SIGTERM');
    const timer = setTimeout(() => child?.kill('SIGKILL'), END_MS);
    await this.running;
    clearTimeout(timer);
  }
}

/** Whether an entry stands before another of the same stream. */
function isBefore(cursor: string | undefined, other: string): boolean {
  const place = cursor === undefined ? undefined : readCursor(cursor);
  const reference = readCursor(other);
  return place?.stream === reference?.stream && (place?.number ?? 0) < (reference?.number ?? 0);
}
