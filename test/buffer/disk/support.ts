/** Directories for the tests of the disk buffer, and the stores in them. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import type { DiskStore, DiskStoreOptions } from '../../../src/buffer/disk/store.ts';
import { openStore } from './chunks.ts';
import type { Opened } from './chunks.ts';

export interface Rig {
  directory: string;
  /** Another empty directory. */
  fresh: () => string;
  /** A copy of the directory as it is: what a killed process leaves. */
  crashed: (from?: string) => string;
  /** Opens a directory; closed when the test is over. */
  open: (options?: Partial<DiskStoreOptions>) => Opened;
}

/** Where a sync costs nothing: these tests are about what is in the files. */
const MEMORY_FILES = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export const test = base.extend<{ rig: Rig }>({
  // oxlint-disable-next-line no-empty-pattern
  rig: async ({}, use) => {
    const root = mkdtempSync(join(MEMORY_FILES, 'tailrace-disk-'));
    const opened: DiskStore[] = [];
    let directories = 0;
    const fresh = (): string => {
      const made = join(root, String(directories++));
      mkdirSync(made);
      return made;
    };
    const directory = fresh();
    await use({
      directory,
      fresh,
      crashed: (from = directory) => {
        const copy = fresh();
        cpSync(from, copy, { recursive: true });
        return copy;
      },
      open: (options = {}) => {
        const found = openStore({ directory, ...options });
        opened.push(found.store);
        return found;
      },
    });
    for (const store of opened) await store.close();
    rmSync(root, { recursive: true, force: true });
  },
});
