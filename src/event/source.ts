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

/** Ranges beyond a mark that are remembered; more are forgotten from the far end, at the price of duplicates after a crash. */
const MAX_RANGES = 256;

export class Source {
  /** Random, drawn for each generation. */
  readonly id: string;
  /** Every byte before this offset was handed to the pipeline. */
  emitted: number;
  /** Offset of the first byte that a filter holds; infinite when none does. */
  heldFrom = Number.POSITIVE_INFINITY;
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

  /** `progress` by output name, as remembered from an earlier run; reading starts at `position`. */
  constructor(id: string, position: number, progress: ReadonlyMap<string, Progress> = new Map()) {
    this.id = id;
    this.emitted = position;
    this.resumed = new Map(
      [...progress].map(([output, { mark, settled }]) => [output, { mark, settled: new Ranges(settled) }]),
    );
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

  /** Whether the output acknowledged all of these bytes before a restart. */
  wasSettled(output: string, start: number, stop: number): boolean {
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
    if (flights === undefined) this.flights.set(output, [flight]);
    else flights.push(flight);
  }

  /** Something changed: the store has work. */
  touch(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.onDirty?.();
  }

  /** How far an output has this source. */
  progress(output: string): Progress {
    const flights = this.flights.get(output) ?? [];
    let landed = 0;
    while (landed < flights.length && flights[landed]?.landed === true) landed++;
    if (landed > 0 && flights.length === landed) flights.length = 0;

    let mark = Math.max(this.emitted, this.resumed.get(output)?.mark ?? 0);
    const first = flights[landed];
    if (first !== undefined) {
      mark = first.firstOpen();
      // Several chunks may have been made of one batch, each with a part of its bytes.
      for (let index = landed + 1; flights[index]?.batchStart === first.batchStart; index++) {
        mark = Math.min(mark, flights[index]?.firstOpen() ?? mark);
      }
    }
    mark = Math.min(mark, this.heldFrom);
    const settled = new Ranges();
    for (const flight of flights) {
      for (const [from, to] of flight.settledRanges()) settled.add(Math.max(from, mark), to);
      if (settled.list.length > MAX_RANGES) break;
    }
    for (const [from, to] of this.resumed.get(output)?.settled.list ?? []) {
      if (from >= this.emitted) settled.add(from, to);
    }
    // Landed flights at the front say nothing any more once their bytes lie before the mark.
    if (landed > 0 && flights.length > 0) this.forgetLanded(flights, landed, mark);
    return { mark, settled: settled.list.slice(0, MAX_RANGES) };
  }

  private forgetLanded(flights: Flight[], landed: number, mark: number): void {
    const first = flights[landed];
    let gone = 0;
    while (gone < landed && (flights[gone]?.batchStart ?? mark) < (first?.batchStart ?? mark)) gone++;
    flights.splice(0, gone);
  }

  /** The lowest mark: where reading resumes. */
  position(): number {
    let position = Math.min(this.emitted, this.heldFrom);
    for (const output of this.outputs()) position = Math.min(position, this.progress(output).mark);
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
