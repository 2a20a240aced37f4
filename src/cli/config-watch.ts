/**
 * Looks at the files of a configuration from time to time, and has them loaded anew when their text has changed
 * (`hot_reload.watch`). By looking instead of by events: a ConfigMap changes by a link some directories away, network file
 * systems tell nothing, and a handful of small files costs nothing to read.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Logger } from '../telemetry/log.ts';

export interface ConfigWatchActions {
  log: Logger;
  /** Loads the configuration anew, between {@link ConfigWatch.beforeLoad} and {@link ConfigWatch.afterLoad}. */
  reload: () => Promise<unknown>;
}

export class ConfigWatch {
  /** What was read last, whether or not it could be used: file → digest of its text. */
  private loaded = new Map<string, string>();
  /** What the last look found, when that was something new. */
  private found: ReadonlyMap<string, string> | undefined;
  private actions: ConfigWatchActions | undefined;
  private timer: NodeJS.Timeout | undefined;
  private seconds = 0;

  /**
   * These files are about to be read. Before it, not after: what changes while they are read is seen as a change by the next look,
   * and not taken for what was loaded.
   */
  async beforeLoad(files: readonly string[]): Promise<void> {
    this.loaded = new Map(await digests(files));
  }

  /** These files were read, and make up the configuration from now on. */
  async afterLoad(files: readonly string[]): Promise<void> {
    const included = await digests(files.filter((file) => !this.loaded.has(file)));
    const all = new Map([...this.loaded, ...included]);
    this.loaded = new Map(files.map((file) => [file, all.get(file) ?? '']));
  }

  /** Looks from now on, as often as {@link every} says. */
  start(actions: ConfigWatchActions): void {
    this.actions = actions;
    this.plan();
  }

  /** Seconds between two looks from now on; 0: none. */
  every(seconds: number): void {
    this.seconds = seconds;
    if (this.timer === undefined) this.plan();
  }

  /** No look begins any more. */
  stop(): void {
    this.actions = undefined;
    clearTimeout(this.timer);
  }

  private plan(): void {
    this.timer = undefined;
    if (this.seconds === 0 || this.actions === undefined) return;
    this.timer = setTimeout(() => void this.look().finally(() => this.plan()), this.seconds * 1000).unref();
  }

  /** One look, which those of the timer are too. */
  async look(): Promise<void> {
    const now = new Map(await digests([...this.loaded.keys()]));
    const changed = differing(this.loaded, now);
    // Somebody may still be writing: only what two looks find alike is taken.
    const isStill = this.found !== undefined && differing(this.found, now).length === 0;
    this.found = changed.length === 0 || isStill ? undefined : now;
    if (changed.length === 0 || !isStill || this.actions === undefined) return;
    this.actions.log.info({ files: changed }, 'The configuration changed on disk: reloading');
    await this.actions.reload();
  }
}

function differing(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  return [...one.keys()].filter((file) => one.get(file) !== other.get(file));
}

/** A file that cannot be read has the reason instead. */
function digests(files: readonly string[]): Promise<[string, string][]> {
  return Promise.all(
    files.map(async (file) => {
      try {
        return [
          file,
          createHash('sha256')
            .update(await readFile(file))
            .digest('base64'),
        ];
      } catch (error) {
        return [file, String((error as NodeJS.ErrnoException).code)];
      }
    }),
  );
}
