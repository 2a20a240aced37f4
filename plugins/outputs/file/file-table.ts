/** The open files of one output: bounded, least recently used first to go. */
import { AppendFile } from './append-file.ts';
import type { AppendOptions } from './append-file.ts';
import type { Destination } from './destination.ts';

/** A file that nothing was written to for this time is closed and no longer counts. Milliseconds. */
const IDLE_MS = 600_000;
/** Descriptors where the configuration sets no limit. */
const MAX_OPEN = 1024;

export class FileTable {
  private readonly files = new Map<string, AppendFile>();
  private readonly maxNames: number;
  private readonly options: AppendOptions;
  private readonly closing = new Set<Promise<void>>();

  /** `maxNames`: files with names made of data that may be in use at once; 0 for any number. */
  constructor(maxNames: number, options: AppendOptions) {
    this.maxNames = maxNames;
    this.options = options;
  }

  /** The file of a destination; undefined when there are too many. */
  get(destination: Destination, counted: boolean): AppendFile | undefined {
    const { path } = destination;
    let file = this.files.get(path);
    if (file !== undefined) {
      // To the end of the map's order: used last.
      this.files.delete(path);
      this.files.set(path, file);
      return file;
    }
    this.closeIdle();
    if (counted && this.maxNames > 0) {
      if (this.files.size >= this.maxNames) return undefined;
    } else if (this.files.size >= MAX_OPEN) {
      this.closeOldest();
    }
    file = new AppendFile(destination, this.options);
    this.files.set(path, file);
    return file;
  }

  async close(): Promise<void> {
    for (const path of this.files.keys()) this.drop(path);
    await Promise.all(this.closing);
    await this.options.rotation?.close();
  }

  private closeIdle(): void {
    const limit = performance.now() - IDLE_MS;
    for (const [path, file] of this.files) {
      if (file.lastUsed > limit) break;
      this.drop(path);
    }
  }

  private closeOldest(): void {
    for (const path of this.files.keys()) {
      this.drop(path);
      return;
    }
  }

  private drop(path: string): void {
    const file = this.files.get(path);
    this.files.delete(path);
    if (file === undefined) return;
    const done: Promise<void> = file.close().finally(() => this.closing.delete(done));
    this.closing.add(done);
  }
}
