/** The followed files, by identity, by the matching paths that lead to them, and by where they are. */
import { realpathSync } from 'node:fs';
import type { SourceStore } from '../../../src/plugin.ts';
import { keyOf } from './identity.ts';
import { statOf } from './siblings.ts';
import type { TailFile } from './tail-file.ts';

export interface TableEvents {
  /** A file is followed from now on. */
  onFollowed: (file: TailFile) => void;
  /** It is followed no more. */
  onForgotten: (file: TailFile) => void;
  /** A file has something to read, or may have. */
  onReady: (file: TailFile) => void;
  /** No matching path leads to a file any more. */
  onRotated: () => void;
}

export class FileTable {
  /** All of them, by `device:inode`. */
  readonly files = new Map<string, TailFile>();
  /** The file that a matching path leads to. */
  readonly atPath = new Map<string, TailFile>();
  readonly atRealPath = new Map<string, TailFile>();
  /** The last generation that went from a path: the next one waits for it. */
  readonly lastAt = new Map<string, TailFile>();
  private readonly store: SourceStore | undefined;
  private readonly events: TableEvents;

  constructor(store: SourceStore | undefined, events: TableEvents) {
    this.store = store;
    this.events = events;
  }

  /** Takes a file in; `path` leads to it, undefined where it is rotated away already. */
  add(file: TailFile, path: string | undefined): void {
    this.files.set(file.key, file);
    this.events.onFollowed(file);
    this.atRealPath.set(file.realPath, file);
    if (path !== undefined) this.name(path, file);
    else {
      file.rotatedAt = performance.now();
      this.lastAt.set(file.path, file);
    }
    this.ready(file);
  }

  remove(file: TailFile): void {
    this.files.delete(file.key);
    for (const path of file.names) this.atPath.delete(path);
    file.names.clear();
    if (this.atRealPath.get(file.realPath) === file) this.atRealPath.delete(file.realPath);
    for (const [path, last] of this.lastAt) if (last === file) this.lastAt.delete(path);
    this.events.onForgotten(file);
  }

  ready(file: TailFile): void {
    file.caughtUpAt = undefined;
    this.events.onReady(file);
  }

  /** A matching path leads to a file. */
  name(path: string, file: TailFile): void {
    this.atPath.set(path, file);
    file.names.add(path);
    file.rotatedAt = undefined;
    // Under a name that matches as well it may have been rotated.
    if (leadsTo(file.realPath, file)) this.ready(file);
    else this.moved(file, realPathOf(path));
  }

  /** A path leads to another file, or none: the followed one was renamed or deleted. */
  displaced(path: string, file: TailFile): void {
    this.atPath.delete(path);
    file.names.delete(path);
    this.lastAt.set(path, file);
    if (file.names.size > 0) return;
    file.rotatedAt ??= performance.now();
    this.events.onRotated();
    this.ready(file);
  }

  /** A file is at another place now. */
  moved(file: TailFile, realPath: string): void {
    if (file.realPath === realPath) return;
    if (this.atRealPath.get(file.realPath) === file) this.atRealPath.delete(file.realPath);
    file.realPath = realPath;
    this.atRealPath.set(realPath, file);
    file.identity = { ...file.identity, realPath };
    this.store?.identify(file.source, file.identity);
    // Its old name leads to nothing, or to the next generation.
    for (const name of file.names) if (!leadsTo(name, file)) this.displaced(name, file);
    this.ready(file);
  }

  /** Generations of one path wait for each other, oldest first (rule 4). */
  chainGenerations(): void {
    const byPath = Map.groupBy(this.files.values(), ({ path }) => path);
    for (const generations of byPath.values()) {
      generations.sort(
        (a, b) => Number(a.names.size > 0) - Number(b.names.size > 0) || a.mtimeMs - b.mtimeMs,
      );
      for (let index = 1; index < generations.length; index++) {
        (generations[index] as TailFile).predecessor = generations[index - 1];
      }
    }
  }
}

function leadsTo(path: string, file: TailFile): boolean {
  const stats = statOf(path);
  return stats !== undefined && keyOf(stats) === file.key;
}

/** Where a path leads; itself when it leads nowhere. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
