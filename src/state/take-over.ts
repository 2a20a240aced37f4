/**
 * An output without a mark takes over that of a vanished one of the same plugin (DELIVERY.md, rule 7): a corrected host name or a new
 * alias loses no backlog. A vanished output that nobody takes over is reported, and holds nothing back.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Logger } from '../telemetry/log.ts';

/** `outputs`: plugin by name in the state, of the outputs that are there now. */
export function takeOverMarks(database: DatabaseSync, outputs: ReadonlyMap<string, string>, log: Logger): void {
  const rows = database.prepare('SELECT DISTINCT output, plugin FROM marks').all();
  const known = new Map(rows.map((row) => [String(row['output']), String(row['plugin'])]));
  const newcomers = [...outputs].filter(([name]) => !known.has(name));
  for (const [vanished, plugin] of known) {
    if (outputs.has(vanished)) continue;
    const index = newcomers.findIndex(([, candidate]) => candidate === plugin);
    const heir = newcomers[index]?.[0];
    if (heir === undefined) {
      log.warn({ output: vanished }, 'An output of earlier runs is not there any more; what it had not got is not kept for it');
      continue;
    }
    newcomers.splice(index, 1);
    database.prepare('UPDATE marks SET output = ? WHERE output = ?').run(heir, vanished);
    log.info({ output: heir, from: vanished }, 'The output goes on where the one of earlier runs stopped');
  }
}
