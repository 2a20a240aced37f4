/** `tailrace dlq show`. */
import { once } from 'node:events';
import { prettyLine } from '../../codec/pretty.ts';
import { escapeForTerminal, escapeLine } from '../../codec/terminal.ts';
import type { StoredLetter } from '../../delivery/dead-letters/letter.ts';
import { lettersDirectory } from '../agent-folder.ts';
import { useColor } from '../color.ts';
import type { ShowOptions } from '../agent-options.ts';
import { EXIT } from '../exit.ts';
import type { ExitCode } from '../exit.ts';
import { countText } from '../status/units.ts';
import { letterFolders, linesOf } from './letters.ts';
import { readWhere } from './where.ts';

export async function show(output: string | undefined, options: ShowOptions): Promise<ExitCode> {
  const matches = readWhere(options.where);
  const { limit = Number.POSITIVE_INFINITY } = options;
  const directory = await lettersDirectory(options);
  const color = useColor(process.stdout);
  const printer = new Printer();
  let shown = 0;
  let unreadable = 0;
  for (const { path } of letterFolders(directory, output)) {
    for (const { letter, line } of linesOf(path)) {
      if (shown >= limit || printer.gone) break;
      if (letter === undefined) unreadable++;
      else if (matches(letter)) {
        shown++;
        await printer.print(options.json ? `${escapeForTerminal(line)}\n` : pretty(letter, color));
      }
    }
  }
  await printer.end();
  if (unreadable > 0) {
    process.stderr.write(
      `tailrace: ${countText(unreadable)} unreadable ${unreadable === 1 ? 'line was' : 'lines were'} skipped\n`,
    );
  }
  return EXIT.ok;
}

/** The record as `tailrace tail` shows it, and below it why it is here. */
function pretty(letter: StoredLetter, color: boolean): string {
  const { record, seconds, nanos, tag, output, status, reason, attempts, firstAttempt, lastAttempt } = letter;
  const tries = `${countText(attempts)} ${attempts === 1 ? 'attempt' : 'attempts'}`;
  const span = [...new Set([firstAttempt, lastAttempt])].filter((time) => time !== undefined).join(' to ');
  const why = [output, status, reason].filter((part) => part !== undefined).join(' · ');
  const about = escapeLine(`${why} · ${tries}${span === '' ? '' : `, ${span}`}`);
  return `${prettyLine(record, seconds, nanos, { color, prefix: tag })}\n    ${color ? `\u001b[2m${about}\u001b[0m` : about}\n`;
}

/** Standard output in pieces, at the pace of whoever reads it. */
class Printer {
  /** Nobody reads any more. */
  gone = false;
  private text = '';
  private readonly closed: Promise<unknown>;

  constructor() {
    this.closed = new Promise((resolve) => {
      process.stdout.once('error', resolve);
    }).then(() => {
      this.gone = true;
    });
  }

  async print(text: string): Promise<void> {
    this.text += text;
    if (this.text.length > 64 * 1024) await this.end();
  }

  async end(): Promise<void> {
    const { text } = this;
    this.text = '';
    if (text === '' || this.gone || process.stdout.write(text)) return;
    await Promise.race([once(process.stdout, 'drain').catch(() => undefined), this.closed]);
  }
}
