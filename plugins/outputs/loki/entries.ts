/**
 * The entries of an attempt as columns: a time and where the bytes of the line are, in the chunk itself as long as nothing of the record
 * has to change.
 */
import type { Slice } from '../../../src/plugin.ts';
import type { Pair } from './fields.ts';

const SCRATCH = 0;

export class Entries {
  readonly length: number;
  /** Unix seconds. */
  readonly seconds: Float64Array;
  readonly nanos: Int32Array;
  /** Index of the entry's memory in {@link memories}. */
  readonly memory: Uint32Array;
  /** First byte of the line in its memory, and the one behind it. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly memories: Buffer[] = [Buffer.alloc(0)];
  /** Structured metadata by entry, where there is any. */
  metadata: (readonly Pair[] | undefined)[] | undefined;

  constructor(length: number) {
    this.length = length;
    this.seconds = new Float64Array(length);
    this.nanos = new Int32Array(length);
    this.memory = new Uint32Array(length);
    this.starts = new Uint32Array(length);
    this.ends = new Uint32Array(length);
  }

  /** Takes the records of a slice as they are, as the entries from `at` on. */
  addSlice(slice: Slice, at: number): void {
    const { chunk, from, length } = slice;
    const { seconds, nanos } = chunk.columns;
    const memory = this.memories.push(chunk.bytes) - 1;
    let start = chunk.endOf(from - 1);
    for (let index = 0; index < length; index++) {
      const end = chunk.endOf(from + index);
      this.seconds[at + index] = seconds[from + index] as number;
      this.nanos[at + index] = nanos[from + index] as number;
      this.memory[at + index] = memory;
      this.starts[at + index] = start;
      // Without the line feed.
      this.ends[at + index] = end - 1;
      start = end;
    }
  }

  /**
   * The line of an entry is not its record's text but that piece of the scratch memory, which is put behind all others once all lines are
   * written.
   */
  placeInScratch(index: number, start: number, end: number): void {
    this.memory[index] = SCRATCH;
    this.starts[index] = start;
    this.ends[index] = end;
  }

  /** Everything is written: `scratch` is where {@link placeInScratch} pointed to. */
  setScratch(scratch: Buffer): void {
    this.memories[SCRATCH] = scratch;
  }

  /** Bytes of the line. */
  lineLength(index: number): number {
    return (this.ends[index] as number) - (this.starts[index] as number);
  }

  /** Negative when entry `a` is older than entry `b`. */
  compare(a: number, b: number): number {
    return (
      (this.seconds[a] as number) - (this.seconds[b] as number) ||
      (this.nanos[a] as number) - (this.nanos[b] as number)
    );
  }
}
