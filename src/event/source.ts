/**
 * A source: one generation of something that can be read again (a file until it is truncated or replaced), and how far each
 * output has it. The state store writes this down; a restart reads it and continues at the lowest mark.
 *
 *        read and settled           in flight            not read yet
 *   |----------------------------|====....===..=====|------------------->
 *   0                          mark    ^settled     emitted
 *                                       beyond the mark
 */
import { Ranges } from './ranges.ts';
import type { Range } from './ranges.ts';

/** How far one output has a source: all before `mark`, and these ranges beyond it. Bytes. */
export interface Progress {
  mark: number;
  settled: readonly Range[];
}

/** The part of a source that is on its way to one output. */
export interface Flight {
  /** Offset of the batch that this flight was made of; flights of one output ascend by it. */
  readonly batchStart: number;
  /** True when nothing of it is open any more. */
  readonly landed: boolean;
  /** Offset of the first byte that is still open. */
  firstOpen(): number;
  /** Ranges of bytes that are settled. */
  settledRanges(): Iterable<Range>;
}

/** What its reader keeps of records that are not complete. It goes with the source, so that a reload loses nothing of it. */
export interface Unfinished {
  /** Offset of the first byte that is kept; infinite when there is none. */
  readonly from: number;
}

/** Bytes that became part of a record of another source. */
interface Loan {
  from: number;
  to: Source;
  /** Offset in `to` behind the record. */
  until: number;
}

/** Bytes of a source. */
export interface SourceRange {
  source: Source;
  from: number;
  to: number;
}

/** A record whose lines lie apart. */
interface Composed {
  /** Its origin. */
  from: number;
  to: number;
  /** Undefined where they are too many to be remembered. */
  lines: readonly SourceRange[] | undefined;
}

/** Of records whose lines lie apart so many are gathered before it is seen which of them are behind all marks. */
const MIN_COMPOSED = 1024;

/**
 * What sources are needed from, as found on a way along those that lend to each other: each is looked into once. In a chain of them (a
 * record over every rotation, and no output that takes any) there were else so many ways that they doubled with each.
 */
type Walk = Map<Source, number>;

/** Ranges beyond a mark that are remembered; more are forgotten from the far end, at the price of duplicates after a crash. */
const MAX_RANGES = 256;

export class Source {
  /** Random, drawn for each generation. */
  readonly id: string;
  /** Every byte before this offset was handed to the pipeline. */
  emitted: number;
  /** Offset of the first byte that a filter holds; infinite when none does. */
  heldFrom = Number.POSITIVE_INFINITY;
  /** Records of which only parts were read. Their bytes count as emitted, and hold the mark back. */
  unfinished: Unfinished | undefined;
  /**
   * Its bytes cannot be read again (a file that was deleted or truncated): what memory has of them goes to disk, at a stop at the
   * latest.
   */
  gone = false;
  /** Its offsets are bytes; else they are what its input counts by (a resource version, a message's offset). */
  inBytes = true;
  /** Set when something changed that the store has not written. */
  dirty = true;
  /** Called whenever `dirty` goes from false to true. */
  onDirty: (() => void) | undefined;

  private readonly flights = new Map<string, Flight[]>();
  private readonly resumed: Map<string, { mark: number; settled: Ranges }>;
  /** By output, what the disk buffer kept: records as they were then, all lines of each. */
  private readonly recovered: ReadonlyMap<string, Ranges>;
  /** By output, what is settled beyond a mark that is held back, of flights that are over. */
  private readonly beyond = new Map<string, Ranges>();
  /** Offsets at which no mark may stand: within records whose bytes surround those of others. */
  private readonly torn = new Ranges();
  private loans: Loan[] = [];
  /** By where they end. */
  private readonly composed = new Map<number, Composed>();
  private composedLimit = MIN_COMPOSED;
  /** Sources that wait for this one. */
  private readonly lenders = new Set<Source>();

  /**
   * `progress` by output name, as remembered from an earlier run; reading starts at `position`. `recovered`: what of it the disk buffer
   * kept.
   */
  constructor(
    id: string,
    position: number,
    progress: ReadonlyMap<string, Progress> = new Map(),
    recovered: ReadonlyMap<string, readonly Range[]> = new Map(),
  ) {
    this.id = id;
    this.emitted = position;
    this.resumed = new Map(
      [...progress].map(([output, { mark, settled }]) => [output, { mark, settled: new Ranges(settled) }]),
    );
    this.recovered = new Map([...recovered].map(([output, ranges]) => [output, new Ranges(ranges)]));
  }

  /** Names of the outputs that something of this source was routed to, now or before. */
  outputs(): Iterable<string> {
    return new Set([...this.resumed.keys(), ...this.flights.keys()]);
  }

  /** True while some output may have acknowledged bytes at or beyond `offset` before a restart. */
  mayBeSettled(output: string, offset: number): boolean {
    const resumed = this.resumed.get(output);
    if (resumed === undefined) return false;
    const last = resumed.settled.list.at(-1);
    return offset < Math.max(resumed.mark, last === undefined ? 0 : last[1]);
  }

  /** Whether the output acknowledged the record with these bytes before a restart. */
  wasSettled(output: string, start: number, stop: number): boolean {
    if (!this.wereSettled(output, start, stop)) return false;
    const composed = this.composed.get(stop);
    if (composed === undefined || this.recovered.get(output)?.covers(start, stop) === true) return true;
    // Its last line may have been a record of its own, when lines were joined in another way, or not at all.
    return composed.lines?.every(({ source, from, to }) => source.wereSettled(output, from, to)) === true;
  }

  private wereSettled(output: string, start: number, stop: number): boolean {
    const resumed = this.resumed.get(output);
    if (resumed === undefined) return false;
    return stop <= resumed.mark || resumed.settled.covers(Math.max(start, resumed.mark), stop);
  }

  /** The bytes up to `offset` were handed over. */
  advance(offset: number): void {
    if (offset <= this.emitted) return;
    this.emitted = offset;
    this.touch();
  }

  launch(output: string, flight: Flight): void {
    const flights = this.flights.get(output);
    if (flights === undefined) {
      this.flights.set(output, [flight]);
      return;
    }
    // A record that waited in vain for its rest comes after what was read behind it.
    let at = flights.length;
    while (at > 0 && (flights[at - 1] as Flight).batchStart > flight.batchStart) at--;
    flights.splice(at, 0, flight);
  }

  /**
   * A record reaches from one offset to another, around bytes of others: reading must begin in front of it or behind it, so no mark
   * comes to stand in between.
   */
  keepWhole(from: number, to: number): void {
    this.torn.add(from + 1, to);
  }

  /**
   * The record with this origin is made of lines that lie apart, some of them in other sources maybe: an output that has it has all of
   * these. `lines` is undefined where they are too many; it is sent again then, should it not be behind the mark.
   */
  compose(from: number, to: number, lines: readonly SourceRange[] | undefined): void {
    this.composed.set(to, { from, to, lines });
    if (this.composed.size < this.composedLimit) return;
    this.position();
    this.composedLimit = Math.max(MIN_COMPOSED, this.composed.size * 2);
  }

  /**
   * The bytes from `from` on are part of a record of `source` that ends at `until` there: they are done with when that record is, and
   * the marks of both move in one write.
   */
  lend(from: number, source: Source, until: number): void {
    this.loans.push({ from, to: source, until });
    source.lenders.add(this);
    source.touch();
  }

  /** The lowest offset that something behind or beside the pipeline needs. */
  private neededFrom(walk: Walk): number {
    let from = Math.min(this.heldFrom, this.unfinished?.from ?? Number.POSITIVE_INFINITY);
    if (this.loans.length === 0) return from;
    const known = walk.get(this);
    if (known !== undefined) return known;
    this.loans = this.loans.filter((loan) => loan.to.positionOn(walk) < loan.until);
    for (const loan of this.loans) from = Math.min(from, loan.from);
    walk.set(this, from);
    return from;
  }

  /** The offset, or the one in front of the record that it lies in. */
  private beforeRecord(offset: number): number {
    for (const [from, to] of this.torn.list) if (from <= offset && offset < to) return from - 1;
    return offset;
  }

  /** Something changed: the store has work. */
  touch(): void {
    this.touchOnce(this.lenders.size === 0 ? undefined : new Set());
  }

  /** `touched`: those of the lenders that were told already; a record over several rotations makes many ways to one. */
  private touchOnce(touched: Set<Source> | undefined): void {
    for (const lender of this.lenders) {
      if (touched?.has(lender) === false) {
        touched.add(lender);
        lender.touchOnce(touched);
      }
      if (lender.loans.every(({ to }) => to !== this)) this.lenders.delete(lender);
    }
    if (this.dirty) return;
    this.dirty = true;
    this.onDirty?.();
  }

  /** How far an output has this source. */
  progress(output: string): Progress {
    return this.progressOn(new Map(), output);
  }

  private progressOn(walk: Walk, output: string): Progress {
    const { mark, settled, landed } = this.settledHere(walk, output);
    this.addLines(walk, output, mark, settled);
    for (const [from, to] of this.resumed.get(output)?.settled.list ?? []) {
      if (to > mark) settled.add(Math.max(from, mark), to);
    }
    if (landed > 0) this.forgetLanded(output, this.flights.get(output) ?? [], landed, mark);
    return { mark, settled: settled.list.slice(0, MAX_RANGES) };
  }

  /** The same of what was read in this run alone; `landed` flights, from the first on, are over. */
  private settledHere(walk: Walk, output: string): { mark: number; settled: Ranges; landed: number } {
    const flights = this.flights.get(output) ?? [];
    let landed = 0;
    while (landed < flights.length && flights[landed]?.landed === true) landed++;

    let mark = Math.max(this.emitted, this.resumed.get(output)?.mark ?? 0);
    const first = flights[landed];
    if (first !== undefined) {
      mark = first.firstOpen();
      // Several chunks may have been made of one batch, each with a part of its bytes.
      for (let index = landed + 1; flights[index]?.batchStart === first.batchStart; index++) {
        mark = Math.min(mark, flights[index]?.firstOpen() ?? mark);
      }
    }
    mark = this.beforeRecord(Math.min(mark, this.neededFrom(walk)));
    const settled = new Ranges(this.beyond.get(output)?.list);
    settled.remove(0, mark);
    for (const flight of flights) {
      for (const [from, to] of flight.settledRanges()) settled.add(Math.max(from, mark), to);
      if (settled.list.length > MAX_RANGES) break;
    }
    return { mark, settled, landed };
  }

  /** With the last line of a record, by which it is known, its other lines are settled. */
  private addLines(walk: Walk, output: string, mark: number, settled: Ranges): void {
    const add = ({ lines = [] }: Composed): void => {
      for (const { source, from, to } of lines) if (source === this) settled.add(Math.max(from, mark), to);
    };
    if (!settled.empty) {
      for (const record of this.composed.values())
        if (record.to > mark && settled.covers(record.from, record.to)) add(record);
    }
    for (const { to: source, until } of this.loans) {
      const record = source.composed.get(until);
      if (record === undefined) continue;
      const there = source.settledHere(walk, output);
      if (record.to <= there.mark || there.settled.covers(record.from, record.to)) add(record);
    }
  }

  /**
   * Landed flights at the front say nothing any more once their bytes lie before the mark. What they say beyond it, where something
   * holds it back, is kept as ranges.
   */
  private forgetLanded(output: string, flights: Flight[], landed: number, mark: number): void {
    const first = flights[landed];
    let gone = landed;
    if (first !== undefined) {
      gone = 0;
      while (gone < landed && (flights[gone]?.batchStart ?? mark) < first.batchStart) gone++;
    }
    let beyond = this.beyond.get(output);
    beyond?.remove(0, mark);
    for (const flight of flights.splice(0, gone)) {
      for (const [from, to] of flight.settledRanges()) {
        if (to <= mark) continue;
        if (beyond === undefined) this.beyond.set(output, (beyond = new Ranges()));
        if (beyond.list.length < MAX_RANGES) beyond.add(Math.max(from, mark), to);
      }
    }
    if (beyond?.empty === true) this.beyond.delete(output);
  }

  /** The lowest mark: where reading resumes. */
  position(): number {
    return this.positionOn(new Map());
  }

  private positionOn(walk: Walk): number {
    let position = this.beforeRecord(Math.min(this.emitted, this.neededFrom(walk)));
    for (const output of this.outputs()) position = Math.min(position, this.progressOn(walk, output).mark);
    if (!this.torn.empty) this.torn.remove(0, position);
    for (const to of this.composed.keys()) {
      if (to > position) break;
      this.composed.delete(to);
    }
    return position;
  }

  /** True when every output has all that was handed over. */
  get settled(): boolean {
    for (const flights of this.flights.values()) {
      if (flights.some((flight) => !flight.landed)) return false;
    }
    return true;
  }
}
