/**
 * A batch: events between input and chunk, in order, as columns.
 *
 * A slot holds its record in up to three forms and makes the others when asked:
 *   a line    the raw text under one key (`{"log": line}`), not yet an object: a tail without parser or filter never makes one
 *   a text    the JSON text as it arrived; valid as long as nobody changed the record, and then what the chunk stores
 *   a record  the object
 * `set` keeps text and object in step, so that adding a key costs a splice, not a second serialisation.
 *
 * Stages hand over batches, never single records.
 */
import { hasWideNumber, parseExact } from './json.ts';
import { setKey } from './record.ts';
import type { LogRecord, Value } from './record.ts';
import type { Source } from './source.ts';

const SPACE = 0x20;
const EMPTY_OBJECT = /^\{\s*\}$/;

/** Where raw lines are read from: offsets are the batch's own `starts` and `stops`. */
export interface LineText {
  /** The decoded text of the bytes from `start` to `stop`, both relative to the batch's `base`. */
  slice(start: number, stop: number): string;
  /** The record that such a line stands for, and its JSON text; absent: the text under the batch's key. */
  readonly shape?: LineShape | undefined;
}

/** Lines of a form in which a record can be found without looking at all of it. */
export interface LineShape {
  record(start: number, stop: number): LogRecord;
  /** On one line. */
  json(start: number, stop: number): string;
}

/** What a parser made of one line; reused between calls. */
export interface ParsedEvent {
  /** Said by the caller: the line holds neither CR nor LF, so its text can be kept without looking for them. */
  oneLine?: boolean;
  record: LogRecord;
  /** The record's JSON text, when the parser has it for nothing and it equals `record`; one line, an object. */
  text: string | undefined;
  /** Unix time; `seconds` is NaN when the line carries no (valid) time. */
  seconds: number;
  nanos: number;
}

/** Slots of a new batch; it grows as needed. */
const CAPACITY = 64;

export class Batch {
  length = 0;
  /** Name of the input that the events came from; set by the pipeline, taken over by filters that make batches. */
  input = '';
  /** The source that the origins speak of; absent where nothing can be read again. */
  source: Source | undefined;
  /** Added to `starts` and `stops` to make file offsets. */
  base = 0;
  /** Metadata of single events; most batches have none. */
  metadata: (LogRecord | undefined)[] | undefined;

  private secondsColumn = new Float64Array(CAPACITY);
  private nanosColumn = new Int32Array(CAPACITY);
  private startsColumn = new Int32Array(CAPACITY);
  private stopsColumn = new Int32Array(CAPACITY);
  /** Where the text of a raw line lies; unused for records. */
  private textStarts = new Int32Array(0);
  private textStops = new Int32Array(0);
  private texts: (string | undefined)[] = [];
  private records: (LogRecord | undefined)[] = [];
  private lineKey: string | undefined;
  private lineText: LineText | undefined;

  /** Unix seconds. A view: `setTime` changes it. */
  get seconds(): Float64Array {
    return this.secondsColumn.subarray(0, this.length);
  }

  /** 0 to 999,999,999. */
  get nanos(): Int32Array {
    return this.nanosColumn.subarray(0, this.length);
  }

  /** Origin of each event in its source, relative to `base`: its first byte. */
  get starts(): Int32Array {
    return this.startsColumn.subarray(0, this.length);
  }

  /** The first byte behind each event, its terminator included, relative to `base`. */
  get stops(): Int32Array {
    return this.stopsColumn.subarray(0, this.length);
  }

  setTime(index: number, seconds: number, nanos: number): void {
    this.secondsColumn[index] = seconds;
    this.nanosColumn[index] = nanos;
  }

  /** Empties the batch for new events, and keeps its memory. Only its maker may do so, once `emit` has returned. */
  reset(): void {
    this.length = 0;
    this.metadata = undefined;
    if (this.records.length > 0) {
      this.records = [];
      this.texts = [];
    }
  }

  /** Makes this a batch that can take raw lines; `key` is the one that they stand under. */
  useLines(key: string, text: LineText): void {
    this.lineKey = key;
    this.lineText = text;
    if (this.textStarts.length === 0) {
      this.textStarts = new Int32Array(this.startsColumn.length);
      this.textStops = new Int32Array(this.startsColumn.length);
    }
  }

  /** Appends a raw line whose text lies between two offsets of the line text. */
  pushLine(
    seconds: number,
    nanos: number,
    textStart: number,
    textStop: number,
    start: number,
    stop: number,
  ): void {
    const index = this.take(seconds, nanos, start, stop);
    this.textStarts[index] = textStart;
    this.textStops[index] = textStop;
  }

  /** Appends a record. `text` is its JSON on one line, if known. */
  push(
    record: LogRecord | undefined,
    text: string | undefined,
    seconds: number,
    nanos: number,
    start = 0,
    stop = 0,
  ): void {
    const index = this.take(seconds, nanos, start, stop);
    this.keep(index, record, text);
  }

  private take(seconds: number, nanos: number, start: number, stop: number): number {
    const index = this.length;
    if (index === this.startsColumn.length) this.grow();
    this.secondsColumn[index] = seconds;
    this.nanosColumn[index] = nanos;
    this.startsColumn[index] = start;
    this.stopsColumn[index] = stop;
    this.length = index + 1;
    return index;
  }

  private grow(): void {
    const capacity = this.startsColumn.length * 4;
    this.secondsColumn = grown(this.secondsColumn, new Float64Array(capacity));
    this.nanosColumn = grown(this.nanosColumn, new Int32Array(capacity));
    this.startsColumn = grown(this.startsColumn, new Int32Array(capacity));
    this.stopsColumn = grown(this.stopsColumn, new Int32Array(capacity));
    if (this.textStarts.length > 0) {
      this.textStarts = grown(this.textStarts, new Int32Array(capacity));
      this.textStops = grown(this.textStops, new Int32Array(capacity));
    }
  }

  /** The record, to read. Changing it does not change the batch: see {@link edit} and {@link set}. */
  record(index: number): LogRecord {
    const known = this.records[index];
    if (known !== undefined) return known;
    const record = this.decode(index);
    this.keep(index, record, this.texts[index]);
    return record;
  }

  /** Stores what is known of a slot; slots in front of it that have no entry get one. */
  private keep(index: number, record: LogRecord | undefined, text: string | undefined): void {
    while (this.records.length < index) {
      this.records.push(undefined);
      this.texts.push(undefined);
    }
    this.records[index] = record;
    this.texts[index] = text;
  }

  private decode(index: number): LogRecord {
    const text = this.texts[index];
    if (text !== undefined) return parseExact(text) as LogRecord;
    const { shape } = this.lineText as LineText;
    if (shape !== undefined)
      return shape.record(this.textStarts[index] as number, this.textStops[index] as number);
    const record: LogRecord = {};
    setKey(record, this.lineKey as string, this.line(index));
    return record;
  }

  private line(index: number): string {
    return (this.lineText as LineText).slice(
      this.textStarts[index] as number,
      this.textStops[index] as number,
    );
  }

  /** The record, to change in place; its kept text is given up. */
  edit(index: number): LogRecord {
    const text = this.texts[index];
    if (text !== undefined) {
      // The parser's own JSON.parse may have rounded a number: take the digits from the text.
      if (hasWideNumber(text)) this.records[index] = parseExact(text) as LogRecord;
      else this.record(index);
      this.texts[index] = undefined;
    }
    return this.record(index);
  }

  /** Makes the batch independent of the memory that its lines are read from. */
  detach(): void {
    if (this.lineText === undefined) return;
    for (let index = 0; index < this.length; index++) {
      if (this.texts[index] === undefined) this.record(index);
    }
    this.lineText = undefined;
  }

  /** Replaces the record. */
  replace(index: number, record: LogRecord, text?: string): void {
    this.keep(index, record, text);
  }

  /**
   * Sets a top-level key. `member` is `"key":value` in JSON when the caller has it ready (a constant): then a record that
   * has the key not yet keeps its text, with the member spliced in at its end, and a line of which nobody has asked for the record
   * gets a text and stays without one.
   */
  set(index: number, key: string, value: Value, member?: string): void {
    if (member !== undefined) {
      const record = this.records[index];
      if (record === undefined) {
        const text = this.json(index);
        if (!text.includes(quoted(key))) {
          this.keep(index, undefined, splice(text, member));
          return;
        }
      }
      const text = this.texts[index];
      if (text !== undefined) {
        const known = record ?? this.record(index);
        if (!Object.hasOwn(known, key)) {
          setKey(known, key, value);
          this.texts[index] = splice(text, member);
          return;
        }
      }
    }
    setKey(this.edit(index), key, value);
  }

  /** Writes the record now, for large members that are then {@link set}: they are spliced in, and not written anew with it. */
  write(index: number): void {
    const record = this.records[index];
    if (record !== undefined) this.texts[index] ??= JSON.stringify(record);
  }

  /** The JSON text of the record, one line without its end. */
  json(index: number): string {
    const text = this.texts[index];
    if (text !== undefined) return text;
    const record = this.records[index];
    if (record !== undefined) return JSON.stringify(record);
    const shape = this.lineText?.shape;
    if (shape !== undefined)
      return shape.json(this.textStarts[index] as number, this.textStops[index] as number);
    return `{${JSON.stringify(this.lineKey)}:${JSON.stringify(this.line(index))}}`;
  }

  /** Keeps the events for which `keep` answers true; returns how many went. */
  retain(keep: (index: number) => boolean): number {
    let kept = 0;
    for (let index = 0; index < this.length; index++) {
      if (!keep(index)) continue;
      if (kept !== index) this.move(index, kept);
      kept++;
    }
    const gone = this.length - kept;
    if (gone > 0) this.truncate(kept);
    return gone;
  }

  private move(from: number, to: number): void {
    this.secondsColumn[to] = this.secondsColumn[from] as number;
    this.nanosColumn[to] = this.nanosColumn[from] as number;
    this.startsColumn[to] = this.startsColumn[from] as number;
    this.stopsColumn[to] = this.stopsColumn[from] as number;
    if (this.records.length > to) {
      this.records[to] = this.records[from];
      this.texts[to] = this.texts[from];
    }
    if (this.metadata !== undefined) this.metadata[to] = this.metadata[from];
    if (this.textStarts.length > 0) {
      this.textStarts[to] = this.textStarts[from] as number;
      this.textStops[to] = this.textStops[from] as number;
    }
  }

  /** Takes the events from `index` on out of the batch, into one of their own. */
  split(index: number): Batch {
    const rest = new Batch();
    rest.input = this.input;
    rest.source = this.source;
    rest.base = this.base;
    if (this.lineText !== undefined) rest.useLines(this.lineKey as string, this.lineText);
    for (let from = index; from < this.length; from++) {
      const to = rest.take(
        this.secondsColumn[from] as number,
        this.nanosColumn[from] as number,
        this.startsColumn[from] as number,
        this.stopsColumn[from] as number,
      );
      if (this.textStarts.length > 0) {
        rest.textStarts[to] = this.textStarts[from] as number;
        rest.textStops[to] = this.textStops[from] as number;
      }
      if (this.records.length > from) rest.keep(to, this.records[from], this.texts[from]);
      const metadata = this.metadata?.[from];
      if (metadata !== undefined) {
        rest.metadata ??= [];
        rest.metadata[to] = metadata;
      }
    }
    this.truncate(index);
    return rest;
  }

  private truncate(length: number): void {
    for (const column of [this.records, this.texts, this.metadata]) {
      if (column !== undefined && column.length > length) column.length = length;
    }
    this.length = length;
  }
}

/** The text of an object with one more member at its end. */
function splice(text: string, member: string): string {
  // The text ends in `}`: an empty object, blanks inside or not, takes no comma.
  const empty = text.length === 2 || (text.charCodeAt(1) <= SPACE && EMPTY_OBJECT.test(text));
  return `${text.slice(0, -1)}${empty ? '' : ','}${member}}`;
}

let lastKey = '';
let lastQuoted = '""';

/** A key in JSON; the same one is asked for many times on end. */
function quoted(key: string): string {
  if (key !== lastKey) {
    lastKey = key;
    lastQuoted = JSON.stringify(key);
  }
  return lastQuoted;
}

function grown<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
