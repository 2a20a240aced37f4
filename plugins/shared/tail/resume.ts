/**
 * Finding remembered files again (DELIVERY.md, rules 4 and 5): at their path, or renamed among the siblings of their last place whether
 * or not a pattern matches them, or compressed, or as the copy that copytruncate left.
 */
import { fstatSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { StoredSource } from '../../../src/plugin.ts';
import { gzipFingerprint, gzipTailHash, isGzip } from './gzip.ts';
import { fingerprintOf, tailHashAt } from './identity.ts';
import { isRotationOf } from './siblings.ts';
import type { Siblings } from './siblings.ts';
import { discard, openForReading } from './tail-file.ts';

/** A remembered file that is there. */
export interface FoundSource {
  stored: StoredSource;
  /** Where it is. */
  path: string;
  stats: BigIntStats;
  descriptor: number;
  compressed: boolean;
}

type Check = (descriptor: number, stats: BigIntStats, path: string) => boolean | Promise<boolean>;

/** Opens a path if it is a file that passes; everything that cannot be read does not. */
async function openIf(path: string, stored: StoredSource, check: Check): Promise<FoundSource | undefined> {
  let descriptor: number | undefined;
  try {
    descriptor = openForReading(path);
    const stats = fstatSync(descriptor, { bigint: true });
    if (stats.isFile() && (await check(descriptor, stats, path))) {
      return { stored, path, stats, descriptor, compressed: isGzip(path, descriptor) };
    }
  } catch {
    // Gone or unreadable: not to be had.
  }
  discard(descriptor);
  return undefined;
}

/** Whether an open file is the one that is remembered, unchanged up to where it was read. The device may have another number after a reboot. */
export function isSameFile(
  descriptor: number,
  stats: BigIntStats,
  path: string,
  { identity, position, tailHash }: StoredSource,
): boolean {
  if (String(stats.ino) !== identity.inode) return false;
  if (isGzip(path, descriptor)) {
    return gzipFingerprint(descriptor, identity.fingerprintLength).fingerprint === identity.fingerprint;
  }
  return (
    stats.size >= BigInt(position) &&
    hasContentOf(descriptor, identity.fingerprint, identity.fingerprintLength, position, tailHash)
  );
}

function hasContentOf(
  descriptor: number,
  fingerprint: string,
  length: number,
  position: number,
  tailHash: string,
): boolean {
  if (fingerprintOf(descriptor, length).fingerprint !== fingerprint) return false;
  return tailHash === '' || tailHashAt(descriptor, position) === tailHash;
}

/** Looks for a remembered file. `unreadable`: its directory cannot be read, so nothing is known. */
export async function findAgain(
  stored: StoredSource,
  siblings: Siblings,
): Promise<FoundSource | 'gone' | 'unreadable'> {
  const { identity } = stored;
  const { path, realPath = path } = identity;
  const same: Check = (descriptor, stats, at) => isSameFile(descriptor, stats, at, stored);
  for (const place of new Set([realPath, path])) {
    const found = await openIf(place, stored, same);
    if (found !== undefined) return found;
  }
  const directory = dirname(realPath);
  const names = siblings.list(directory);
  if (names === undefined) return 'unreadable';
  for (const place of siblings.withInode(directory, identity.inode)) {
    const found = await openIf(place, stored, same);
    if (found !== undefined) return found;
  }
  return (await findCopy(stored, names)) ?? 'gone';
}

/** The same content under another inode: compressed, or copied before the file was truncated. */
async function findCopy(stored: StoredSource, names: readonly string[]): Promise<FoundSource | undefined> {
  const { identity, position, tailHash } = stored;
  const { path, realPath = path, fingerprint, fingerprintLength } = identity;
  // Without content there is nothing to know it by.
  if (fingerprintLength === 0) return undefined;
  const compressed: Check = async (descriptor, _stats, at) =>
    isGzip(at, descriptor) &&
    gzipFingerprint(descriptor, fingerprintLength).fingerprint === fingerprint &&
    (tailHash === '' || (await gzipTailHash(descriptor, position)) === tailHash);
  const copied: Check = (descriptor, stats) =>
    position > 0 &&
    tailHash !== '' &&
    stats.size >= BigInt(position) &&
    hasContentOf(descriptor, fingerprint, fingerprintLength, position, tailHash);
  const originals = new Set([basename(path), basename(realPath), withoutRotation(basename(realPath))]);
  for (const name of names) {
    const kinds = new Set(
      [...originals].map((original) => (name === `${original}.gz` ? 'gzip' : isRotationOf(name, original))),
    );
    const check = kinds.has('gzip') ? compressed : kinds.has('plain') ? copied : undefined;
    if (check === undefined) continue;
    const found = await openIf(join(dirname(realPath), name), stored, check);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `app.log.1` was `app.log` before. */
function withoutRotation(name: string): string {
  for (let end = 1; end < name.length; end++) {
    if (/[._-]/.test(name[end] as string) && isRotationOf(name, name.slice(0, end)) !== undefined)
      return name.slice(0, end);
  }
  return name;
}
