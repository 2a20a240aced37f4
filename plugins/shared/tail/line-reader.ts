/**
 * Cuts a file's bytes into lines and hands them over as batches. One reader and one block serve all files of an input: what is
 * left of a block (a line without its end) is read again at the next turn, so that an idle file costs no memory.
 *
 *   buffer  |…guard…|line\n|line\n|line\n|li          |
 *           0       from                  rest         length
 */
import { isAscii } from 'node:buffer';
import { Batch } from '../../../src/plugin.ts';
import type { Emit, LineShape, LineText, LogRecord, ParsedEvent, Parser } from '../../../src/plugin.ts';
import type { ChooseEncoding, TextEncoding } from './encoding.ts';
import { Assembly } from './join/assembly.ts';
import { FileJoin, handedOver, joinOf } from './join/held.ts';
import type { HeldRecord, ReleaseReason } from './join/held.ts';
import type { BlockLines, Joiner, JoinPlan } from './join/joiner.ts';
import { GUARD_BYTES } from './tail-file.ts';
import type { TailFile } from './tail-file.ts';

const BLOCK_BYTES = 256 * 1024;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
/** A line of just the limit may be followed by a carriage return before its end is there: one byte, or a unit of UTF-16. */
const CR_BYTES = 2;
/** The longest character of the encodings that are no Unicode. */
const LONGEST_CHARACTER = 4;

/** What becomes of the lines of a file. */
export interface FileFormat {
  /** Takes each line; not where lines are joined. */
  parser: Parser | undefined;
  /** Joins lines to records. Compared by identity: files that have the same share it. */
  join: JoinPlan | undefined;
}

export interface LineOptions {
  key: string;
  /** Asked at every turn of a file: it may become another one while the file is read. */
  formatOf: (file: TailFile) => FileFormat;
  /** Of a joined record; a longer one is cut into several. Bytes. */
  maxRecord: number;
  pathKey: string | undefined;
  offsetKey: string | undefined;
  skipEmptyLines: boolean;
  /** Longer lines are cut here, or skipped. Bytes. */
  maxLine: number;
  longLines: 'cut' | 'skip';
  encoding: ChooseEncoding;
}

export interface LineEvents {
  emit: Emit;
  /** A batch is complete; it may still be changed. */
  onBatch?: (file: TailFile, batch: Batch) => void;
  /** Lines that were cut or skipped. */
  onLongLine: (file: TailFile, action: 'cut' | 'skip') => void;
  onUnparsed: (file: TailFile, reason: string) => void;
  /** A record went on without its rest. */
  onReleased: (reason: ReleaseReason) => void;
  /** Counts what is held of records that are not complete; false when that is too much. */
  keep: (bytes: number) => boolean;
}

/** The text of the block that is being read. */
class BlockText implements LineText, BlockLines {
  shape: LineShape | undefined;
  buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  /** Bytes in the block. */
  length = 0;
  /** The block as text when it is ASCII: then offsets in both are the same. */
  text: string | undefined;
  private decode: TextEncoding['decode'];
  private bytes: string | undefined;

  load(length: number, decode: TextEncoding['decode']): void {
    this.length = length;
    this.decode = decode;
    const ascii = decode === undefined && isAscii(this.buffer.subarray(0, length));
    this.text = ascii ? this.buffer.toString('latin1', 0, length) : undefined;
    this.bytes = this.text;
  }

  get head(): string | undefined {
    if (this.decode === undefined) this.bytes ??= this.buffer.toString('latin1', 0, this.length);
    return this.bytes;
  }

  copy(start: number, stop: number): string {
    const { buffer } = this;
    if (this.decode !== undefined) return this.decode(buffer.subarray(start, stop));
    return buffer.toString(this.text === undefined ? 'utf8' : 'latin1', start, stop);
  }

  slice(start: number, stop: number): string {
    if (this.text !== undefined) return this.text.slice(start, stop);
    if (this.decode !== undefined) return this.decode(this.buffer.subarray(start, stop));
    return this.buffer.toString('utf8', start, stop);
  }

  grow(): void {
    const larger = Buffer.allocUnsafeSlow(this.buffer.length * 2);
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  /** Gives the memory of an over-long line back. */
  shrink(): void {
    if (this.buffer.length > BLOCK_BYTES) this.buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  }
}

export type TurnResult = 'more' | 'end' | 'truncated';

export class LineReader {
  private readonly options: LineOptions;
  private readonly events: LineEvents;
  private readonly block = new BlockText();
  /** One for all blocks: it is free again when `emit` has returned. */
  private readonly batch = new Batch();
  private readonly event: ParsedEvent = { record: {}, text: undefined, seconds: Number.NaN, nanos: 0 };
  /** The last batch had to wait for room. */
  private waited = false;
  private seconds = 0;
  private nanos = 0;
  private parser: Parser | undefined;
  private joiner: Joiner | undefined;
  private readonly joiners = new WeakMap<JoinPlan, Joiner>();
  private readonly assembly: Assembly;

  constructor(options: LineOptions, events: LineEvents) {
    this.options = options;
    this.events = events;
    this.assembly = new Assembly(options, events);
  }

  /**
   * Reads a file from its offset, at most about `budget` bytes or one line, and emits what it finds. `truncated` when the bytes before the
   * offset are not what was read: the file is another one now. `stopped` is asked between blocks.
   */
  async turn(file: TailFile, budget: number, stopped: () => boolean): Promise<TurnResult> {
    const { block } = this;
    let left = budget;
    let filled = 0;
    let progressed = false;
    if (!file.hasItsHead) return 'truncated';
    await this.choose(file);
    // The guard is read along with what follows it, to see in one go whether it is still there.
    let guard = file.compressed ? 0 : file.guard.length;
    try {
      while (!stopped()) {
        if (filled === block.buffer.length) {
          block.length = filled;
          block.grow();
        }
        const at = file.offset - guard + filled;
        const room = block.buffer.length - filled;
        const count = await file.bytes.read(block.buffer, filled, room, at);
        if (stopped()) return 'more';
        filled += count;
        if (guard > 0) {
          if (filled < guard || block.buffer.compare(file.guard, 0, guard, 0, guard) !== 0)
            return 'truncated';
          block.buffer.copyWithin(0, guard, filled);
          filled -= guard;
          guard = 0;
        }
        if (count === 0) return 'end';
        file.size = Math.max(file.size, file.offset + filled);
        const consumed = await this.take(file, filled);
        left -= count;
        progressed ||= consumed > 0;
        // What was waited for may have taken long: the file is looked at anew before it is read on. A line that is longer than the budget is
        // read to its end all the same: the next turn would only begin with it again.
        if ((left <= 0 && progressed) || this.waited) return 'more';
        // Fewer bytes than asked for: that was the end, when they were read. What comes later is read with a guard.
        if (count < room && !file.compressed) return 'end';
        if (consumed > 0 && !file.compressed) {
          // It may be rewritten between two reads: each of them brings a guard along.
          filled = 0;
          guard = file.guard.length;
        } else {
          block.buffer.copyWithin(0, consumed, filled);
          filled -= consumed;
        }
      }
      return 'more';
    } finally {
      block.shrink();
    }
  }

  /** Asks what is to become of the lines of a file. */
  private async choose(file: TailFile): Promise<void> {
    const { parser, join } = this.options.formatOf(file);
    this.parser = parser;
    this.joiner = undefined;
    if (join === undefined) {
      // It was joined before a reload, and is no longer.
      if (joinOf(file.source)?.busy === true) await this.release(file, 'interrupted');
      file.join = undefined;
    } else {
      this.joiner = this.joiners.get(join);
      if (this.joiner === undefined) {
        this.joiner = join.joiner(this.block);
        this.joiners.set(join, this.joiner);
      }
      if (file.join === undefined) this.adoptJoin(file);
      if (file.join?.busy === true) await this.part(file, join);
    }
    this.block.shape = this.joiner?.shape;
  }

  /** Lets go what the plan of another time, or before a reload, left and this one does not go on with. */
  private async part(file: TailFile, plan: JoinPlan): Promise<void> {
    await this.release(file, 'interrupted', ({ key }) => !plan.takes(key));
    file.join?.forget((key) => plan.takes(key));
  }

  /** Begins to join, or goes on with what an earlier input left with the source. */
  private adoptJoin(file: TailFile): void {
    file.join = joinOf(file.source) ?? new FileJoin(file.source);
    file.source.unfinished = file.join;
    if (file.join.bytes > 0) this.events.keep(file.join.bytes);
  }

  /** Lets records of a file go on without their rest. Resolves when they were handed over. */
  async release(
    file: TailFile,
    reason: ReleaseReason,
    isDue: (held: HeldRecord) => boolean = () => true,
  ): Promise<void> {
    const join = joinOf(file.source);
    const due = join?.held.filter(isDue) ?? [];
    if (join === undefined || due.length === 0) return;
    const batch = new Batch();
    batch.source = file.source;
    batch.base = file.offset;
    this.tellTime();
    const { assembly } = this;
    assembly.begin(batch, join, file.shown, this.seconds, this.nanos);
    for (const held of due) assembly.release(held, reason);
    await this.emitJoined(file);
  }

  /** Emits the last line of a file that will not get an end any more, flagged. False when there is none. */
  async finish(file: TailFile): Promise<boolean> {
    const { block } = this;
    await this.choose(file);
    let filled = 0;
    for (;;) {
      if (filled === block.buffer.length) {
        block.length = filled;
        block.grow();
      }
      const count = await file.bytes.read(
        block.buffer,
        filled,
        block.buffer.length - filled,
        file.offset + filled,
      );
      filled += count;
      if (count === 0 || filled > this.options.maxLine + CR_BYTES) break;
    }
    try {
      // More came in the meantime: then this is no last line.
      if (filled === 0 || filled > this.options.maxLine + CR_BYTES || file.skipping) return false;
      const { encoding } = this.prepare(file, filled);
      if (block.buffer.subarray(0, filled).indexOf(encoding.lineFeed) >= 0) return false;
      const batch = this.begin(file);
      if (filled > this.options.maxLine) this.long(batch, file, 0, filled);
      else this.push(batch, file, 0, filled, filled, { unterminated: true });
      await this.handOver(file, batch, filled);
      return true;
    } finally {
      block.shrink();
    }
  }

  private prepare(file: TailFile, filled: number): { encoding: TextEncoding } {
    file.encoding ??= this.options.encoding(() => file.byteOrderMark);
    this.block.load(filled, file.encoding.decode);
    // Asked once of the block, so that no parser has to ask each line.
    this.event.oneLine = this.block.text?.includes('\r') === false;
    return { encoding: file.encoding };
  }

  private begin(file: TailFile): Batch {
    const { batch } = this;
    batch.reset();
    batch.useLines(this.options.key, this.block);
    batch.source = file.source;
    batch.base = file.offset;
    this.tellTime();
    if (file.join !== undefined) this.assembly.begin(batch, file.join, file.shown, this.seconds, this.nanos);
    return batch;
  }

  private tellTime(): void {
    const now = Date.now();
    this.seconds = Math.floor(now / 1000);
    this.nanos = (now % 1000) * 1_000_000;
  }

  /** Emits the whole lines of the block; resolves with the number of bytes that are done with. */
  private async take(file: TailFile, filled: number): Promise<number> {
    const { encoding } = this.prepare(file, filled);
    const batch = this.begin(file);
    const consumed =
      encoding.unit === 1 ? this.frame(file, batch, filled) : this.frameWide(file, batch, filled, encoding);
    await this.handOver(file, batch, consumed);
    return consumed;
  }

  private async handOver(file: TailFile, batch: Batch, consumed: number): Promise<void> {
    const { buffer } = this.block;
    const room = this.joiner === undefined ? this.emit(file, batch) : this.emitJoined(file);
    // Only now: if the pipeline fails, these bytes are read again.
    if (consumed >= GUARD_BYTES) {
      file.guard = Buffer.from(buffer.subarray(consumed - GUARD_BYTES, consumed));
    } else if (consumed > 0) {
      file.guard = Buffer.concat([file.guard, buffer.subarray(0, consumed)]).subarray(-GUARD_BYTES);
    }
    file.offset += consumed;
    file.bytes.release(file.offset);
    const { source, offset } = file;
    // A filter that takes its time has not passed the batch on when `emit` returns: only then may the mark move.
    this.waited = room !== undefined;
    if (room !== undefined) await room;
    // Bytes that became no event (empty or skipped lines) are done with as well.
    source.advance(offset);
  }

  private emit(file: TailFile, batch: Batch): Promise<void> | undefined {
    if (batch.length > 0) this.events.onBatch?.(file, batch);
    return batch.length > 0 ? this.events.emit(file.tag, batch) : undefined;
  }

  private emitJoined(file: TailFile): Promise<void> | undefined {
    const { assembly } = this;
    const rooms: Promise<void>[] = [];
    for (const batch of assembly.finish()) {
      const room = this.emit(file, batch);
      if (room !== undefined) rooms.push(room);
    }
    const { left } = assembly;
    if (rooms.length > 0) return Promise.all(rooms).then(() => handedOver(left));
    handedOver(left);
    return undefined;
  }

  private frame(file: TailFile, batch: Batch, filled: number): number {
    const { block, options } = this;
    const { buffer, text } = block;
    const { maxLine, skipEmptyLines } = options;
    let start = 0;
    for (;;) {
      const end = text === undefined ? buffer.indexOf(LINE_FEED, start) : text.indexOf('\n', start);
      // Behind `filled` the buffer holds what earlier blocks left there.
      if (end < 0 || end >= filled) break;
      let stop = end;
      if (stop > start && buffer[stop - 1] === CARRIAGE_RETURN) stop--;
      if (file.skipping) file.skipping = false;
      else if (stop - start > maxLine) this.long(batch, file, start, end + 1);
      else if (stop > start || !skipEmptyLines) this.push(batch, file, start, stop, end + 1, undefined);
      start = end + 1;
    }
    return this.rest(batch, file, start, filled);
  }

  private frameWide(file: TailFile, batch: Batch, filled: number, { lineFeed }: TextEncoding): number {
    const { buffer } = this.block;
    // A file that is not read from its head may begin within a unit.
    let start = file.offset % 2;
    for (let search = start; ;) {
      const end = buffer.indexOf(lineFeed, search);
      if (end < 0 || end + 2 > filled) break;
      if ((end - start) % 2 !== 0) {
        search = end + 1;
        continue;
      }
      let stop = end;
      const low = lineFeed[0] === 0 ? 1 : 0;
      const carriage =
        stop - start >= 2 && buffer[stop - 2 + low] === CARRIAGE_RETURN && buffer[stop - 1 - low] === 0;
      if (carriage) stop -= 2;
      if (file.skipping) file.skipping = false;
      else if (stop - start > this.options.maxLine) this.long(batch, file, start, end + 2);
      else if (stop > start || !this.options.skipEmptyLines)
        this.push(batch, file, start, stop, end + 2, undefined);
      start = end + 2;
      search = start;
    }
    return this.rest(batch, file, start, filled);
  }

  /** What follows the last line end: kept for the next block, unless it is too long already. */
  private rest(batch: Batch, file: TailFile, start: number, filled: number): number {
    const whole = filled - ((file.offset + filled) % (file.encoding?.unit ?? 1));
    if (file.skipping) return whole;
    if (filled - start <= this.options.maxLine + CR_BYTES) return start;
    const cut = this.long(batch, file, start, undefined);
    file.skipping = true;
    return Math.max(cut, whole);
  }

  /** A line that is too long: cut, or left out. `stop` is behind its end, if that is known. Returns the offset that is done with. */
  private long(batch: Batch, file: TailFile, start: number, stop: number | undefined): number {
    const { maxLine, longLines } = this.options;
    this.events.onLongLine(file, longLines);
    const cut = this.characterBorder(start, start + maxLine, file.encoding);
    if (longLines === 'cut') this.push(batch, file, start, cut, stop ?? cut, { truncated: true });
    return stop ?? cut;
  }

  /** The last offset up to `cut` that is not within a character. */
  private characterBorder(start: number, cut: number, encoding: TextEncoding | undefined): number {
    const { buffer } = this.block;
    let border = cut;
    if (encoding?.unit === 2) {
      border -= (cut - start) % 2;
      // Not behind the first half of a surrogate pair.
      const high = border - (encoding.lineFeed[0] === 0 ? 2 : 1);
      return high > start && ((buffer[high] as number) & 0xfc) === 0xd8 ? border - 2 : border;
    }
    const decode = encoding?.decode;
    if (decode === undefined) {
      // UTF-8 continuation bytes are 10xxxxxx.
      while (border > start && ((buffer[border] as number) & 0xc0) === 0x80) border--;
      return border;
    }
    for (; border > cut - LONGEST_CHARACTER && border > start; border--) {
      if (!decode(buffer.subarray(start, border)).endsWith('\ufffd')) return border;
    }
    return cut;
  }

  private push(
    batch: Batch,
    file: TailFile,
    start: number,
    stop: number,
    next: number,
    metadata: LogRecord | undefined,
  ): void {
    if (this.joiner !== undefined) {
      this.joiner.take(this.assembly, start, stop, next, metadata);
      return;
    }
    const { parser } = this;
    const { pathKey, offsetKey, key } = this.options;
    if (parser !== undefined && this.parse(batch, file, parser, start, stop, next)) {
      this.decorate(batch, file, start);
    } else if (pathKey === undefined && offsetKey === undefined) {
      batch.pushLine(this.seconds, this.nanos, start, stop, start, next);
    } else {
      const record: LogRecord = {};
      if (pathKey !== undefined) record[pathKey] = file.shown;
      if (offsetKey !== undefined) record[offsetKey] = file.offset + start;
      record[key] = this.block.slice(start, stop);
      batch.push(record, undefined, this.seconds, this.nanos, start, next);
    }
    if (metadata !== undefined) {
      batch.metadata ??= [];
      batch.metadata[batch.length - 1] = metadata;
    }
  }

  private parse(
    batch: Batch,
    file: TailFile,
    parser: Parser,
    start: number,
    stop: number,
    next: number,
  ): boolean {
    const { event } = this;
    if (!parser.parse(this.block.slice(start, stop), event)) {
      this.events.onUnparsed(file, parser.failure());
      return false;
    }
    // NaN is not equal to itself: the line carried no time.
    const timed = event.seconds === event.seconds;
    batch.push(
      event.record,
      event.text,
      timed ? event.seconds : this.seconds,
      timed ? event.nanos : this.nanos,
      start,
      next,
    );
    return true;
  }

  private decorate(batch: Batch, file: TailFile, start: number): void {
    const { pathKey, offsetKey } = this.options;
    const last = batch.length - 1;
    if (pathKey !== undefined) {
      batch.set(last, pathKey, file.shown, `${JSON.stringify(pathKey)}:${JSON.stringify(file.shown)}`);
    }
    if (offsetKey !== undefined) {
      const offset = file.offset + start;
      batch.set(last, offsetKey, offset, `${JSON.stringify(offsetKey)}:${offset}`);
    }
  }
}
