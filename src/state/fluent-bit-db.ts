/**
 * Reading a position database that Fluent Bit left: of its tail input (table `in_tail_files`), its systemd input (`in_systemd_cursor`) or
 * its kubernetes_events input (`in_kubernetes_events`, the events that it has sent). Once, to go on where it stopped, and without
 * touching it: a copy is opened, for SQLite writes beside a database even to read it.
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

function hasTable(database: DatabaseSync, ...names: string[]): boolean {
  const find = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?");
  return names.some((name) => find.get(name) !== undefined);
}

/** Whether the file is there and is a database of Fluent Bit's. */
export function isFluentBitDatabase(file: string): boolean {
  if (!existsSync(file)) return false;
  try {
    return withCopy(file, (database) =>
      hasTable(database, 'in_tail_files', 'in_systemd_cursor', 'in_kubernetes_events'),
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
  const rows = withCopy(file, (database) =>
    Object.entries(READ).flatMap(([table, statement]) =>
      hasTable(database, table) ? database.prepare(statement).all() : [],
    ),
  );
  if (rows.length === 0) return [];
  log.info({ file, files: rows.length }, "Positions of Fluent Bit's database are taken over");
  return rows.map((row) => ({
    path: String(row['name']),
    inode: String(row['inode']),
    offset: Number(row['offset']),
  }));
}

/** The cursor of the last journal entry that Fluent Bit had read. */
export function readFluentBitCursor(file: string, log: Logger): string | undefined {
  const row = withCopy(file, (database) =>
    hasTable(database, 'in_systemd_cursor')
      ? database.prepare('SELECT cursor FROM in_systemd_cursor ORDER BY rowid DESC LIMIT 1').get()
      : undefined,
  );
  if (row === undefined) return undefined;
  log.info({ file }, "The journal cursor of Fluent Bit's database is taken over");
  return String(row['cursor']);
}
