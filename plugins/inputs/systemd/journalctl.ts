/** journalctl as a child process: its command line, one that follows the journal, and short ones that look at single entries. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { EntryMaker } from './entry.ts';
import { ExportReader } from './export-reader.ts';

export interface JournalPlace {
  /** The program. */
  command: string;
  /** Directory with journal files; absent: the journal of this machine. */
  directory: string | undefined;
  namespace: string | undefined;
  /** As arguments: `FIELD=value` and `+`. */
  matches: readonly string[];
}

/** What a look is after. */
export interface Look {
  count: number;
  /** Cursor to begin at; absent: the last entries. */
  from?: string | undefined;
  /** Only entries that match; else any. */
  matching?: boolean;
  /** Ends it. */
  signal: AbortSignal;
}

export type JournalProcess = ChildProcessByStdio<null, Readable, Readable>;

/** What one that looks may take. Milliseconds. */
const LOOK_MS = 30_000;
/** Of what it says on its error output. Characters. */
const SAID = 2000;
/** A look wants cursors, not values. */
const SMALL = { maxFields: 0, lowercase: false, stripUnderscores: false, binary: 'text' } as const;

/**
 * Without `--merge`, `--follow` shows the latest boot only and ends on an empty directory. `--quiet` is not there, for with it nothing is
 * said of files that may not be opened.
 */
function where({ directory, namespace }: JournalPlace): string[] {
  return [
    '--no-pager',
    '--output=export',
    '--merge',
    ...(directory === undefined ? [] : [`--directory=${directory}`]),
    ...(namespace === undefined ? [] : [`--namespace=${namespace}`]),
  ];
}

/** Follows the journal from an entry on (it comes first, if it is still there), or from its head. */
export function follow(place: JournalPlace, cursor: string | undefined): JournalProcess {
  return run(place, [
    ...where(place),
    '--follow',
    '--no-tail',
    ...(cursor === undefined ? [] : [`--cursor=${cursor}`]),
    ...place.matches,
  ]);
}

/** Its environment is bare: what the agent's holds (credentials) is none of its business. */
function run({ command }: JournalPlace, args: readonly string[]): JournalProcess {
  return spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C', SYSTEMD_COLORS: '0' },
    // A process group of its own: Ctrl-C is for the agent, which ends it.
    detached: true,
  });
}

/** Collects what a process says on its error output, up to a limit. */
export function listen(child: JournalProcess): () => string {
  let said = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    if (said.length < SAID) said = (said + text).slice(0, SAID);
  });
  return () => said.trim();
}

/** The version that journalctl says. Rejects when it cannot be run. */
export async function version(place: JournalPlace): Promise<string> {
  const child = run(place, ['--version']);
  let text = '';
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString('latin1', 0, 200)));
  await ended(child);
  return text.split('\n', 1)[0] ?? '';
}

/** Cursors of entries. Rejects with what journalctl says when it cannot tell. */
export async function look(
  place: JournalPlace,
  { count, from, matching = false, signal }: Look,
): Promise<string[]> {
  const cursors: string[] = [];
  const maker = new EntryMaker(SMALL, ({ cursor }) => cursors.push(cursor));
  const reader = new ExportReader(maker, 1024);
  const child = run(place, [
    ...where(place),
    `--lines=${count}`,
    ...(from === undefined ? [] : [`--cursor=${from}`]),
    ...(matching ? place.matches : []),
  ]);
  let failure: unknown;
  child.stdout.on('data', (piece: Buffer) => {
    try {
      reader.push(piece);
    } catch (error) {
      failure ??= error;
      child.kill('SIGKILL');
    }
  });
  const kill = (): boolean => child.kill('SIGKILL');
  signal.addEventListener('abort', kill);
  try {
    await ended(child);
  } catch (error) {
    throw failure ?? error;
  } finally {
    signal.removeEventListener('abort', kill);
  }
  return cursors.slice(0, count);
}

/** What journalctl says, with what to do about it where it does not say that. */
export function advised(said: string): string {
  if (!/insufficient permissions/.test(said)) return said;
  return `${said} Give the user of the agent the group systemd-journal, or the capability CAP_DAC_READ_SEARCH`;
}

/** Resolves when a process has ended well. */
async function ended(child: JournalProcess): Promise<void> {
  const said = listen(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), LOOK_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(advised(said()) || `journalctl ended with ${signal ?? `code ${code}`}`));
      });
    });
  } finally {
    clearTimeout(timer);
  }
}
