/**
 * Where dead letters lie: `<output>/<unix ms>-<n>.ndjson`, the folder named after the output. `n` counts on, and is the order of the files:
 * clocks go backwards. The milliseconds say how old the first letter is.
 */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';

/** File systems take 255 bytes. */
const MAX_NAME = 200;
const FILE = /^(\d{1,16})-(\d{1,15})\.ndjson$/;
/** What a rewrite that was cut short left behind. */
const UNFINISHED = /^\d{1,16}-\d{1,15}\.ndjson\.tmp$/;

export interface LetterFile {
  name: string;
  /** Unix milliseconds of its first letter. */
  since: number;
  /** Order among the files of the output. */
  sequence: number;
}

/** The folder of an output's letters. Never leaves its parent, whatever the output is called. */
export function folderOf(output: string): string {
  // Dots are left alone by the encoding, and `..` is a place.
  const encoded = encodeURIComponent(output).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length));
  if (encoded.length <= MAX_NAME) return encoded;
  return `${encoded.slice(0, MAX_NAME - 20)}~${createHash('sha256').update(output).digest('hex').slice(0, 16)}`;
}

/** The output of a folder, as far as its name says. */
export function outputOf(folder: string): string {
  try {
    return decodeURIComponent(folder);
  } catch {
    return folder;
  }
}

export function fileName(since: number, sequence: number): string {
  return `${since}-${sequence}.ndjson`;
}

/** The files of a folder, oldest first, and leftovers of rewrites. Throws what reading the folder throws. */
export function listFiles(folder: string): { files: LetterFile[]; unfinished: string[] } {
  const files: LetterFile[] = [];
  const unfinished: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isFile()) continue;
    if (UNFINISHED.test(entry.name)) unfinished.push(entry.name);
    const [, since, sequence] = FILE.exec(entry.name) ?? [];
    if (since === undefined) continue;
    files.push({ name: entry.name, since: Number(since), sequence: Number(sequence) });
  }
  return { files: files.toSorted((a, b) => a.sequence - b.sequence || a.since - b.since), unfinished };
}

/** The folders with letters, by output. Empty when there are none. */
export function listFolders(directory: string): { folder: string; output: string }[] {
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ folder: name, output: outputOf(name) }))
    .toSorted((a, b) => (a.output < b.output ? -1 : 1));
}
