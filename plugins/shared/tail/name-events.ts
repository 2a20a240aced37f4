/**
 * What the file system tells of names: files that come and go under names that match, and beside them, where rotation puts what it
 * renames. Everything else is found by scanning.
 */
import { basename, dirname, join } from 'node:path';
import type { BigIntStats } from 'node:fs';
import type { Adoption } from './adoption.ts';
import type { FileTable } from './file-table.ts';
import type { FinishedFiles } from './finished.ts';
import { patternOf } from './follow-options.ts';
import type { FollowOptions } from './follow-options.ts';
import { keyOf } from './identity.ts';
import type { Links } from './links.ts';
import { isRotationOf, statOf } from './siblings.ts';

/** How long a name that came and went at once explains a sibling that appeared. */
const RECENT_MS = 5000;

export interface NameParts {
  options: FollowOptions;
  table: FileTable;
  finished: FinishedFiles;
  adoption: Adoption;
  links: Links;
  /** Unix milliseconds. */
  startedAt: number;
  /** Runs what may fail on what the file system answers. */
  guarded: (action: () => void) => void;
  /** Looks at a path that matches. */
  lookAt: (path: string) => void;
  /** Whether a pattern passes through this directory. */
  isPassed: (path: string) => boolean;
  /** Sees to it that everything is looked at. */
  scan: () => void;
}

export class NameEvents {
  private readonly parts: NameParts;
  /** Names that came or went and were not looked at yet. */
  private readonly told: { directory: string; name: string }[] = [];
  /** Matching names that came or went lately: monotonic milliseconds. */
  private readonly recent = new Map<string, number>();

  constructor(parts: NameParts) {
    this.parts = parts;
  }

  /** Something under this name came, went, or is another file now; undefined where the system does not say which. */
  changed(directory: string, name: string | undefined): void {
    if (name === undefined) {
      this.parts.scan();
      return;
    }
    this.told.push({ directory, name });
    if (this.told.length === 1) setImmediate(() => this.parts.guarded(() => this.lookAtNames()));
  }

  private lookAtNames(): void {
    const matching = new Set<string>();
    const others = new Map<string, { directory: string; name: string }>();
    for (const { directory, name } of this.told.splice(0)) {
      const path = join(directory, name);
      if (patternOf(this.parts.options, path) !== undefined) matching.add(path);
      else others.set(path, { directory, name });
      // The target of a link was replaced: look at the links.
      for (const link of this.parts.links.to(path)) matching.add(link);
    }
    const now = performance.now();
    for (const path of matching) this.recent.set(path, now);
    const rotated: { directory: string; name: string; stats: BigIntStats }[] = [];
    for (const [path, { directory, name }] of others) {
      const stats = statOf(path);
      if (stats?.isFile() === true) rotated.push({ directory, name, stats });
      // A directory that a pattern passes through came or went.
      else if (stats?.isDirectory() === true || this.parts.isPassed(path)) this.parts.scan();
    }
    for (const { directory, name, stats } of rotated.toSorted(oldestFirst))
      this.lookForRotated(directory, name, stats);
    for (const path of matching) this.parts.lookAt(path);
  }

  /**
   * A name outside of the patterns appeared. If it is a followed file, it was rotated there. If nobody knows it, it was born since
   * we watch, and a matching name came and went just now, it was rotated before we could open it.
   */
  private lookForRotated(directory: string, name: string, stats: BigIntStats): void {
    const path = join(directory, name);
    const key = keyOf(stats);
    const known = this.parts.table.files.get(key);
    if (known !== undefined) {
      this.parts.table.moved(known, path);
      return;
    }
    if (this.parts.finished.moved(key, path)) return;
    const now = performance.now();
    for (const [original, at] of this.recent) {
      if (now - at > RECENT_MS) {
        this.recent.delete(original);
        continue;
      }
      const real = this.parts.table.atPath.get(original)?.realPath ?? original;
      const beside = [original, real].some(
        (each) => dirname(each) === directory && isRotationOf(name, basename(each)) === 'plain',
      );
      // Where birth times are not kept they are the time of the renaming: then the content tells an old file. Their clock has ticks of 4 ms.
      const born = Math.min(Number(stats.birthtimeMs), Number(stats.mtimeMs)) >= this.parts.startedAt - 10;
      if (beside && born) {
        this.parts.adoption.adoptRotated(original, path, stats);
        return;
      }
    }
  }
}

export function oldestFirst(a: { stats: BigIntStats }, b: { stats: BigIntStats }): number {
  return Number(a.stats.mtimeNs - b.stats.mtimeNs);
}
