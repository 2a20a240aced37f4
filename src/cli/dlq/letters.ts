/** Dead letters as the files hold them, read beside an agent that may be writing. */
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { readLetter } from '../../delivery/dead-letters/letter.ts';
import type { StoredLetter } from '../../delivery/dead-letters/letter.ts';
import { readLines } from '../../delivery/dead-letters/lines.ts';
import { folderOf, listFiles, listFolders } from '../../delivery/dead-letters/names.ts';
import { describeError } from '../../telemetry/safe.ts';
import { LETTERS_FOLDER } from '../agent-folder.ts';
import { EXIT, UserError } from '../exit.ts';

export interface ReadLine {
  /** Undefined for a line that is damaged, too long, or torn. */
  letter: StoredLetter | undefined;
  /** As it stands, without its end. */
  line: string;
  bytes: number;
}

/** Folders of dead letters in a state directory, all or that of one output. Throws UserError. */
export function letterFolders(directory: string, output?: string): { output: string; path: string }[] {
  const parent = join(directory, LETTERS_FOLDER);
  try {
    const folders = listFolders(parent).map((each) => ({ ...each, path: join(parent, each.folder) }));
    if (output === undefined) return folders;
    const found = folders.filter(({ folder }) => folder === folderOf(output));
    if (found.length > 0) return found;
    const known = folders.map((each) => each.output);
    throw new UserError(
      known.length === 0
        ? `There are no dead letters in ${directory}.`
        : `Output "${output}" has no dead letters. There are some of: ${known.join(', ')}.`,
      EXIT.config,
    );
  } catch (error) {
    throw readable(error);
  }
}

/** All lines of a folder, oldest first. A file that goes meanwhile (evicted, replayed) is passed over. Throws UserError. */
export function* linesOf(folder: string): Iterable<ReadLine> {
  try {
    for (const { name } of listFiles(folder).files) {
      const descriptor = open(join(folder, name));
      if (descriptor === undefined) continue;
      try {
        for (const { text, start, stop } of readLines(descriptor)) {
          const line = text ?? '';
          yield { line, letter: text === undefined ? undefined : readLetter(text), bytes: stop - start };
        }
      } finally {
        closeSync(descriptor);
      }
    }
  } catch (error) {
    throw readable(error);
  }
}

function open(file: string): number | undefined {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function readable(error: unknown): unknown {
  if (error instanceof UserError || (error as NodeJS.ErrnoException).code === undefined) return error;
  return new UserError(`The dead letters cannot be read: ${describeError(error)}.`, EXIT.config, {
    cause: error,
  });
}
