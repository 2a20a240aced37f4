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
}

/** What a parser made of one line; reused between calls. */
export interface ParsedEvent {
  record: LogRecord;
  /** The record's JSON text, when the parser has it for nothing and it equals `record`; one line, an object. */
  text: string | undefined;
  /** Unix time; `seconds` is NaN when the line carries no (valid) time. */
  seconds: number;
  nanos: number;
}

export class Batch {
  length = 0;
  /** Unix seconds. */
  readonly seconds: number[] = [];
  /** 0 to 999,999,999. */
  readonly nanos: number[] = [];
  /** Origin of each event in its source, bytes relative to `base`: first byte, and the first byte after it (terminator included). */
  readonly starts: number[] = [];
  readonly stops: number[] = [];
  /** Name of the input that the events came from; set by the pipeline, taken over by filters that make batches. */
  input = '';
  /** The source that the origins speak of; absent where nothing can be read again. */
  source: Source | undefined;
  /** Added to `starts` and `stops` to make file offsets. */
  base = 0;
  /** Metadata of single events; most batches have none. */
  metadata: (LogRecord | undefined)[] | undefined;

  private readonly texts: (string | undefined)[] = [];
  private readonly records: (LogRecord | undefined)[] = [];
  private lineKey: string | undefined;
  private lineText: LineText | undefined;
  private readonly textStarts: number[] = [];
  private readonly textStops: number[] = [];

  /** Makes this a batch that can take raw lines; `key` is the one that they stand under. */
  useLines(key: string, text: LineText): void {
    this.lineKey = key;
    this.lineText = text;
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
    this.textStarts[this.length] = textStart;
    this.textStops[this.length] = textStop;
    this.push(undefined, undefined, seconds, nanos, start, stop);
  }

  /** Appends a record. `text` is its JSON on one line, if known; dropped when it holds a line break. */
  push(
    record: LogRecord | undefined,
    text: string | undefined,
    seconds: number,
    nanos: number,
    start = 0,
    stop = 0,
  ): void {
    this.records.push(record);
    this.texts.push(text);
    this.seconds.push(seconds);
    this.nanos.push(nanos);
    this.starts.push(start);
    this.stops.push(stop);
    this.length++;
  }

  /** The record, to read. Changing it does not change the batch: see {@link edit} and {@link set}. */
  record(index: number): LogRecord {
    return this.records[index] ?? (this.records[index] = this.decode(index));
  }

  private decode(index: number): LogRecord {
    const text = this.texts[index];
    if (text !== undefined) return parseExact(text) as LogRecord;
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
    this.records[index] = record;
    this.texts[index] = text;
  }

  /**
   * Sets a top-level key. `member` is `"key":value` in JSON when the caller has it ready (a constant): then a record that
   * has the key not yet keeps its text, with the member spliced in at its end.
   */
  set(index: number, key: string, value: Value, member?: string): void {
    const text = this.texts[index];
    if (text !== undefined && member !== undefined) {
      const record = this.record(index);
      if (!Object.hasOwn(record, key)) {
        setKey(record, key, value);
        // The text ends in `}`: an empty object, blanks inside or not, takes no comma.
        const empty = text.length === 2 || (text.charCodeAt(1) <= SPACE && EMPTY_OBJECT.test(text));
        this.texts[index] = `${text.slice(0, -1)}${empty ? '' : ','}${member}}`;
        return;
      }
    }
    setKey(this.edit(index), key, value);
  }

  /** The JSON text of the record, one line without its end. */
  json(index: number): string {
    const text = this.texts[index];
    if (text !== undefined) return text;
    const record = this.records[index];
    if (record !== undefined) return JSON.stringify(record);
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

  private columns(): unknown[][] {
    const columns: unknown[][] = [
      this.records,
      this.texts,
      this.seconds,
      this.nanos,
      this.starts,
      this.stops,
    ];
    if (this.metadata !== undefined) columns.push(this.metadata);
    if (this.textStarts.length > 0) columns.push(this.textStarts, this.textStops);
    return columns;
  }

  private move(from: number, to: number): void {
    this.records[to] = this.records[from];
    this.texts[to] = this.texts[from];
    this.seconds[to] = this.seconds[from] as number;
    this.nanos[to] = this.nanos[from] as number;
    this.starts[to] = this.starts[from] as number;
    this.stops[to] = this.stops[from] as number;
    if (this.metadata !== undefined) this.metadata[to] = this.metadata[from];
    if (this.textStarts.length > 0) {
      this.textStarts[to] = this.textStarts[from] as number;
      this.textStops[to] = this.textStops[from] as number;
    }
  }

  private truncate(length: number): void {
    for (const column of this.columns()) {
      if (column.length > length) column.length = length;
    }
    this.length = length;
  }
}
