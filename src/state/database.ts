/**
 * The SQLite file that remembers positions: opened with an exclusive lock that ends with the process, so that two agents never
 * share it; a damaged file is kept as evidence and a new one begun; a newer format is refused untouched.
 *
 *   meta(key, value)                         version
 *   inputs(name)                             inputs that have state, whether or not they have a source
 *   sources(id, input, path, device, inode, fingerprint, fingerprint_length, position, tail_hash, size)
 *   marks(source, output, plugin, mark, settled)     how far an output has a source; settled: JSON ranges beyond the mark
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Logger } from '../telemetry/log.ts';

const VERSION = 1;
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE inputs (name TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE sources (
    id TEXT PRIMARY KEY,
    input TEXT NOT NULL,
    path TEXT NOT NULL,
    device TEXT NOT NULL,
    inode TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    fingerprint_length INTEGER NOT NULL,
    position INTEGER NOT NULL,
    tail_hash TEXT NOT NULL,
    size INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE marks (
    source TEXT NOT NULL,
    output TEXT NOT NULL,
    plugin TEXT NOT NULL,
    mark INTEGER NOT NULL,
    settled TEXT NOT NULL,
    PRIMARY KEY (source, output)
  ) WITHOUT ROWID;
  INSERT INTO meta VALUES ('version', '${VERSION}');
`;

/** Another agent holds the state. */
export class StateLockedError extends Error {
  override name = 'StateLockedError';
  /** Its process id, if it said so. */
  readonly pid: number | undefined;

  constructor(file: string, pid: number | undefined) {
    const holder = pid === undefined ? 'another process' : `process ${pid}`;
    super(
      `Opening the positions in ${file}: ${holder} holds them. Two agents must not share positions: stop it, or give this one a state_path (or db) of its own.`,
    );
    this.pid = pid;
  }
}

/** The state was written by a newer version, or cannot be opened. */
export class StateError extends Error {
  override name = 'StateError';
}

/** SQLite's result code of an error, 0 if it is none of SQLite's. The lower byte is the primary code. */
function codeOf(error: unknown): number {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

/** Opens or makes the database. Throws StateLockedError or StateError. */
export function openDatabase(file: string, log: Logger): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    return openAndCheck(file);
  } catch (error) {
    const code = codeOf(error);
    if (code === BUSY) throw new StateLockedError(file, holderOf(file));
    if (error instanceof StateError) throw error;
    if (code !== CORRUPT && code !== NOT_A_DATABASE) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new StateError(`Opening the positions in ${file}: ${reason}.`, { cause: error });
    }
    const evidence = `${file}.corrupt-${Date.now()}`;
    for (const suffix of ['', '-wal', '-shm']) {
      if (existsSync(file + suffix)) renameSync(file + suffix, evidence + suffix);
    }
    log.error(
      { file, evidence, error },
      'The remembered positions are damaged; they are kept aside and files are read again from their start',
    );
    const database = openAndCheck(file);
    database.prepare("INSERT INTO meta VALUES ('replaced', ?)").run(evidence);
    return database;
  }
}

function openAndCheck(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;');
    // The lock is only taken by the first read: take it now.
    database.exec('BEGIN EXCLUSIVE');
    const tables = database.prepare("SELECT count(*) AS n FROM sqlite_master WHERE name = 'meta'").get();
    if (Number(tables?.['n']) === 0) database.exec(SCHEMA);
    const version = Number(
      database.prepare("SELECT value FROM meta WHERE key = 'version'").get()?.['value'],
    );
    if (version !== VERSION) {
      throw new StateError(
        `Opening the positions in ${file}: they have format ${version}, this version of tailrace knows ${VERSION}. Use the version that wrote them, or another state_path; nothing was changed.`,
      );
    }
    database.exec('COMMIT');
    const check = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    if (check !== 'ok') throw Object.assign(new Error(String(check)), { errcode: CORRUPT });
  } catch (error) {
    database.close();
    throw error;
  }
  writeFileSync(`${file}.holder`, `${process.pid}\n`, { mode: 0o600 });
  return database;
}

function holderOf(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(`${file}.holder`, 'utf8'), 10);
    return Number.isInteger(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}
