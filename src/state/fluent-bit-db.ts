/**
 * Reading a position database that Fluent Bit's tail input left (table `in_tail_files`), or its kubernetes_events input (table
 * `in_kubernetes_events`, the events that it has sent): once, to go on where it stopped, and
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
          .prepare(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name IN ('in_tail_files', 'in_kubernetes_events')",
          )
          .get() !== undefined,
    );
  } catch {
    // Not a database, or a damaged one: opening it for ourselves says so.
    return false;
  }
}

const READ = {
  in_tail_files: 'SELECT name, CAST(inode AS TEXT) AS inode, offset FROM in_tail_files',
  // The newest resource version stands for the whole; what is behind it was not sent.
  in_kubernetes_events:
    "SELECT 'in_kubernetes_events' AS name, '' AS inode, max(resourceVersion) AS offset FROM in_kubernetes_events HAVING count(*) > 0",
};

/** Where Fluent Bit stopped, by file; of Kubernetes' events the newest resource version, under the name of its table. */
export function readFluentBitDatabase(file: string, log: Logger): LegacyPosition[] {
  const rows = withCopy(file, (database) => {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const names = new Set(tables.map(({ name }) => name));
    return Object.entries(READ).flatMap(([table, statement]) =>
      names.has(table) ? database.prepare(statement).all() : [],
    );
  });
  log.info({ file, files: rows.length }, "Positions of Fluent Bit's database are taken over");
  return rows.map((row) => ({
    path: String(row['name']),
    inode: String(row['inode']),
    offset: Number(row['offset']),
  }));
}
