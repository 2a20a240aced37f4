/** `tailrace dlq ls`. */
import { escapeLine } from '../../codec/terminal.ts';
import { lettersDirectory } from '../agent-folder.ts';
import type { ListOptions } from '../agent-options.ts';
import { EXIT } from '../exit.ts';
import type { ExitCode } from '../exit.ts';
import { bytesText, columns, countText } from '../status/units.ts';
import { letterFolders, linesOf } from './letters.ts';

/** Reasons of an output that are shown. */
const TOP = 3;
/** Different reasons that are counted: destinations write data into them. */
const MAX_REASONS = 1000;
const REASON_LENGTH = 80;

interface Summary {
  output: string;
  letters: number;
  bytes: number;
  /** When the first and the last of them died, as written. */
  oldest: string | undefined;
  newest: string | undefined;
  reasons: { status?: number; reason: string; letters: number }[];
  unreadable: number;
}

export async function ls(options: ListOptions): Promise<ExitCode> {
  const directory = await lettersDirectory(options);
  const all = letterFolders(directory)
    .map(({ output, path }) => summarize(output, path))
    .filter(({ letters, unreadable }) => letters + unreadable > 0);
  if (options.json) process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
  else process.stdout.write(all.length === 0 ? 'There are no dead letters.\n' : format(all));
  return EXIT.ok;
}

function summarize(output: string, folder: string): Summary {
  const summary: Summary = {
    output,
    letters: 0,
    bytes: 0,
    oldest: undefined,
    newest: undefined,
    reasons: [],
    unreadable: 0,
  };
  const reasons = new Map<string, Summary['reasons'][number]>();
  for (const { letter, bytes } of linesOf(folder)) {
    summary.bytes += bytes;
    if (letter === undefined) {
      summary.unreadable++;
      continue;
    }
    summary.letters++;
    const { status, lastAttempt } = letter;
    summary.oldest ??= lastAttempt;
    summary.newest = lastAttempt ?? summary.newest;
    const reason =
      letter.reason.length > REASON_LENGTH ? `${letter.reason.slice(0, REASON_LENGTH)}…` : letter.reason;
    const key = `${status ?? ''} ${reason}`;
    const known = reasons.get(key);
    if (known !== undefined) known.letters++;
    else if (reasons.size < MAX_REASONS) {
      reasons.set(key, { ...(status !== undefined && { status }), reason, letters: 1 });
    }
  }
  summary.reasons = [...reasons.values()].toSorted((a, b) => b.letters - a.letters).slice(0, TOP);
  return summary;
}

function format(all: readonly Summary[]): string {
  const rows = [
    ['output', 'letters', 'bytes', 'oldest', 'newest'],
    ...all.map(({ output, letters, bytes, oldest, newest }) => [
      escapeLine(output),
      countText(letters),
      bytesText(bytes),
      escapeLine(oldest ?? '-'),
      escapeLine(newest ?? '-'),
    ]),
  ];
  const [head = '', ...lines] = columns(rows, [1, 2]);
  let text = `${head}\n`;
  all.forEach(({ reasons, unreadable }, index) => {
    text += `${lines[index] ?? ''}\n`;
    for (const { status, reason, letters } of reasons) {
      text += `    ${countText(letters)}× ${escapeLine([status, reason].filter((part) => part !== undefined).join(' '))}\n`;
    }
    if (unreadable > 0)
      text += `    ${countText(unreadable)} unreadable ${unreadable === 1 ? 'line' : 'lines'}\n`;
  });
  return text;
}
