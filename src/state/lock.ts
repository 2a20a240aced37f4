/** A lock on a directory of the disk buffer, which ends with the process that holds it, however that ends. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BUSY, codeOf, holderOf, StateLockedError, tellHolder } from './holder.ts';

export interface DirectoryLock {
  close(): void;
}

/** Locks a directory, which is made if need be. Throws StateLockedError, which names the holder, and what the file system throws. */
export function lockDirectory(directory: string): DirectoryLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'lock.db');
  try {
    return lock(file);
  } catch (error) {
    if (codeOf(error) === BUSY) throw new StateLockedError(directory, 'disk buffer', holderOf(file));
    if (codeOf(error) === 0) throw error;
    // Whatever it is, it is no lock: there is nothing in it that could be lost.
    rmSync(file, { force: true });
    return lock(file);
  }
}

function lock(file: string): DirectoryLock {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw error;
  }
  tellHolder(file);
  return database;
}
