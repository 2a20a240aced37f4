/** What joins the lines of files to records: chosen for each file, one for all files that have the same. */
import type { LineShape, LogRecord } from '../../../../src/plugin.ts';
import type { Assembly } from './assembly.ts';

/** The lines of the block that is being read. */
export interface BlockLines {
  /** One character for each byte, and ASCII where it matters; undefined in an encoding where that cannot be had. */
  readonly head: string | undefined;
  /** The decoded text between two offsets. It may keep the whole block in memory. */
  slice(start: number, stop: number): string;
  /** The same, as a text of its own: to be held. */
  copy(start: number, stop: number): string;
}

export interface Joiner {
  /** What lines stand for that are handed to {@link Assembly.line}. */
  readonly shape: LineShape | undefined;
  /**
   * Takes a line: `start` to `stop` its text, `next` behind its end, relative to the block. `metadata` says what is wrong with the line,
   * if something is.
   */
  take(out: Assembly, start: number, stop: number, next: number, metadata: LogRecord | undefined): void;
}

/** How lines are joined. */
export interface JoinPlan {
  /** For the blocks of one reader. */
  joiner(lines: BlockLines): Joiner;
  /** After so long without another part, a record goes on as it is. Milliseconds. */
  waitMs: number;
  /** Whether it goes on with what is held, or was broken off, under a key; it may have been begun by another plan. */
  takes(key: string): boolean;
}
