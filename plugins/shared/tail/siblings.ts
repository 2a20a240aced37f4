/** What lies in the directories around followed files, listed once per search: a file is found by its inode whatever its name is. */
import { readdirSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';

export class Siblings {
  private readonly names = new Map<string, string[] | undefined>();
  private readonly inodes = new Map<string, Map<string, string[]>>();

  /** Names in a directory, none if it is gone; undefined when it cannot be read. */
  list(directory: string): readonly string[] | undefined {
    if (this.names.has(directory)) return this.names.get(directory);
    let names: string[] | undefined;
    try {
      names = readdirSync(directory);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      names = code === 'ENOENT' || code === 'ENOTDIR' ? [] : undefined;
    }
    this.names.set(directory, names);
    return names;
  }

  /** Paths in a directory that lead to a file with this inode. */
  withInode(directory: string, inode: string): readonly string[] {
    let byInode = this.inodes.get(directory);
    if (byInode === undefined) {
      byInode = new Map();
      for (const name of this.list(directory) ?? []) {
        const path = join(directory, name);
        const key = statOf(path)?.ino.toString();
        if (key === undefined) continue;
        const paths = byInode.get(key);
        if (paths === undefined) byInode.set(key, [path]);
        else paths.push(path);
      }
      this.inodes.set(directory, byInode);
    }
    return byInode.get(inode) ?? [];
  }
}

/** Numbers of a file behind a path, links followed; undefined when there is none to be had: gone, a loop of links, no permission. */
export function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** What a rotation puts behind a name: `.1`, `-20261120`, `.2026-11-20T10:00`, `.old`; compressed or not. */
const SUFFIX = /^[._-](?:\d[\dTZ.:_-]*?|old|bak|prev)(?<compressed>\.gz)?$/;

/** Whether `name` is what a rotation makes of `original`. */
export function isRotationOf(name: string, original: string): 'plain' | 'gzip' | undefined {
  if (!name.startsWith(original)) return undefined;
  const match = SUFFIX.exec(name.slice(original.length));
  if (match === null) return undefined;
  return match.groups?.['compressed'] === undefined ? 'plain' : 'gzip';
}
