/**
 * A chunk as the queues hold it: in memory, on disk, or both; one for all its outputs (DELIVERY.md, rules 14 to 16).
 *
 *   in memory, not on disk     it stays in memory until every output has it
 *   in memory and on disk      its memory goes as soon as no queue is about to send from it
 *   on disk only               it is read back when a queue comes to it
 *
 * It is *safe* once it is durable on disk or every output has it: then its source may forget it.
 */
import type { Chunk } from '../event/chunk.ts';
import type { Range } from '../event/ranges.ts';
import type { Source } from '../event/source.ts';
import { Flight } from './flight.ts';

/** The chunk's frame in the disk buffer. */
export interface DiskCopy {
  /** The chunk's memory is still to be written. */
  readonly busy: boolean;
  /** The records from index `from` to `to` are settled at an output. */
  settle(output: string, from: number, to: number): void;
  /** It is on disk only because outputs are slow or dead, from now on: it counts for the limit of such chunks. */
  becomeOverflow(): void;
  /** Undefined when it is damaged: counted there, and its records are gone. Rejects when it cannot be read now. */
  read(): Promise<Chunk | undefined>;
}

/** Who keeps account of chunks. */
export interface Keeper {
  /** Memory of the chunk is taken, or given back when negative. */
  charge(held: HeldChunk, bytes: number): void;
  /** Every output has it. */
  gone(held: HeldChunk): void;
}

/** What is known of a chunk also while it is on disk. */
export interface ChunkFacts {
  readonly tag: string;
  /** Name of the input that it came from. */
  readonly input: string;
  readonly records: number;
  /** Bytes of the records. */
  readonly bytes: number;
  /** Monotonic milliseconds. */
  readonly arrivedAt: number;
}

export class HeldChunk {
  /** Ascending in the order in which chunks arrived, also across restarts. */
  readonly id: number;
  readonly facts: ChunkFacts;
  /** What it was read from and can be read from again. */
  readonly source: Source | undefined;
  /** Those that have not landed. */
  readonly flights = new Set<Flight>();
  /** Its frame: written, or about to be. */
  copy: DiskCopy | undefined;
  /** Its input wants it on disk, whatever outputs do with it. */
  filesystem = false;
  /** Its memory was read back from disk. */
  readBack = false;
  /** Called when records of it are given up although nobody has them. */
  onGivenUp: (() => void) | undefined;
  private readonly keeper: Keeper;
  private memory: Chunk | undefined;
  private pins = 0;
  private isDurable = false;
  private tainted = false;
  private loading: Promise<Chunk | undefined> | undefined;
  private safeCallbacks: (() => void)[] = [];
  /** Rests that were given an id. */
  private rests = 0;
  /** Rests that are not safe yet. */
  private openRests = 0;
  /** Those of them that moved away before there was a frame: it does not have them. */
  private openRestsWithoutFrame = 0;

  /** A chunk that has just been made. */
  static ofMemory(id: number, chunk: Chunk, keeper: Keeper): HeldChunk {
    const { tag, input, length: records, bytes, arrivedAt, source } = chunk;
    const held = new HeldChunk(id, { tag, input, records, bytes: bytes.length, arrivedAt }, source, keeper);
    held.memory = chunk;
    keeper.charge(held, chunk.cost);
    return held;
  }

  /** A chunk that was found on disk. */
  static ofDisk(id: number, facts: ChunkFacts, copy: DiskCopy, keeper: Keeper): HeldChunk {
    const held = new HeldChunk(id, facts, undefined, keeper);
    held.copy = copy;
    held.isDurable = true;
    return held;
  }

  private constructor(id: number, facts: ChunkFacts, source: Source | undefined, keeper: Keeper) {
    this.id = id;
    this.facts = facts;
    this.source = source;
    this.keeper = keeper;
  }

  /** Throws when it is not in memory: whoever reads it has pinned it before. */
  get chunk(): Chunk {
    if (this.memory === undefined) throw new Error(`Chunk ${this.id} is not in memory.`);
    return this.memory;
  }

  get inMemory(): boolean {
    return this.memory !== undefined;
  }

  /** Bytes of memory that it takes. */
  get cost(): number {
    return this.memory?.cost ?? 0;
  }

  get durable(): boolean {
    return this.isDurable;
  }

  /** Some output gathers objects of it. */
  get isStaged(): boolean {
    for (const { staged } of this.flights) if (staged) return true;
    return false;
  }

  /** Its source has it still: it need not go to disk. */
  get canBeReadAgain(): boolean {
    return this.source !== undefined && !this.source.gone;
  }

  /** Sends records of it on their way to an output. Its memory stays until that lets go ({@link unpin}) or has them. */
  launch(output: string, records: readonly Range[]): Flight {
    const flight = new Flight(this, output, records);
    this.flights.add(flight);
    if (this.memory !== undefined) flight.pinned = this.pin();
    return flight;
  }

  /** Keeps its memory. False when it is not in memory. */
  pin(): boolean {
    if (this.memory === undefined) return false;
    this.pins++;
    return true;
  }

  unpin(): void {
    this.pins--;
    this.trim();
  }

  /** Reads it back and pins it. False when it is damaged. Rejects when it cannot be read now. */
  async load(): Promise<boolean> {
    if (this.pin()) return true;
    this.loading ??= (this.copy as DiskCopy).read().finally(() => {
      this.loading = undefined;
    });
    const chunk = await this.loading;
    if (this.pin()) return true;
    if (chunk === undefined) return false;
    this.memory = chunk;
    this.readBack = true;
    this.keeper.charge(this, chunk.cost);
    return this.pin();
  }

  /** The frame is synced: from here on the disk is responsible. */
  becomeDurable(): void {
    if (this.isDurable) return;
    this.isDurable = true;
    this.source?.touch();
    if (this.isSafe) this.becomeSafe();
    this.trim();
  }

  /** Calls back once it is safe; at once if it is. */
  whenSafe(callback: () => void): void {
    if (this.isSafe) callback();
    else this.safeCallbacks.push(callback);
  }

  private get isSafe(): boolean {
    if (this.isDurable) return this.openRestsWithoutFrame === 0;
    return this.flights.size === 0 && this.openRests === 0;
  }

  /** A flight has landed. */
  leave(flight: Flight): void {
    if (!this.flights.delete(flight)) return;
    if (flight.pinned) this.pins--;
    flight.pinned = false;
    if (flight.staged && !this.filesystem && this.flights.size > 0 && !this.isStaged)
      this.copy?.becomeOverflow();
    if (this.flights.size === 0) {
      if (this.isSafe) this.becomeSafe();
      this.keeper.gone(this);
    }
    this.trim();
  }

  /** An output is gone, and its records stay where they are: they are not safe by that. */
  forsake(flight: Flight): void {
    if (this.flights.size === 1) this.safeCallbacks = [];
    this.leave(flight);
  }

  /** Moves a flight's open records, which are all that is in `rest`, there. */
  handOver(flight: Flight, rest: HeldChunk): void {
    const hasFrame = this.copy !== undefined;
    rest.flights.add(flight);
    this.openRests++;
    if (!hasFrame) this.openRestsWithoutFrame++;
    this.leave(flight);
    flight.pinned = rest.pin();
    rest.whenSafe(() => {
      this.openRests--;
      if (!hasFrame) this.openRestsWithoutFrame--;
      if (this.isSafe) this.becomeSafe();
    });
  }

  /** Somebody may still read its memory: it is left to the garbage collector. */
  taint(): void {
    this.tainted = true;
  }

  /** An id for a rest of it: behind its own and before the next chunk's. Undefined when there are too many. */
  restId(): number | undefined {
    return this.rests < MAX_RESTS ? this.id + ++this.rests : undefined;
  }

  private becomeSafe(): void {
    const callbacks = this.safeCallbacks;
    this.safeCallbacks = [];
    for (const callback of callbacks) callback();
  }

  private trim(): void {
    const { memory } = this;
    if (memory === undefined || this.pins > 0 || !(this.isDurable || this.flights.size === 0)) return;
    this.memory = undefined;
    this.keeper.charge(this, -memory.cost);
    this.readBack = false;
    // A flight that moved its rest away leaves a frame that may not be written yet.
    if (!this.tainted && this.copy?.busy !== true) memory.free();
  }
}

/** Ids that lie between those of two chunks. */
export const ID_STEP = 16;
const MAX_RESTS = ID_STEP - 1;
