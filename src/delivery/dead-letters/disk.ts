/** Writes of dead letters that are there after a power cut: contents and directory entries synced. */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Range } from '../../event/ranges.ts';

const BLOCK = 256 * 1024;

/** Makes a folder and the ones above it, and syncs their entries where any was made. */
export function makeFolder(folder: string): void {
  const first = mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let each = dirname(folder); ; each = dirname(each)) {
    syncFolder(each);
    if (each === dirname(first) || each === dirname(each)) return;
  }
}

export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Appends to a file, which must be there unless `create` says that it must not, and syncs. What failed half-way is taken back. */
export function append(folder: string, name: string, bytes: Buffer, size: number, create: boolean): void {
  const mode = create ? constants.O_CREAT | constants.O_EXCL : 0;
  // A link in its place would let the letters be written elsewhere.
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | mode;
  const descriptor = openSync(join(folder, name), flags, 0o600);
  try {
    writeAll(descriptor, bytes);
    fdatasyncSync(descriptor);
    if (create) syncFolder(folder);
  } catch (error) {
    takeBack(descriptor, size, create ? join(folder, name) : undefined);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function takeBack(descriptor: number, size: number, made: string | undefined): void {
  try {
    if (made === undefined) ftruncateSync(descriptor, size);
    else rmSync(made);
  } catch {
    // A torn line is left: readers skip it, and the next letters begin a new file.
  }
}

/** Removes ranges of bytes from a file by putting a copy without them in its place. Killed in between, the file is as before. */
export function removeRanges(folder: string, name: string, ranges: readonly Range[]): void {
  const file = join(folder, name);
  const unfinished = `${file}.tmp`;
  rmSync(unfinished, { force: true });
  const from = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const to = openSync(unfinished, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      let at = 0;
      for (const [start, stop] of [...ranges, [Number.MAX_SAFE_INTEGER, 0] as const]) {
        copy(from, to, at, start);
        at = stop;
      }
      fsyncSync(to);
    } finally {
      closeSync(to);
    }
    renameSync(unfinished, file);
    syncFolder(folder);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  } finally {
    closeSync(from);
  }
}

function copy(from: number, to: number, start: number, stop: number): void {
  const block = Buffer.allocUnsafe(BLOCK);
  for (let at = start; at < stop;) {
    const read = readSync(from, block, 0, Math.min(BLOCK, stop - at), at);
    if (read === 0) return;
    writeAll(to, block.subarray(0, read));
    at += read;
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
}
