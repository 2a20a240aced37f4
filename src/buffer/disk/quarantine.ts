/** Damaged bytes are kept as evidence: a copy and why, in a folder beside the segments, bounded. */
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { Damage } from './scan.ts';

const FOLDER = 'quarantine';
/** More is only counted. Bytes. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Where damaged bytes of a directory's segments are kept. */
export function quarantineFolder(directory: string): string {
  return join(directory, FOLDER);
}

export interface Copy {
  /** Undefined when there was no room or it could not be written. */
  path: string | undefined;
  /** It was copied, and reported, by an earlier start. */
  known: boolean;
}

/** Numbers of the segments of which something is kept: a new segment must not get one of them. */
export function quarantinedNumbers(directory: string): number[] {
  try {
    return readdirSync(quarantineFolder(directory))
      .flatMap((name) => /^(\d{10,})-/.exec(name)?.[1] ?? [])
      .map(Number);
  } catch {
    return [];
  }
}

/** Copies damaged bytes. */
export function quarantine(directory: string, file: string, { offset, length, reason }: Damage): Copy {
  const folder = quarantineFolder(directory);
  const copy = join(folder, `${basename(file, '.segment')}-${offset}.damaged`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (statSync(copy, { throwIfNoEntry: false })?.size === length) return { path: copy, known: true };
    if (used(folder) + length > MAX_BYTES) return { path: undefined, known: false };
    writeFileSync(copy, bytesOf(file, offset, length), { mode: 0o600 });
    const note = { segment: basename(file), offset, length, reason, found: new Date().toISOString() };
    writeFileSync(`${copy}.json`, `${JSON.stringify(note)}\n`, { mode: 0o600 });
    return { path: copy, known: false };
  } catch {
    return { path: undefined, known: false };
  }
}

/** Copies a whole file that is not what it should be. */
export function quarantineFile(directory: string, file: string, reason: string): string | undefined {
  const folder = quarantineFolder(directory);
  const copy = join(folder, `${basename(file)}-${Date.now()}.damaged`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (used(folder) + statSync(file).size > MAX_BYTES) return undefined;
    copyFileSync(file, copy);
    writeFileSync(`${copy}.json`, `${JSON.stringify({ file: basename(file), reason })}\n`, { mode: 0o600 });
    return copy;
  } catch {
    return undefined;
  }
}

function used(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

function bytesOf(file: string, offset: number, length: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, offset));
  } finally {
    closeSync(descriptor);
  }
}
