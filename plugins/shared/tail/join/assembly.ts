/**
 * Puts the records of a block together where lines are joined. Most end with the line at hand and follow each other in one batch.
 *
 *   bytes     P1 of stdout | E of stderr | P2 of stdout | F of stdout        records: E, then P1+P2+F
 *
 * A record's origin is the line that completed it: so origins ascend and none lies in another, and what surrounds others only keeps marks
 * out of its reach (`Source.keepWhole`). Bytes of which nobody knows yet what they become must lie in no batch's range (ARCHITECTURE.md,
 * "a chunk covers its byte range alone"): where such lines stand between others, the batch is cut there.
 */
import { Batch, setKey } from '../../../../src/plugin.ts';
import type { CriText, LogRecord, Source } from '../../../../src/plugin.ts';
import type { HeldRecord, FileJoin, ReleaseReason } from './held.ts';

/** With these, what ends by waiting is whole. */
const ENDS: ReadonlySet<ReleaseReason> = new Set(['timeout', 'file_gone', 'end']);

/** Records that are held of one file: its lines say which streams it has, and there are two in truth. */
const MAX_HELD = 64;

export interface AssemblyOptions {
  pathKey: string | undefined;
  offsetKey: string | undefined;
  /** A record of which more is held goes on as it is. Bytes. */
  maxRecord: number;
}

export interface AssemblyEvents {
  /** Counts what is held; false when that is too much. */
  keep: (bytes: number) => boolean;
  /** A record went on without its rest. */
  onReleased: (reason: ReleaseReason) => void;
}

export class Assembly {
  join!: FileJoin;
  source!: Source;
  /** Offset of the block in its source. */
  base = 0;
  /** Time of reading. */
  seconds = 0;
  nanos = 0;
  private readonly options: AssemblyOptions;
  private readonly events: AssemblyEvents;
  private batch!: Batch;
  private done: Batch[] = [];
  /** Offsets, relative to the block, of lines that no batch may reach across. */
  private cuts: number[] = [];
  /** Records of the block that were held before. */
  left: HeldRecord[] = [];
  private path = '';
  private pathMember = '';

  constructor(options: AssemblyOptions, events: AssemblyEvents) {
    this.options = options;
    this.events = events;
  }

  /** Begins a block; `batch` is empty, and the first to be filled. */
  begin(batch: Batch, join: FileJoin, path: string, seconds: number, nanos: number): void {
    this.batch = batch;
    this.join = join;
    this.source = batch.source as Source;
    this.base = batch.base;
    this.seconds = seconds;
    this.nanos = nanos;
    this.done = [];
    this.cuts = [];
    this.left = [];
    if (path === this.path) return;
    this.path = path;
    this.pathMember = JSON.stringify(path);
  }

  /** Appends a line that `shape` knows, whose time it has just read. */
  line(shape: CriText, start: number, stop: number, next: number): void {
    const { pathKey, offsetKey } = this.options;
    const { seconds, nanos } = shape;
    if (pathKey === undefined && offsetKey === undefined)
      this.batch.pushLine(seconds, nanos, start, stop, this.originOf(start), next);
    else this.record(undefined, shape.json(start, stop), seconds, nanos, start, next, undefined);
  }

  /** Appends a record that the line at hand is, or completes. A text is its JSON; `origin` where its origin begins. */
  record(
    record: LogRecord | undefined,
    text: string | undefined,
    seconds: number,
    nanos: number,
    start: number,
    next: number,
    metadata: LogRecord | undefined,
    origin = this.originOf(start),
  ): void {
    // NaN is not equal to itself: there is no time but that of reading.
    const timed = seconds === seconds;
    this.batch.push(record, text, timed ? seconds : this.seconds, timed ? nanos : this.nanos, origin, next);
    this.decorate(this.batch, this.base + start);
    if (metadata !== undefined) flag(this.batch, metadata);
  }

  /** In a generation that took over a record, nothing begins with the first byte: see {@link FileJoin.inheritedAt}. */
  private originOf(start: number): number {
    if (this.join.inheritedAt === undefined || this.join.inheritedAt !== this.base + start) return start;
    this.source.keepWhole(this.base + start, this.base + start + 2);
    return start + 1;
  }

  private decorate(batch: Batch, offset: number): void {
    const { pathKey, offsetKey } = this.options;
    const last = batch.length - 1;
    if (pathKey !== undefined)
      batch.set(last, pathKey, this.path, `${JSON.stringify(pathKey)}:${this.pathMember}`);
    if (offsetKey !== undefined) batch.set(last, offsetKey, offset, `${JSON.stringify(offsetKey)}:${offset}`);
  }

  /** Keeps another part of a record, or its first one. Beyond the limit the record goes on as it is, and so does the oldest of too many. */
  hold(held: HeldRecord, bytes: number): void {
    held.bytes += bytes;
    const isNew = this.join.find(held.key) !== held;
    if (isNew) this.join.add(held);
    const kept = this.events.keep(isNew ? held.bytes : bytes);
    const reason = held.bytes > this.options.maxRecord ? 'size' : 'memory';
    if (reason === 'size' || !kept) {
      const { behind } = held;
      if (behind !== undefined && this.join.held.includes(behind)) this.release(behind, reason);
      this.release(held, reason);
    }
    const [oldest] = this.join.held;
    if (oldest !== undefined && this.join.held.length > MAX_HELD) this.release(oldest, 'memory');
  }

  /** Whether a record may grow by so much. */
  fits(held: HeldRecord, bytes: number): boolean {
    return held.bytes + bytes <= this.options.maxRecord;
  }

  /** What is held becomes a part of another record, which is then to be held with its bytes. */
  absorb(held: HeldRecord, into: HeldRecord): void {
    this.join.drop(held);
    this.events.keep(-held.bytes);
    into.absorb(held);
  }

  /** The line at hand is a further one of a record that is held. */
  extend(held: HeldRecord, start: number, next: number): void {
    held.extend(this.source, this.base + start, this.base + next);
    // Its origin will be its last line, and nobody knows yet which that is.
    if (!held.isContiguous) this.cuts.push(start);
  }

  /** The line at hand completes a record. */
  complete(held: HeldRecord, start: number, next: number): void {
    const { source, base, join } = this;
    this.letGo(held);
    held.extend(source, base + start, base + next);
    const { record, text, seconds, nanos } = held.content.finish();
    if (held.isRest) this.restOf(held.key, record, text, seconds, nanos, start, next, held.metadata);
    else this.record(record, text, seconds, nanos, start, next, held.metadata);
    tellLines(held, this.batch);
    const from = held.from(source);
    source.keepWhole(held.spans.length > 1 ? Math.min(from, join.inheritedAt ?? from) : from, base + next);
    this.settleLoans(held, base + next);
  }

  /** Appends a record that the line at hand completes, and whose beginning went on without it. */
  restOf(
    key: string,
    record: LogRecord | undefined,
    text: string | undefined,
    seconds: number,
    nanos: number,
    start: number,
    next: number,
    metadata: LogRecord | undefined,
  ): void {
    const { base, source } = this;
    this.join.mend(key);
    this.cuts.push(start);
    // Joined with the part that it belongs to, after a restart, it is another record: that one has the first byte.
    const flagged = { ...metadata, partial: true };
    this.record(record, text, seconds, nanos, start, next, flagged, start + 1);
    source.keepWhole(base + start, base + next);
  }

  private settleLoans(held: HeldRecord, until: number): void {
    for (const { source, from } of held.spans) {
      if (source !== held.source) source.lend(from, held.source, until);
    }
  }

  private letGo(held: HeldRecord): void {
    this.join.remove(held);
    this.left.push(held);
    this.events.keep(-held.bytes);
  }

  /** A record whose lines follow each other ends in front of the line at hand, as its kind does. */
  conclude(held: HeldRecord): void {
    const { batch, base } = this;
    const last = batch.length === 0 ? Number.NEGATIVE_INFINITY : (batch.stops[batch.length - 1] as number);
    const [first] = held.spans;
    const isInPlace = first?.source === this.source && first.from - base >= last;
    if (held.spans.length > 1 || !held.isContiguous || !isInPlace) {
      this.release(held, 'none');
      return;
    }
    this.letGo(held);
    const { record, text, seconds, nanos } = held.content.finish();
    this.record(record, text, seconds, nanos, first.from - base, held.lastStop - base, held.metadata);
  }

  /** A record goes on without its rest, behind what was read meanwhile: in a batch of its own. */
  release(held: HeldRecord, reason: ReleaseReason): void {
    this.letGo(held);
    const isPartial = !(held.content.endsByWaiting && ENDS.has(reason)) && reason !== 'none';
    if (reason !== 'none' && held.isBreakable) this.join.breakOff(held.key);
    if (isPartial) this.events.onReleased(reason);
    const { source } = held;
    const from = held.from(source);
    const batch = new Batch();
    batch.source = source;
    const { inheritedAt } = this.join;
    let start = held.isContiguous ? from : held.lastStart + (held.isRest ? 1 : 0);
    if (source === this.source && start === inheritedAt) start++;
    batch.base = start;
    const { record, text, seconds, nanos } = held.content.finish();
    const timed = seconds === seconds;
    batch.push(
      record,
      text,
      timed ? seconds : this.seconds,
      timed ? nanos : this.nanos,
      0,
      held.lastStop - start,
    );
    this.decorate(batch, held.lastStart);
    if (!held.isContiguous || held.spans.length > 1) tellLines(held, batch);
    if (isPartial) flag(batch, { ...held.metadata, partial: true });
    else if (held.metadata !== undefined) flag(batch, held.metadata);
    // As in `complete`: the generation that took it over is read from where it did so.
    const inherited = held.spans.length > 1 && source === this.source ? (inheritedAt ?? from) : from;
    source.keepWhole(Math.min(from, inherited), held.lastStop);
    if (held.isRest) source.keepWhole(held.lastStart, held.lastStop);
    this.settleLoans(held, held.lastStop);
    this.cutAround(held);
    this.done.push(this.batch, batch);
    this.batch = this.batch.split(this.batch.length);
  }

  private cutAround(held: HeldRecord): void {
    if (held.source !== this.source) return;
    this.cuts.push(held.from(this.source) - this.base, held.lastStart - this.base);
  }

  /** The batches of the block, in order. */
  finish(): readonly Batch[] {
    for (const held of this.join.held) this.cutAround(held);
    if (this.done.length === 0 && this.cuts.length === 0) return [this.batch];
    this.cuts.sort((a, b) => a - b);
    const batches: Batch[] = [];
    for (const batch of [...this.done, this.batch]) {
      for (const piece of this.pieces(batch)) if (piece.length > 0) batches.push(piece);
    }
    return batches;
  }

  private pieces(batch: Batch): Batch[] {
    if (batch.base !== this.base || batch.source !== this.source || batch.length === 0) return [batch];
    const { cuts } = this;
    const first = batch.starts[0] as number;
    const pieces: Batch[] = [];
    // From the end, so that each cut takes off what is behind it.
    for (let index = countBelow(cuts, batch.starts[batch.length - 1] as number) - 1; index >= 0; index--) {
      const cut = cuts[index] as number;
      if (cut < first) break;
      const { starts, length } = batch;
      let at = length;
      while (at > 0 && (starts[at - 1] as number) > cut) at--;
      if (at > 0 && at < length) pieces.push(batch.split(at));
    }
    return [batch, ...pieces.toReversed()];
  }
}

/** How many numbers of a sorted list are lower. */
function countBelow(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The record at the end of a batch has more lines than its origin says. */
function tellLines(held: HeldRecord, { source, base, starts, stops, length }: Batch): void {
  source?.compose(base + (starts[length - 1] as number), base + (stops[length - 1] as number), held.lines);
}

function flag(batch: Batch, metadata: LogRecord): void {
  batch.metadata ??= [];
  const known = batch.metadata[batch.length - 1];
  const all: LogRecord = { ...known };
  for (const [key, value] of Object.entries(metadata)) setKey(all, key, value);
  batch.metadata[batch.length - 1] = all;
}
