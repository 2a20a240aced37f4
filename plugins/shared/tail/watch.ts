/**
 * Watching directories (inotify, one watch per directory, not per file): names that appear, go, or change. Where the system has no
 * more watches, the caller scans instead.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import { basename } from 'node:path';
import type { Logger } from '../../../src/plugin.ts';
import { keyOf } from './identity.ts';
import { statOf } from './siblings.ts';

export interface WatchEvents {
  /** The name came, went, or is another file now; undefined when the system does not say which, or the directory itself went. */
  onName: (directory: string, name: string | undefined) => void;
  /** The bytes or the attributes of a file changed. */
  onChange: (directory: string, name: string) => void;
}

interface Watched {
  watcher: FSWatcher;
  /** Identity of the directory: one that took its place needs a watch of its own. */
  key: string;
}

export class DirectoryWatch {
  private readonly watched = new Map<string, Watched>();
  private turn = this.watched.entries();
  private readonly failed = new Set<string>();
  private readonly events: WatchEvents;
  private readonly log: Logger;
  private warned = false;

  constructor(events: WatchEvents, log: Logger) {
    this.events = events;
    this.log = log;
  }

  /** False when some directory that should be watched cannot be: scan often then. */
  get complete(): boolean {
    return this.failed.size === 0;
  }

  has(directory: string): boolean {
    return this.watched.has(directory);
  }

  /** Watches exactly these directories. True when some of them were not watched before: what happened in them meanwhile was not told. */
  watchOnly(directories: ReadonlySet<string>): boolean {
    for (const directory of this.watched.keys()) if (!directories.has(directory)) this.drop(directory);
    this.failed.clear();
    let added = false;
    for (const directory of directories) if (this.add(directory)) added = true;
    return added;
  }

  /** Watches one more. True when it was not watched before. */
  add(directory: string): boolean {
    const stats = statOf(directory);
    // It comes back by an event of its parent, or with the next scan.
    if (stats === undefined) {
      this.drop(directory);
      return false;
    }
    const key = keyOf(stats);
    if (this.watched.get(directory)?.key === key) return false;
    this.drop(directory);
    try {
      const watcher = watch(directory, (kind, name) => this.told(directory, kind, name));
      watcher.on('error', (error) => this.fail(directory, error));
      this.watched.set(directory, { watcher, key });
      return true;
    } catch (error) {
      this.fail(directory, error);
      return false;
    }
  }

  /** Whether one of the next `count` directories, in turn, is not the one any more that is watched. */
  isOutdated(count: number): boolean {
    for (let looked = 0; looked < Math.min(count, this.watched.size); looked++) {
      let next = this.turn.next();
      if (next.done === true) {
        this.turn = this.watched.entries();
        next = this.turn.next();
      }
      const [directory, { key }] = next.value as [string, Watched];
      const stats = statOf(directory);
      if (stats === undefined || keyOf(stats) !== key) return true;
    }
    return false;
  }

  private told(directory: string, kind: string, name: string | null): void {
    if (kind !== 'rename' && name !== null) {
      this.events.onChange(directory, name);
      return;
    }
    // The directory itself went or was renamed: told under its own name.
    if (name === basename(directory)) {
      const stats = statOf(directory);
      if (stats === undefined || keyOf(stats) !== this.watched.get(directory)?.key) {
        this.drop(directory);
        this.events.onName(directory, undefined);
        return;
      }
    }
    this.events.onName(directory, name ?? undefined);
  }

  private drop(directory: string): void {
    this.watched.get(directory)?.watcher.close();
    this.watched.delete(directory);
  }

  private fail(directory: string, error: unknown): void {
    this.drop(directory);
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    this.failed.add(directory);
    if (this.warned) return;
    this.warned = true;
    this.log.warn(
      { directory, error },
      'A directory cannot be watched; it is scanned every second instead. Raise fs.inotify.max_user_watches or max_user_instances',
    );
  }

  close(): void {
    for (const directory of this.watched.keys()) this.drop(directory);
  }
}
