/**
 * Watching directories (inotify, one watch per directory, not per file): names that appear, go, or change. Where the system has no
 * more watches, the caller scans instead.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import type { Logger } from '../../../src/plugin.ts';

export interface WatchEvents {
  /** The name came, went, or is another file now; undefined when the system does not say which. */
  onName: (directory: string, name: string | undefined) => void;
  /** The bytes or the attributes of a file changed. */
  onChange: (directory: string, name: string) => void;
}

export class DirectoryWatch {
  private readonly watchers = new Map<string, FSWatcher>();
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

  /** Watches exactly these directories. */
  watchOnly(directories: ReadonlySet<string>): void {
    for (const [directory, watcher] of this.watchers) {
      if (directories.has(directory)) continue;
      watcher.close();
      this.watchers.delete(directory);
    }
    this.failed.clear();
    for (const directory of directories) this.add(directory);
  }

  private add(directory: string): void {
    if (this.watchers.has(directory)) return;
    try {
      const watcher = watch(directory, { persistent: true }, (kind, name) => {
        if (kind === 'rename' || name === null) this.events.onName(directory, name ?? undefined);
        else this.events.onChange(directory, name);
      });
      watcher.on('error', (error) => this.fail(directory, error));
      this.watchers.set(directory, watcher);
    } catch (error) {
      this.fail(directory, error);
    }
  }

  private fail(directory: string, error: unknown): void {
    this.watchers.get(directory)?.close();
    this.watchers.delete(directory);
    const { code } = error as NodeJS.ErrnoException;
    // A directory that is gone comes back with the next scan.
    if (code === 'ENOENT') {
      this.events.onName(directory, undefined);
      return;
    }
    this.failed.add(directory);
    if (this.warned) return;
    this.warned = true;
    this.log.warn(
      { directory, error },
      'A directory cannot be watched; it is scanned every second instead. Raise fs.inotify.max_user_watches or max_user_instances',
    );
  }

  close(): void {
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }
}
