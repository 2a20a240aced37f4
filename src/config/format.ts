/**
 * A problem as it is shown to a person:
 *
 *     bad.yaml:8:7: error: pipeline.inputs[0].read_from_hed: unknown key — did you mean "read_from_head"?
 *         8 |       read_from_hed: on
 *           |       ^
 */
import type { Problem, ProblemLevel } from './problem.ts';

/** What a terminal would obey instead of showing it. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Longest part of a line that is shown. */
const MAX_SHOWN = 120;

const COLORS: Readonly<Record<ProblemLevel, string>> = {
  error: '\u001b[31m',
  warning: '\u001b[33m',
  info: '\u001b[36m',
};
const BOLD = '\u001b[1m';
const RESET = '\u001b[0m';

export interface FormatOptions {
  color?: boolean;
}

/** The problem in one line, with its source line and a caret below if it has a place. No line end. */
export function formatProblem(
  { level, position, path, message, source }: Problem,
  { color = false }: FormatOptions = {},
): string {
  const paint = (text: string, code: string): string => (color ? `${code}${text}${RESET}` : text);
  const where =
    position === undefined
      ? ''
      : `${paint(clean(`${position.file}:${position.line}:${position.column}:`), BOLD)} `;
  const head = `${where}${paint(`${level}:`, COLORS[level])} ${clean(path === '' ? message : `${path}: ${message}`)}`;
  if (position === undefined || source === undefined) return head;
  const { line, column } = position;
  // A long line is shown from a little before the mistake on.
  const start = column > MAX_SHOWN - 20 ? column - 40 : 0;
  const end = start + MAX_SHOWN;
  const shown = `${start > 0 ? '…' : ''}${clean(source.slice(start, end))}${source.length > end ? '…' : ''}`;
  const before = `${start > 0 ? ' ' : ''}${source.slice(start, column - 1).replace(/[^\t]/g, ' ')}`;
  const number = String(line).padStart(5);
  return `${head}\n${number} | ${shown}\n${' '.repeat(number.length)} | ${before}${paint('^', COLORS[level])}`;
}

/** One character for one, so that the caret stays in its place. */
function clean(text: string): string {
  return text.replace(CONTROL, '\ufffd');
}
