/**
 * Generations that nobody saw: a file that was created, written and rotated while the agent was down, or faster than it was told.
 * Patterns seldom match the names that rotation gives, so such a file is recognised by its name beside a followed one, and by having
 * been written since the directory was last looked at.
 */
import { basename, dirname, join } from 'node:path';
import type { BigIntStats } from 'node:fs';
import { isRotationOf, statOf } from './siblings.ts';
import type { Siblings } from './siblings.ts';

/** The clock of files may lag behind, and what was written just before the last look may not have been seen. */
export const SLACK_MS = 1000;

export interface MissedFile {
  /** The path of the followed file that it was a generation of. */
  original: string;
  /** Where it is. */
  path: string;
  stats: BigIntStats;
}

/**
 * Rotated siblings of files that were written since `sinceMs` (Unix milliseconds, {@link SLACK_MS} before the last look). `followed`: real path to the path by which it is
 * followed. `compressed`: those that were compressed meanwhile as well.
 */
export function findMissed(
  followed: ReadonlyMap<string, string>,
  sinceMs: number,
  { siblings, compressed }: { siblings: Siblings; compressed: boolean },
): MissedFile[] {
  const directories = new Map<string, string[]>();
  for (const realPath of followed.keys()) {
    const directory = dirname(realPath);
    const there = directories.get(directory);
    if (there === undefined) directories.set(directory, [realPath]);
    else there.push(realPath);
  }
  const missed: MissedFile[] = [];
  for (const [directory, realPaths] of directories) {
    const originals = new Map(realPaths.map((realPath) => [basename(realPath), realPath]));
    for (const name of siblings.list(directory) ?? []) {
      const rotation = rotationOfAny(name, originals);
      if (rotation === undefined || (rotation.kind === 'gzip' && !compressed)) continue;
      const path = join(directory, name);
      const stats = statOf(path);
      if (stats === undefined || !stats.isFile() || !isNewSince(stats, rotation.kind, sinceMs)) continue;
      missed.push({ original: followed.get(rotation.realPath) as string, path, stats });
    }
  }
  return missed;
}

function isNewSince(stats: BigIntStats, kind: 'plain' | 'gzip', sinceMs: number): boolean {
  // A compressed file keeps the time of its original. What had been read before is not known by its inode: so no slack.
  if (kind === 'gzip') return Number(stats.mtimeMs) >= sinceMs + SLACK_MS;
  const born = Number(stats.birthtimeMs);
  return Number(stats.mtimeMs) >= sinceMs && (born === 0 || born >= sinceMs);
}

function rotationOfAny(
  name: string,
  originals: ReadonlyMap<string, string>,
): { realPath: string; kind: 'plain' | 'gzip' } | undefined {
  // What a rotation puts behind a name begins with one of these.
  for (let end = name.length - 1; end > 0; end--) {
    if (!/[._-]/.test(name[end] as string)) continue;
    const realPath = originals.get(name.slice(0, end));
    const kind = realPath === undefined ? undefined : isRotationOf(name, name.slice(0, end));
    if (realPath !== undefined && kind !== undefined) return { realPath, kind };
  }
  return undefined;
}
