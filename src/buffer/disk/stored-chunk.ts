/** A chunk in the disk buffer: where it lies, and what of it each output still needs. */
import type { Chunk } from '../../event/chunk.ts';
import { Ranges } from '../../event/ranges.ts';
import type { Range } from '../../event/ranges.ts';
import type { Description, FrameTarget } from './frame.ts';

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
  /** Copies in it that are not durable yet; they are not among the living. */
  incoming: number;
  /** Nothing is appended to it any more. */
  sealed: boolean;
  /** Is not compacted before that time, monotonic milliseconds. */
  compactAfter: number;
}

export function newSegment(number: number, file: string, size: number): Segment {
  return {
    number,
    file,
    size,
    living: new Set(),
    livingBytes: 0,
    settled: [],
    incoming: 0,
    sealed: false,
    compactAfter: 0,
  };
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
 * writing   a frame of it is on its way to the file, or may have got there although an error came back
 * written   in the file, not synced
 * durable   frame and directory are synced
 * gone      every output has everything
 */
export type StoredState = 'waiting' | 'writing' | 'written' | 'durable' | 'gone';

/** What an output still needs: everything, nothing, or these records. Most chunks never need the last. */
type Open = 'all' | 'none' | Ranges;

export class StoredChunk {
  /** Ascending in the order in which chunks arrived. */
  readonly id: number;
  /** Its targets may be shared with other chunks and do not say what is open. */
  readonly description: Description;
  state: StoredState;
  /** Where it lies; undefined until it is written. */
  place: Place | undefined;
  /** Where it was copied to by a compaction; takes the place of `place` once it is durable. */
  copy: Place | undefined;
  /** Its memory, until it is durable. */
  chunk: Chunk | undefined;
  /** Called once, when it is durable; not when it was settled everywhere before. */
  onDurable: (() => void) | undefined;
  /** By index of the target. */
  private readonly open: Open[];

  constructor(
    id: number,
    description: Description,
    state: StoredState,
    targets = withoutOpen(description.targets),
  ) {
    this.id = id;
    this.open = description.targets.map(({ open }) => opened(open, description.records));
    this.description = description;
    this.description.targets = targets;
    this.state = state;
    // Every chunk has the same fields in the same order, so that all of them share one shape.
    this.place = undefined;
    this.copy = undefined;
    this.chunk = undefined;
    this.onDurable = undefined;
  }

  /** The disk buffer still needs its memory: it is not on disk as a whole, and some output needs it. */
  get busy(): boolean {
    return this.chunk !== undefined;
  }

  private indexOf(output: string): number {
    return this.description.targets.findIndex((target) => target.output === output);
  }

  /** Outputs that still need something. */
  outputs(): string[] {
    return this.description.targets.flatMap(({ output }, index) =>
      this.open[index] === 'none' ? [] : output,
    );
  }

  /** The records that an output still needs. */
  openFor(output: string): readonly Range[] {
    const open = this.open[this.indexOf(output)];
    if (open === undefined || open === 'none') return [];
    return open === 'all' ? [[0, this.description.records]] : open.list;
  }

  /** Records are settled at an output. Returns whether the output has everything now, and had not before. */
  settle(output: string, from: number, to: number): boolean {
    const index = this.indexOf(output);
    const open = this.open[index];
    const { records } = this.description;
    if (open === undefined || open === 'none') return false;
    if (from <= 0 && to >= records) {
      this.open[index] = 'none';
      return true;
    }
    const ranges = open === 'all' ? new Ranges([[0, records]]) : open;
    if (ranges.remove(from, to) === 0) return false;
    this.open[index] = ranges.empty ? 'none' : ranges;
    return ranges.empty;
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
    return this.open.every((open) => open === 'none');
  }

  /** The output goes by another name from now on. Returns whether it was there by the old one and not by the new one. */
  rename(from: string, to: string): boolean {
    const index = this.indexOf(from);
    if (index < 0 || this.indexOf(to) >= 0) return false;
    this.description.targets = this.description.targets.with(index, {
      output: to,
      plugin: (this.description.targets[index] as FrameTarget).plugin,
    });
    return true;
  }

  /** The targets as a frame names them now: those that still need something. */
  targets(): FrameTarget[] {
    return this.description.targets.flatMap(({ output, plugin }, index) => {
      const open = this.open[index] as Open;
      if (open === 'none') return [];
      return open === 'all'
        ? { output, plugin }
        : { output, plugin, open: open.list.map(([from, to]): Range => [from, to]) };
    });
  }
}

function opened(open: readonly Range[] | undefined, records: number): Open {
  if (open === undefined) return records === 0 ? 'none' : 'all';
  const ranges = new Ranges(open);
  ranges.remove(records, Number.POSITIVE_INFINITY);
  return ranges.empty ? 'none' : ranges;
}

function withoutOpen(targets: readonly FrameTarget[]): FrameTarget[] {
  return targets.map(({ output, plugin }) => ({ output, plugin }));
}

/** Gives equal targets of many chunks one list. */
export class SharedTargets {
  private readonly known = new Map<string, FrameTarget[]>();

  of(targets: readonly FrameTarget[]): FrameTarget[] {
    let key = '';
    for (const { output, plugin } of targets) key += `${output}\n${plugin}\n`;
    let shared = this.known.get(key);
    if (shared === undefined) {
      shared = withoutOpen(targets);
      this.known.set(key, shared);
    }
    return shared;
  }
}
