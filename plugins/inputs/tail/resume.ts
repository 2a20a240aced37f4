/**
 * Finding remembered files again (DELIVERY.md, rules 4 and 5): at their path, or renamed among the siblings of it whether or not the
 * pattern matches them, or compressed.
 */
import { closeSync, createReadStream, fstatSync, readSync, readdirSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { StoredSource } from '../../../src/plugin.ts';
import { fingerprintOf, hashBytes, keyOf, tailHashAt } from './identity.ts';
import { openForReading } from './tail-file.ts';

/** A remembered file that is there. */
export interface FoundSource {
  stored: StoredSource;
  path: string;
  stats: BigIntStats;
  /** Open. */
  descriptor: number;
  compressed: boolean;
}

/** Whether an open file is the one that is remembered, unchanged up to where it was read. */
export function isSameFile(descriptor: number, stats: BigIntStats, { identity, position, tailHash }: StoredSource): boolean {
  if (String(stats.ino) !== identity.inode || stats.size < BigInt(position)) return false;
  const { fingerprint } = fingerprintOf(descriptor, identity.fingerprintLength);
  if (fingerprint !== identity.fingerprint) return false;
  return tailHash === '' || tailHashAt(descriptor, position) === tailHash;
}

/** Opens a path if it is the remembered file. */
export function openIfSame(path: string, stored: StoredSource): FoundSource | undefined {
  let descriptor: number;
  try {
    descriptor = openForReading(path);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    if (stats.isFile() && isSameFile(descriptor, stats, stored)) {
      return { stored, path, stats, descriptor, compressed: false };
    }
  } catch {
    // Unreadable: then it is not to be had.
  }
  closeSync(descriptor);
  return undefined;
}

/** Names in the directory of a remembered path; undefined when it cannot be read. */
function siblings(path: string): string[] | undefined {
  try {
    return readdirSync(dirname(path));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? [] : undefined;
  }
}

/** Looks for a remembered file. `unreadable`: its directory cannot be read, so nothing is known. */
export async function findAgain(stored: StoredSource): Promise<FoundSource | 'gone' | 'unreadable'> {
  const { path } = stored.identity;
  const here = openIfSame(path, stored);
  if (here !== undefined) return here;
  const names = siblings(path);
  if (names === undefined) return 'unreadable';
  const directory = dirname(path);
  const others = names.filter((name) => name !== basename(path));
  for (const name of others) {
    const found = openIfSame(join(directory, name), stored);
    if (found !== undefined) return found;
  }
  const stem = basename(path).replace(/\.\d+$/, '');
  for (const name of others) {
    if (!name.endsWith('.gz') || !name.startsWith(stem)) continue;
    const found = await openIfCompressed(join(directory, name), stored);
    if (found !== undefined) return found;
  }
  return 'gone';
}

/** The first `length` decompressed bytes. */
async function decompressedHead(descriptor: number, length: number): Promise<Buffer> {
  const stream = createGunzip();
  const source = createReadStream('', { fd: descriptor, autoClose: false, start: 0 });
  source.on('error', (error) => stream.destroy(error));
  source.pipe(stream);
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of stream) {
      head = Buffer.concat([head, chunk as Buffer]);
      if (head.length >= length) break;
    }
  } finally {
    source.destroy();
    stream.destroy();
  }
  return head.subarray(0, length);
}

async function openIfCompressed(path: string, stored: StoredSource): Promise<FoundSource | undefined> {
  const { fingerprint, fingerprintLength } = stored.identity;
  if (fingerprintLength === 0) return undefined;
  let descriptor: number;
  try {
    descriptor = openForReading(path);
  } catch {
    return undefined;
  }
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    const magic = Buffer.alloc(2);
    readSync(descriptor, magic, 0, 2, 0);
    if (stats.isFile() && magic[0] === 0x1f && magic[1] === 0x8b) {
      const head = await decompressedHead(descriptor, fingerprintLength);
      if (hashBytes(head) === fingerprint) return { stored, path, stats, descriptor, compressed: true };
    }
  } catch {
    // Damaged or unreadable: not the one.
  }
  closeSync(descriptor);
  return undefined;
}

/** Key of a found file in the table of followed files. */
export function keyOfFound(found: FoundSource): string {
  return keyOf(found.stats);
}
