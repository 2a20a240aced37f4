/**
 * An output without a mark takes over that of a vanished one of the same plugin (DELIVERY.md, rule 7): a corrected host name or a new
 * alias loses no backlog. A vanished output that nobody takes over is reported, and holds nothing back.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from '../telemetry/log.ts';
import { checksum } from './damage.ts';

/** `outputs`: plugin by name in the state, of the outputs that are there now. */
export function takeOverMarks(
  database: DatabaseSync,
  outputs: ReadonlyMap<string, string>,
  log: Logger,
): Map<string, string> {
  const heirs = new Map<string, string>();
  const rows = database.prepare('SELECT DISTINCT output, plugin FROM marks').all();
  const known = new Map(rows.map((row) => [String(row['output']), String(row['plugin'])]));
  const newcomers = [...outputs].filter(([name]) => !known.has(name));
  for (const [vanished, plugin] of known) {
    if (outputs.has(vanished)) continue;
    const index = newcomers.findIndex(([, candidate]) => candidate === plugin);
    const heir = newcomers[index]?.[0];
    if (heir === undefined) {
      log.warn(
        { output: vanished },
        'An output of earlier runs is not there any more; what it had not got is not kept for it',
      );
      continue;
    }
    newcomers.splice(index, 1);
    rename(database, vanished, heir);
    heirs.set(vanished, heir);
    log.info({ output: heir, from: vanished }, 'The output goes on where the one of earlier runs stopped');
  }
  return heirs;
}

/**
 * Who takes over what other stores have for vanished outputs: as the positions went, else the first new output of the same plugin.
 *
 * `stored`, `present` and `known`, the outputs of the run before: plugin by name in the state; `renamed`: what {@link takeOverMarks}
 * did. Without `known` nobody is new.
 */
export function findHeirs(
  stored: ReadonlyMap<string, string>,
  present: ReadonlyMap<string, string>,
  renamed: ReadonlyMap<string, string>,
  known: ReadonlyMap<string, string> | undefined,
): Map<string, string> {
  const heirs = new Map<string, string>();
  const taken = new Set([...(known ?? present).keys(), ...stored.keys(), ...renamed.values()]);
  for (const [vanished, plugin] of stored) {
    if (present.has(vanished)) continue;
    const heir =
      renamed.get(vanished) ??
      [...present].find(([name, candidate]) => candidate === plugin && !taken.has(name))?.[0];
    if (heir === undefined) continue;
    taken.add(heir);
    heirs.set(vanished, heir);
  }
  return heirs;
}

function rename(database: DatabaseSync, from: string, to: string): void {
  const update = database.prepare(
    'UPDATE marks SET output = ?, checksum = ? WHERE source = ? AND output = ?',
  );
  database.exec('BEGIN');
  for (const row of database.prepare('SELECT * FROM marks WHERE output = ?').all(from)) {
    const source = String(row['source']);
    const check = checksum(source, to, String(row['plugin']), Number(row['mark']), String(row['settled']));
    update.run(to, check, source, from);
  }
  database.exec('COMMIT');
}
