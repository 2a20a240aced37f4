/** What the progress log says, by frame. */
import type { ProgressEntry, Renamed, Settled } from './progress-log.ts';
import type { StoredChunk } from './stored-chunk.ts';

interface Placed<T> {
  entry: T;
  /** Its place in the log. */
  at: number;
}

export class RecoveredProgress {
  /** Larger than any id that the log knows of. */
  nextId = 0;
  private readonly settled = new Map<number, Placed<Settled>[]>();
  private readonly renamed: Placed<Renamed>[] = [];

  constructor(entries: readonly ProgressEntry[]) {
    for (const [at, entry] of entries.entries()) {
      if ('below' in entry) {
        this.renamed.push({ entry, at });
        this.nextId = Math.max(this.nextId, entry.below);
        continue;
      }
      this.nextId = Math.max(this.nextId, entry.id + 1);
      const list = this.settled.get(entry.id);
      if (list === undefined) this.settled.set(entry.id, [{ entry, at }]);
      else list.push({ entry, at });
    }
  }

  get renames(): Renamed[] {
    return this.renamed.map(({ entry }) => entry);
  }

  /** Brings a chunk, as its frame says it, to what the log says of it. */
  apply(stored: StoredChunk): void {
    const settled = this.settled.get(stored.id) ?? [];
    let next = 0;
    // An entry speaks of an output by the name that it had when the entry was written.
    for (const { entry, at } of this.renamed) {
      if (entry.below <= stored.id) continue;
      for (; next < settled.length && (settled[next] as Placed<Settled>).at < at; next++) {
        settle(stored, (settled[next] as Placed<Settled>).entry);
      }
      stored.rename(entry.from, entry.to);
    }
    for (; next < settled.length; next++) settle(stored, (settled[next] as Placed<Settled>).entry);
  }
}

function settle(stored: StoredChunk, { output, range }: Settled): void {
  const [from, to] = range ?? [0, stored.description.records];
  for (const name of output === undefined ? stored.outputs() : [output]) stored.settle(name, from, to);
}
