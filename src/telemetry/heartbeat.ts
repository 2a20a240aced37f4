/**
 * Where the main loop is and that it still turns, in memory that a watching thread can read while the loop stands still.
 *
 * One per process, as the loop is one: stages are entered in the middle of every batch, and the store is a few nanoseconds.
 */

/** Cells of the shared memory, 32 bits each. */
export const CELL = {
  /** Grows with every turn that the loop's timer saw. */
  beats: 0,
  /** Index of the stage that was entered last. */
  stage: 1,
  /** 1 while a debugger may hold the loop. */
  debugged: 2,
} as const;

const CELLS = 3;
/** The stage of everything that has no name of its own. */
const ELSEWHERE = 0;

export class MainLoop {
  /** What the watching thread reads, see {@link CELL}. */
  readonly memory = new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT);
  private readonly cells = new Int32Array(this.memory);
  private readonly names: string[] = ['no filter or output'];
  private readonly listeners = new Set<(names: readonly string[]) => void>();

  /** The index of a stage, the same for the same name: `filter grep.0`. Names are never forgotten, so indexes stay true over reloads. */
  stage(name: string): number {
    const known = this.names.indexOf(name);
    if (known >= 0) return known;
    this.names.push(name);
    for (const listener of this.listeners) listener(this.names);
    return this.names.length - 1;
  }

  /** From now on the loop is in this stage, until the next call. */
  enter(stage: number): void {
    Atomics.store(this.cells, CELL.stage, stage);
  }

  /** The stage is over, and nobody knows what follows. */
  leave(): void {
    Atomics.store(this.cells, CELL.stage, ELSEWHERE);
  }

  /** Says that the loop turns. */
  beat(debugged: boolean): void {
    Atomics.store(this.cells, CELL.debugged, debugged ? 1 : 0);
    Atomics.add(this.cells, CELL.beats, 1);
  }

  /** Calls back with all names now and whenever there are more; returns what ends that. */
  onStages(listener: (names: readonly string[]) => void): () => void {
    this.listeners.add(listener);
    listener(this.names);
    return () => void this.listeners.delete(listener);
  }
}

export const mainLoop = new MainLoop();
