/**
 * Damage within rows: SQLite sees a broken structure, not a changed digit in a position. Every row carries a checksum; a row that
 * does not fit is forgotten, which costs duplicates, never a line.
 */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { Logger } from '../telemetry/log.ts';

type Field = string | number;

/** The checksum of a row: of all its other columns, in their order. */
export function checksum(...fields: readonly Field[]): number {
  return crc32(fields.join('\0'));
}

const COLUMNS = {
  inputs: ['name'],
  sources: [
    'id',
    'input',
    'path',
    'real_path',
    'device',
    'inode',
    'fingerprint',
    'fingerprint_length',
    'position',
    'tail_hash',
    'size',
  ],
  marks: ['source', 'output', 'plugin', 'mark', 'settled'],
} as const;

type Row = Record<string, SQLOutputValue>;

function isWhole(row: Row, columns: readonly string[]): boolean {
  const fields = columns.map((column) => row[column]);
  return (
    fields.every((field) => typeof field === 'string' || typeof field === 'number') &&
    row['checksum'] === checksum(...(fields as Field[]))
  );
}

/**
 * Forgets the rows whose checksum does not fit and returns how many they were; a copy of all is kept as evidence. A damaged source is read
 * from its start. A damaged mark may be that of any source, so all marks go, and each source is read from its stored position.
 */
export function removeDamagedRows(database: DatabaseSync, file: string, log: Logger): number {
  const damaged = { inputs: 0, sources: 0, marks: 0 };
  for (const table of ['inputs', 'sources', 'marks'] as const) {
    for (const row of database.prepare(`SELECT * FROM ${table}`).all()) {
      if (isWhole(row, COLUMNS[table])) continue;
      damaged[table]++;
    }
  }
  const count = damaged.inputs + damaged.sources + damaged.marks;
  if (count === 0) return 0;
  const evidence = `${file}.corrupt-${Date.now()}`;
  let error: unknown;
  try {
    // Not by copying the file: closing a copy of its descriptor would give up the lock that SQLite holds on it.
    database.prepare('VACUUM INTO ?').run(evidence);
  } catch (problem) {
    // A full disk must not keep the agent from starting.
    error = problem;
  }
  log.error(
    { file, evidence, rows: count, ...(error === undefined ? {} : { error }) },
    'Some remembered positions are damaged; a copy is kept aside and their files are read again',
  );
  database.exec('BEGIN');
  if (damaged.marks > 0 || damaged.sources > 0) database.exec('DELETE FROM marks');
  if (damaged.inputs > 0) rewrite(database, 'inputs');
  if (damaged.sources > 0) rewrite(database, 'sources');
  // Nothing may be skipped on account of what is not known any more.
  database.prepare("INSERT OR REPLACE INTO meta VALUES ('replaced', ?)").run(evidence);
  database.exec('COMMIT');
  return count;
}

/** Empties a table and puts its whole rows back: a damaged key may lie where no search finds it. */
function rewrite(database: DatabaseSync, table: 'inputs' | 'sources'): void {
  const columns = COLUMNS[table];
  const whole = database
    .prepare(`SELECT * FROM ${table}`)
    .all()
    .filter((row) => isWhole(row, columns));
  database.exec(`DELETE FROM ${table}`);
  const names = [...columns, 'checksum'];
  const insert = database.prepare(
    `INSERT OR REPLACE INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
  );
  for (const row of whole) insert.run(...names.map((name) => row[name] ?? null));
}
