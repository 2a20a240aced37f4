/**
 * How far the events of an API server are read: a source whose offsets are resource versions. An event takes `[version, version + 1)`, so the
 * lowest mark is the first version that is not settled everywhere, and a watch goes on just before it.
 */
import { randomUUID } from 'node:crypto';
import { Source } from '../../../src/plugin.ts';
import type { Logger, SourceStore } from '../../../src/plugin.ts';

/** Fluent Bit's table, by which its newest version comes. */
const FLUENT_BIT = 'in_kubernetes_events';

export class Position {
  private readonly store: SourceStore | undefined;
  /** API server and collection. */
  private readonly place: string;
  private readonly log: Logger;
  private current: Source;

  constructor(store: SourceStore | undefined, place: string, log: Logger) {
    this.store = store;
    this.log = log;
    this.place = place;
    this.current = this.known() ?? this.begin(this.legacy());
    this.current.inBytes = false;
  }

  get source(): Source {
    return this.current;
  }

  /** The first version that is to be read; 0 before anything was. */
  get next(): number {
    return this.current.emitted;
  }

  /** Everything before it was handed over, or is none of ours. */
  reach(version: number): void {
    this.current.advance(version);
  }

  /** What is remembered is of another history: reading begins anew. */
  forget(): void {
    this.store?.remove([this.current]);
    this.current = this.begin(0);
    this.current.inBytes = false;
  }

  private known(): Source | undefined {
    const stored = this.store?.load() ?? [];
    const found = stored.find(({ identity }) => identity.path === this.place);
    const others = stored.filter((each) => each !== found);
    this.store?.remove(others.map(({ source }) => source));
    for (const { identity } of others)
      this.log.info(
        { remembered: identity.path, place: this.place },
        'A position at another API server is forgotten: its resource versions say nothing here',
      );
    return found?.source;
  }

  private legacy(): number {
    const found = this.store?.legacy.find(({ path }) => path === FLUENT_BIT);
    return found === undefined ? 0 : found.offset + 1;
  }

  private begin(start: number): Source {
    const identity = { path: this.place, device: '', inode: '', fingerprint: '', fingerprintLength: 0 };
    return this.store?.add([{ identity, start }])[0] ?? new Source(randomUUID(), start);
  }
}
