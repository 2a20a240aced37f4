/**
 * Which outputs the last run had, with their plugins: what is on disk for one that is gone may go to one that is new, never to one that
 * was there beside it. `outputs.json` beside the segments: `{"version":1,"outputs":{"es":"elasticsearch"}}`.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'outputs.json';
const VERSION = 1;

/** Plugin by name in the state; undefined when nobody knows: then nothing is handed on. */
export function readKnownOutputs(directory: string): Map<string, string> | undefined {
  try {
    const { version, outputs } = JSON.parse(readFileSync(join(directory, NAME), 'utf8')) as {
      version?: unknown;
      outputs?: unknown;
    };
    if (version !== VERSION || typeof outputs !== 'object' || outputs === null) return undefined;
    return new Map(Object.entries(outputs).map(([name, plugin]) => [name, String(plugin)]));
  } catch {
    return undefined;
  }
}

/** Throws what the file system throws. */
export function writeKnownOutputs(directory: string, outputs: ReadonlyMap<string, string>): void {
  const file = join(directory, NAME);
  const text = `${JSON.stringify({ version: VERSION, outputs: Object.fromEntries(outputs) })}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
