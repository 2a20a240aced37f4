/** Who holds a lock: said in a file beside it, for the message of whoever finds it taken. */
import { readFileSync, writeFileSync } from 'node:fs';

/** SQLite's code for a file that another process has locked. */
export const BUSY = 5;

/** Another agent holds the state, or the disk buffer. */
export class StateLockedError extends Error {
  override name = 'StateLockedError';
  /** Its process id, if it said so. */
  readonly pid: number | undefined;

  /** `what` is in the file: `positions`. */
  constructor(file: string, what: 'positions' | 'disk buffer', pid: number | undefined) {
    const holder = pid === undefined ? 'another process' : `process ${pid}`;
    const [them, key] = what === 'positions' ? ['them', 'state_path (or db)'] : ['it', 'storage.path'];
    super(
      `Opening the ${what} in ${file}: ${holder} holds ${them}. Two agents must not share ${them}: stop it, or give this one a ${key} of its own.`,
    );
    this.pid = pid;
  }
}

/** SQLite's result code of an error, 0 if it is none of SQLite's. The lower byte is the primary code. */
export function codeOf(error: unknown): number {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : 0;
}

/** Leaves our process id for whoever finds the lock taken. */
export function tellHolder(file: string): void {
  try {
    writeFileSync(`${file}.holder`, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // A full disk: then the message of the second agent does not name us.
  }
}

export function holderOf(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(`${file}.holder`, 'utf8'), 10);
    return Number.isInteger(pid) ? pid : undefined;
  } catch {
    return undefined;
  }
}
