/** Where reading begins: a store of positions that forgets everything at the end and starts files near theirs. */
import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { Source } from '../../event/source.ts';
import type { SourceIdentity, SourceStore, StoredSource } from '../../state/store.ts';

const BLOCK = 65_536;
const LINE_FEED = 10;

/** Where the last `count` lines of a file begin, bytes; a last line without end is one. 0 when it cannot be read. */
export function lastLines(path: string, count: number): number {
  if (count === Number.POSITIVE_INFINITY) return 0;
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch {
    // The input says what is wrong with it.
    return 0;
  }
  try {
    const stats = fstatSync(descriptor);
    return stats.isFile() ? searchBack(descriptor, stats.size, count) : 0;
  } finally {
    closeSync(descriptor);
  }
}

function searchBack(descriptor: number, size: number, count: number): number {
  if (count === 0) return size;
  const block = Buffer.alloc(BLOCK);
  let left = count;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - BLOCK);
    const length = readSync(descriptor, block, 0, end - start, start);
    for (let at = length - 1; at >= 0; at--) {
      // The line feed that ends the file ends its last line and begins none.
      if (block[at] !== LINE_FEED || start + at === size - 1) continue;
      left--;
      if (left === 0) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

/** A store in memory, in which each file that is there at the start begins where its last lines do. */
export class Starts implements SourceStore {
  readonly fresh = true;
  readonly legacy = [];
  /** Where each source begins to be shown, and which file it is. */
  readonly sources = new Map<Source, { start: number; path: string }>();
  private lines: number;

  /** Shows the last `lines` of the files that are found first. */
  constructor(lines: number) {
    this.lines = lines;
  }

  /** From now on a file that appears is new: shown from its beginning. */
  opened(): void {
    this.lines = Number.POSITIVE_INFINITY;
  }

  load(): StoredSource[] {
    return [];
  }

  claim(): void {}

  add(found: readonly { identity: SourceIdentity; start: number }[]): Source[] {
    return found.map(({ identity: { path } }) => {
      const start = path.endsWith('.gz') ? 0 : lastLines(path, this.lines);
      const source = new Source(randomUUID(), start);
      this.sources.set(source, { start, path });
      return source;
    });
  }

  identify(source: Source, { path }: SourceIdentity): void {
    const known = this.sources.get(source);
    if (known !== undefined) known.path = path;
  }

  describe(): void {}

  remove(sources: readonly Source[]): void {
    for (const source of sources) this.sources.delete(source);
  }
}
