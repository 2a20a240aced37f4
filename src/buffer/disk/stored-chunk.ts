/** A chunk in the disk buffer: where it lies, and what of it each output still needs. */
import type { Chunk } from '../../event/chunk.ts';
import { Ranges } from '../../event/ranges.ts';
import type { Range } from '../../event/ranges.ts';
import type { Description } from './frame.ts';

/** Frames of one file. */
export interface Segment {
  readonly number: number;
  readonly file: string;
  /** Bytes of the file. */
  size: number;
  /** Frames that some output still needs. */
  readonly living: Set<StoredChunk>;
  /** Bytes of those frames. */
  livingBytes: number;
  /** Ids of the other frames: they must not come back at the next start. */
  readonly settled: number[];
  /** Nothing is appended to it any more. */
  sealed: boolean;
}

export interface Place {
  segment: Segment;
  offset: number;
  headBytes: number;
  payloadBytes: number;
  payloadCrc: number | undefined;
}

/** Bytes that a frame takes. */
export function placeBytes({ headBytes, payloadBytes }: Place): number {
  return headBytes + payloadBytes;
}

/**
 * waiting   taken in, not written
 * written   in the file, not synced
 * durable   frame and directory are synced
 * gone      every output has everything
 */
export type StoredState = 'waiting' | 'written' | 'durable' | 'gone';

export class StoredChunk {
  /** Ascending in the order in which chunks arrived. */
  readonly id: number;
  readonly description: Description;
  state: StoredState;
  /** Where it lies; undefined until it is written. */
  place: Place | undefined;
  /** Where it was copied to by a compaction; takes the place of `place` once it is durable. */
  copy: Place | undefined;
  /** Its memory, until it is durable. */
  chunk: Chunk | undefined;
  /** Called once, when it is durable. */
  onDurable: (() => void) | undefined;
  /** By output, the records that are still needed. */
  private readonly open: Map<string, Ranges>;

  constructor(id: number, description: Description, state: StoredState) {
    this.id = id;
    this.description = description;
    this.state = state;
    this.open = new Map(
      description.targets.map(({ output, open }) => [output, new Ranges(open ?? [[0, description.records]])]),
    );
  }

  /** Outputs that still need something. */
  outputs(): string[] {
    return [...this.open].filter(([, ranges]) => !ranges.empty).map(([output]) => output);
  }

  /** The records that an output still needs. */
  openFor(output: string): readonly Range[] {
    return this.open.get(output)?.list ?? [];
  }

  /** Records are settled at an output. Returns whether the output has everything now, and had not before. */
  settle(output: string, from: number, to: number): boolean {
    const ranges = this.open.get(output);
    return ranges !== undefined && ranges.remove(from, to) > 0 && ranges.empty;
  }

  /** The records that an output has or never needed, as ranges. */
  *settledFor(output: string): Iterable<Range> {
    let at = 0;
    for (const [from, to] of this.openFor(output)) {
      if (from > at) yield [at, from];
      at = to;
    }
    if (at < this.description.records) yield [at, this.description.records];
  }

  /** True when no output needs anything. */
  get settled(): boolean {
    for (const ranges of this.open.values()) if (!ranges.empty) return false;
    return true;
  }

  /** The output goes by another name from now on. */
  rename(from: string, to: string): void {
    const ranges = this.open.get(from);
    if (ranges === undefined || this.open.has(to)) return;
    this.open.delete(from);
    this.open.set(to, ranges);
    for (const target of this.description.targets) if (target.output === from) target.output = to;
  }

  /** The targets as a frame names them now: those that still need something. */
  targets(): Description['targets'] {
    const { description } = this;
    return description.targets
      .filter(({ output }) => !(this.open.get(output)?.empty ?? true))
      .map(({ output, plugin }) => {
        const { list } = this.open.get(output) as Ranges;
        const all = list.length === 1 && list[0]?.[0] === 0 && list[0][1] === description.records;
        return all
          ? { output, plugin }
          : { output, plugin, open: list.map(([from, to]): Range => [from, to]) };
      });
  }
}
