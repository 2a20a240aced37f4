/**
 * Reading a position database that Fluent Bit's tail input left (table `in_tail_files`): once, to go on where it stopped, and
 * without touching it: a copy is opened, for SQLite writes beside a database even to read it.
 */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Logger } from '../telemetry/log.ts';
import type { LegacyPosition } from './store.ts';

function withCopy<T>(file: string, work: (database: DatabaseSync) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-db-'));
  try {
    const copy = join(directory, 'copy.db');
    copyFileSync(file, copy);
    if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`);
    const database = new DatabaseSync(copy);
    try {
      return work(database);
    } finally {
      database.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Whether the file is there and is a database of Fluent Bit's. */
export function isFluentBitDatabase(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    return withCopy(
      file,
      (database) =>
        database
          .prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'in_tail_files'")
          .get() !== undefined,
    );
  } catch {
    // Not a database, or a damaged one: opening it for ourselves says so.
    return false;
  }
}

/** Where Fluent Bit stopped, by file. */
export function readFluentBitDatabase(file: string, log: Logger): LegacyPosition[] {
  const rows = withCopy(file, (database) =>
    database.prepare('SELECT name, CAST(inode AS TEXT) AS inode, offset FROM in_tail_files').all(),
  );
  log.info({ file, files: rows.length }, "Positions of Fluent Bit's database are taken over");
  return rows.map((row) => ({
    path: String(row['name']),
    inode: String(row['inode']),
    offset: Number(row['offset']),
  }));
}
