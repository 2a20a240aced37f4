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

/** Copies damaged bytes. Returns the copy's path; undefined when there is no room or it cannot be written. */
export function quarantine(
  directory: string,
  file: string,
  { offset, length, reason }: Damage,
): string | undefined {
  const folder = quarantineFolder(directory);
  const copy = join(folder, `${basename(file, '.segment')}-${offset}.damaged`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (statSync(copy, { throwIfNoEntry: false }) !== undefined) return copy;
    if (used(folder) + length > MAX_BYTES) return undefined;
    writeFileSync(copy, bytesOf(file, offset, length), { mode: 0o600 });
    const note = { segment: basename(file), offset, length, reason, found: new Date().toISOString() };
    writeFileSync(`${copy}.json`, `${JSON.stringify(note)}\n`, { mode: 0o600 });
    return copy;
  } catch {
    return undefined;
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
