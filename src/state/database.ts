/**
 * The SQLite file that remembers positions: opened with an exclusive lock that ends with the process, so that two agents never
 * share it; a damaged file is kept as evidence and a new one begun; a newer format is refused untouched.
 *
 *   meta(key, value)                         version: `number:checksum`; replaced: where damaged positions were kept
 *   inputs(name, checksum)                   inputs that have state, whether or not they have a source
 *   sources(id, input, path, real_path, device, inode, fingerprint, fingerprint_length, position, tail_hash, size, checksum)
 *   marks(source, output, plugin, mark, settled, checksum)     how far an output has a source; settled: JSON ranges beyond the mark
 */
import { accessSync, constants, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Logger } from '../telemetry/log.ts';
import { checksum, removeDamagedRows } from './damage.ts';
import { BUSY, codeOf, holderOf, StateLockedError, tellHolder } from './holder.ts';

export { StateLockedError };

const VERSION = 1;
const READONLY = 8;
const CORRUPT = 11;
/** Codes of a file that is not what we wrote: a name in its schema changed, it is damaged, or no database at all. */
const DAMAGED: ReadonlySet<number> = new Set([1, CORRUPT, 17, 20, 26]);
const TABLES: readonly string[] = ['inputs', 'sources', 'marks'];
/** Pages of 4 KB in the journal after which a write checkpoints by itself. */
const AUTO_CHECKPOINT_PAGES = 8000;

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE inputs (name TEXT PRIMARY KEY, checksum INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    input TEXT NOT NULL,
    path TEXT NOT NULL,
    real_path TEXT NOT NULL,
    device TEXT NOT NULL,
    inode TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    fingerprint_length INTEGER NOT NULL,
    position INTEGER NOT NULL,
    tail_hash TEXT NOT NULL,
    size INTEGER NOT NULL,
    checksum INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE marks (
    source TEXT NOT NULL,
    output TEXT NOT NULL,
    plugin TEXT NOT NULL,
    mark INTEGER NOT NULL,
    settled TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (source, output)
  ) WITHOUT ROWID;
  INSERT INTO meta VALUES ('version', '${VERSION}:${checksum(VERSION)}');
`;

/** The state was written by a newer version, or cannot be opened. */
export class StateError extends Error {
  override name = 'StateError';
}

export interface OpenedDatabase {
  database: DatabaseSync;
  /** Rows that were damaged and are forgotten; 1 for a whole file. */
  damaged: number;
  /** When it was last written before, Unix milliseconds; undefined for a new one. */
  lastWritten: number | undefined;
}

/** When a database was last written, Unix milliseconds; undefined when it is not there. */
export function lastWrite(file: string): number | undefined {
  const times = [file, `${file}-wal`].map((each) => statSync(each, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return Math.max(...times) || undefined;
}

/** Opens or makes the database. Throws StateLockedError or StateError. */
export function openDatabase(file: string, log: Logger): OpenedDatabase {
  let lastWritten: number | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    lastWritten = lastWrite(file);
    const database = openAndCheck(file, lastWritten !== undefined);
    try {
      return { database, lastWritten, damaged: removeDamagedRows(database, file, log) };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    const code = codeOf(error);
    if (code === BUSY) throw new StateLockedError(file, 'positions', holderOf(file));
    // A bit in the header makes a file read-only for SQLite that is not.
    const damaged = DAMAGED.has(code) || (code === READONLY && isWritable(file));
    if (!damaged || lastWritten === undefined) throw asStateError(file, error);
    try {
      return { database: replaceDamaged(file, error, log), lastWritten, damaged: 1 };
    } catch (again) {
      throw asStateError(file, again);
    }
  }
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    accessSync(dirname(file), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function asStateError(file: string, error: unknown): StateError {
  if (error instanceof StateError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new StateError(
    `Opening the positions in ${file}: ${reason}. Make the directory writable, or name another with state_path.`,
    { cause: error },
  );
}

/** Keeps a damaged database as evidence and begins a new one that knows of it. */
function replaceDamaged(file: string, error: unknown, log: Logger): DatabaseSync {
  const evidence = `${file}.corrupt-${Date.now()}`;
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(file + suffix)) renameSync(file + suffix, evidence + suffix);
  }
  log.error(
    { file, evidence, error },
    'The remembered positions are damaged; they are kept aside and files are read again from their start',
  );
  const database = openAndCheck(file, false);
  database.prepare("INSERT INTO meta VALUES ('replaced', ?)").run(evidence);
  return database;
}

/** `wasThere`: the file existed, so that tables are expected in it. */
function openAndCheck(file: string, wasThere: boolean): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;');
    // sync() empties the journal every second; by itself it would sync in the middle of a write.
    database.exec(`PRAGMA wal_autocheckpoint=${AUTO_CHECKPOINT_PAGES}`);
    // The lock is only taken by the first read: take it now.
    database.exec('BEGIN EXCLUSIVE');
    const tables = database.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all();
    const empty = tables.length === 0;
    // Emptied, or its journal went before it ever came into the file: there were positions.
    if (empty && wasThere) throw Object.assign(new Error('it holds nothing'), { errcode: CORRUPT });
    if (empty) database.exec(SCHEMA);
    else if (!tables.some((table) => table['name'] === 'meta')) {
      if (TABLES.filter((name) => tables.some((table) => table['name'] === name)).length > 1) {
        throw Object.assign(new Error('a table is missing'), { errcode: CORRUPT });
      }
      throw new StateError(
        `Opening the positions in ${file}: it is a database of something else. Name another file; nothing was changed.`,
      );
    }
    const version = versionOf(database);
    if (version !== VERSION) {
      throw new StateError(
        `Opening the positions in ${file}: they have format ${version}, this version of tailrace knows ${VERSION}. Use the version that wrote them, or another state_path; nothing was changed.`,
      );
    }
    if (tables.some(({ sql }) => !SCHEMA.includes(String(sql)))) {
      throw Object.assign(new Error('its tables are not ours'), { errcode: CORRUPT });
    }
    database.exec('COMMIT');
    // The tables go into the file itself, so that a lost journal is no lost database.
    if (empty) database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    const check = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (check !== 'ok') throw Object.assign(new Error(String(check)), { errcode: CORRUPT });
  } catch (error) {
    database.close();
    throw error;
  }
  tellHolder(file);
  return database;
}

/** The format's number; throws as SQLite does for damage when it is not as anybody wrote it. */
function versionOf(database: DatabaseSync): number {
  const text = String(database.prepare("SELECT value FROM meta WHERE key = 'version'").get()?.['value']);
  const [, version, check] = /^(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (version === undefined || (check !== undefined && Number(check) !== checksum(version))) {
    throw Object.assign(new Error('its version is damaged'), { errcode: CORRUPT });
  }
  return Number(version);
}
