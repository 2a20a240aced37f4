/** Records that are not complete: their parts, where these came from, and the state of joining for one file. */
import type { LogRecord, Source, SourceRange, Unfinished } from '../../../../src/plugin.ts';

/** What has been gathered of a record. */
export interface Content {
  /** Waiting is how it ends; else something is known to be missing, and it is flagged when it goes on without that. */
  readonly endsByWaiting: boolean;
  /** The record as it is now; its time NaN for that of reading. */
  finish(): { record: LogRecord; text?: string | undefined; seconds: number; nanos: number };
}

/** Why a record goes on without what may belong to it. `none`: that is how its kind ends. */
export type ReleaseReason = 'timeout' | 'size' | 'memory' | 'interrupted' | 'file_gone' | 'end' | 'none';

/** What every record costs while it is held, beside its text. Bytes. */
const OVERHEAD = 256;

/** Runs of lines of a record whose places are remembered. */
const MAX_RUNS = 256;

export class HeldRecord<C extends Content = Content> {
  /** What tells it from others of its file: parser and stream. */
  readonly key: string;
  readonly content: C;
  /** Where it begins in each source that it has parts of, oldest first. */
  readonly spans: { source: Source; from: number }[];
  /** The last part, terminator included, in the last of these sources. */
  lastStart: number;
  lastStop: number;
  /** What holding it costs. */
  bytes = OVERHEAD;
  /** When the last part came, monotonic milliseconds. */
  at = performance.now();
  metadata: LogRecord | undefined;
  /** What was before it went on without it. */
  readonly isRest: boolean;
  /** Of the same stream, and to go on before it. */
  behind: HeldRecord | undefined;
  private readonly contiguity: boolean | undefined;
  private isAdjacent = true;
  /** The places of its lines, those that follow each other in one; undefined where they are too many. */
  private runs: SourceRange[] | undefined = [];

  /** `isContiguous`: no line of another record can lie between its own, or some always may; undefined: it is as its lines lie. */
  constructor(
    key: string,
    content: C,
    place: { source: Source; start: number; stop: number },
    kind: { isRest: boolean; isContiguous: boolean | undefined },
  ) {
    this.key = key;
    this.content = content;
    this.spans = [{ source: place.source, from: place.start }];
    this.lastStart = place.start;
    this.lastStop = place.stop;
    this.note({ source: place.source, from: place.start, to: place.stop });
    this.isRest = kind.isRest;
    this.contiguity = kind.isContiguous;
  }

  /** No line of another record lies between its own. */
  get isContiguous(): boolean {
    return this.contiguity ?? this.isAdjacent;
  }

  /** Its rest has to be told from other records when it comes too late. */
  get isBreakable(): boolean {
    return this.contiguity !== true;
  }

  /** The source that its last part is of. */
  get source(): Source {
    return (this.spans.at(-1) as { source: Source }).source;
  }

  /** Takes in where another part lies. */
  extend(source: Source, start: number, stop: number): void {
    if (source !== this.source || start !== this.lastStop) this.isAdjacent = false;
    if (source !== this.source) this.spans.push({ source, from: start });
    this.note({ source, from: start, to: stop });
    this.lastStart = start;
    this.lastStop = stop;
    this.at = performance.now();
  }

  /** Takes in the places of what becomes a part of it. */
  absorb({ spans, runs, isAdjacent, lastStart, lastStop }: HeldRecord): void {
    const [first] = spans;
    if (runs === undefined) this.runs = undefined;
    else for (const run of runs) this.note(run);
    this.isAdjacent &&= isAdjacent && first?.source === this.source && first.from === this.lastStop;
    for (const span of spans) if (this.from(span.source) === Number.POSITIVE_INFINITY) this.spans.push(span);
    this.lastStart = lastStart;
    this.lastStop = lastStop;
  }

  private note({ source, from, to }: SourceRange): void {
    const { runs } = this;
    if (runs === undefined || to <= from) return;
    const last = runs.at(-1);
    if (last?.source === source && last.to === from) last.to = to;
    else if (runs.length === MAX_RUNS) this.runs = undefined;
    else runs.push({ source, from, to });
  }

  /** The places of its lines, by which it is told apart from what ends with the same line; undefined where they are too many. */
  get lines(): readonly SourceRange[] | undefined {
    // A rest begins behind the first byte of its lines: see `restOf` of the assembly.
    if (!this.isRest) return this.runs;
    return this.runs?.map(({ source, from, to }) => ({ source, from: from + 1, to }));
  }

  /** Where it begins in a source; infinite where it has no part of it. */
  from(source: Source): number {
    return this.spans.find((span) => span.source === source)?.from ?? Number.POSITIVE_INFINITY;
  }
}

/** Streams that are remembered as broken off; more are forgotten. */
const MAX_BROKEN = 64;

/** The state of joining in one generation of a file. */
export class FileJoin implements Unfinished {
  held: readonly HeldRecord[] = [];
  /** Something is held, or was broken off: only then a whole line needs a second look. */
  busy = false;
  /** Where reading took over what the generation before it left: until that is complete, reading begins there again. */
  inheritedAt: number | undefined;
  /** What a way of joining has to remember of the file, beside records. */
  readonly notes = new Set<string>();
  private readonly source: Source;
  /** Keys of records that went on without their rest, which is still to come. */
  private broken: string[] = [];
  /** Records with bytes of this source that are on their way: into the next generation, or to the pipeline. */
  private readonly leaving = new Set<HeldRecord>();

  constructor(source: Source) {
    this.source = source;
  }

  get from(): number {
    let from = Number.POSITIVE_INFINITY;
    for (const held of this.held) {
      from = Math.min(from, held.from(this.source));
      if (held.spans[0]?.source !== this.source) from = Math.min(from, this.inheritedAt ?? from);
    }
    for (const held of this.leaving) from = Math.min(from, held.from(this.source));
    return from;
  }

  /** There is something that the next generation has to know. */
  get goesOn(): boolean {
    return this.busy || this.notes.size > 0;
  }

  find(key: string): HeldRecord | undefined {
    return this.held.find((held) => held.key === key);
  }

  add(held: HeldRecord): void {
    this.held = [...this.held, held];
    this.busy = true;
  }

  /** The record goes to the pipeline; until it is there ({@link handedOver}) its bytes are needed. */
  remove(held: HeldRecord): void {
    for (const { source } of held.spans) joinOf(source)?.leaving.add(held);
    this.drop(held);
  }

  /** What is held becomes a part of another record. */
  drop(held: HeldRecord): void {
    this.held = this.held.filter((other) => other !== held);
    this.busy = this.held.length > 0 || this.broken.length > 0;
  }

  /** Forgets what was broken off and is nobody's any more. */
  forget(isKept: (key: string) => boolean): void {
    this.broken = this.broken.filter(isKept);
    this.busy = this.held.length > 0 || this.broken.length > 0;
  }

  /** The record with this key goes on without its rest. */
  breakOff(key: string): void {
    if (this.broken.includes(key)) return;
    this.broken.push(key);
    if (this.broken.length > MAX_BROKEN) this.broken.shift();
    this.busy = true;
  }

  isBroken(key: string): boolean {
    return this.broken.includes(key);
  }

  /** The rest of what was broken off has come to its end. */
  mend(key: string): void {
    this.forget((other) => other !== key);
  }

  /** Takes over what the generation before this one left; reading is at `offset`. */
  inherit(before: FileJoin, offset: number): void {
    this.held = [...this.held, ...before.held];
    for (const held of before.held) before.leaving.add(held);
    for (const key of before.broken) this.breakOff(key);
    for (const note of before.notes) this.notes.add(note);
    if (before.held.length > 0) this.inheritedAt = offset;
    before.held = [];
    before.broken = [];
    before.busy = false;
    this.busy = this.held.length > 0 || this.broken.length > 0;
  }

  /** See {@link handedOver}. */
  left(held: HeldRecord): void {
    this.leaving.delete(held);
    this.source.touch();
  }

  /** Bytes that are held. */
  get bytes(): number {
    return this.held.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

/** The pipeline has these records: their flights hold the marks now. */
export function handedOver(records: readonly HeldRecord[]): void {
  for (const held of records) for (const { source } of held.spans) joinOf(source)?.left(held);
}

/** The state of joining that goes with a source. */
export function joinOf(source: Source): FileJoin | undefined {
  return source.unfinished instanceof FileJoin ? source.unfinished : undefined;
}
