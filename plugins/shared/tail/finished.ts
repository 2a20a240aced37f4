/**
 * Files that were rotated away, read to their end and settled, but are still there: they are not to be taken for new ones. Forgotten
 * once they are gone and their directory could be read (DELIVERY.md, rule 8).
 */
import { closeSync, fstatSync } from 'node:fs';
import type { SourceStore, StoredSource } from '../../../src/plugin.ts';
import { keyOf } from './identity.ts';
import { findAgain, isSameFile } from './resume.ts';
import { Siblings, statOf } from './siblings.ts';
import { openForReading } from './tail-file.ts';

/** Files looked at before others have a turn. */
const SLICE = 256;

export class FinishedFiles {
  private readonly byKey = new Map<string, StoredSource>();
  private readonly store: SourceStore | undefined;

  constructor(store: SourceStore | undefined) {
    this.store = store;
  }

  add(key: string, stored: StoredSource): void {
    const before = this.byKey.get(key);
    if (before !== undefined) this.store?.remove([before.source]);
    this.byKey.set(key, stored);
  }

  /** Whether the file at this path is one of them; the same inode may have become another file. */
  has(key: string, path: string): boolean {
    const stored = this.byKey.get(key);
    if (stored === undefined) return false;
    if (isStill(path, stored)) return true;
    this.byKey.delete(key);
    this.store?.remove([stored.source]);
    return false;
  }

  /** Takes one out, to follow it again. */
  take(key: string): StoredSource | undefined {
    const stored = this.byKey.get(key);
    this.byKey.delete(key);
    return stored;
  }

  /** One of them has another name now. False when it is none of them. */
  moved(key: string, path: string): boolean {
    if (!this.has(key, path)) return false;
    const stored = this.byKey.get(key) as StoredSource;
    this.byKey.set(key, this.at(stored, path));
    return true;
  }

  private at(stored: StoredSource, realPath: string): StoredSource {
    const identity = { ...stored.identity, realPath };
    this.store?.identify(stored.source, identity);
    return { ...stored, identity };
  }

  /** Whether one of them, or a file that went, has this content under a name that says so. */
  hasContent(fingerprint: string, path: string): boolean {
    const plain = path.replace(/\.gz$/, '');
    for (const { identity } of this.byKey.values()) {
      const { realPath = identity.path } = identity;
      if (identity.fingerprint === fingerprint && (realPath === plain || realPath === path)) return true;
    }
    return false;
  }

  /** Forgets what is gone; what was compressed is known by its new file from now on. */
  async purge(): Promise<void> {
    const siblings = new Siblings();
    let looked = 0;
    for (const [key, stored] of this.byKey) {
      if (++looked % SLICE === 0) await new Promise(setImmediate);
      const { path, realPath = path } = stored.identity;
      const stats = statOf(realPath);
      if (stats !== undefined && keyOf(stats) === key) continue;
      const found = await findAgain(stored, siblings);
      if (found === 'unreadable') continue;
      if (this.byKey.get(key) !== stored) {
        if (found !== 'gone') closeSync(found.descriptor);
        continue;
      }
      this.byKey.delete(key);
      if (found === 'gone') {
        this.store?.remove([stored.source]);
        continue;
      }
      closeSync(found.descriptor);
      const inode = String(found.stats.ino);
      const moved = this.at({ ...stored, identity: { ...stored.identity, inode } }, found.path);
      this.byKey.set(keyOf(found.stats), moved);
    }
  }

  get size(): number {
    return this.byKey.size;
  }
}

function isStill(path: string, stored: StoredSource): boolean {
  let descriptor: number;
  try {
    descriptor = openForReading(path);
  } catch {
    return false;
  }
  try {
    return isSameFile(descriptor, fstatSync(descriptor, { bigint: true }), path, stored);
  } catch {
    return false;
  } finally {
    closeSync(descriptor);
  }
}
