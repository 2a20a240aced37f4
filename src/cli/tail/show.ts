/** A recognised line as it is printed. */
import { levelOf } from '../../codec/levels.ts';
import type { Level } from '../../codec/levels.ts';
import { prettyLine } from '../../codec/pretty.ts';
import { escapeLine } from '../../codec/terminal.ts';
import { recordToJson } from '../../event/json.ts';
import type { LogRecord } from '../../event/record.ts';
import { textOf } from '../../record/text.ts';
import type { Recognised } from './recognise.ts';

export interface ShowOptions {
  json: boolean;
  color: boolean;
}

const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const COLORS: Readonly<Partial<Record<Level, string>>> = {
  trace: DIM,
  debug: DIM,
  warn: '\u001b[33m',
  error: '\u001b[31m',
  fatal: '\u001b[31m',
};
/** A level as plain texts say it: in capitals anywhere near the beginning, or in brackets. */
const LEVEL_WORD =
  /\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|FATAL|CRITICAL|PANIC)\b|\[(trace|debug|info|notice|warn|warning|error|fatal|crit|alert|emerg)\]/;

/** The line with its end. `prefix` names the file when several are shown; `now` is the time of lines without one. */
export function showLine(
  line: Recognised,
  prefix: string | undefined,
  options: ShowOptions,
  now: number,
): string {
  const { record, time = now } = line;
  if (options.json) return `${recordToJson(withFile(record, prefix))}\n`;
  if (line.kind === 'plain') return `${showPlain(textOf(record.log ?? ''), prefix, options)}\n`;
  let shown = record;
  if (line.timeKey !== undefined) {
    // It stands at the beginning of the line already.
    const { [line.timeKey]: _time, ...rest } = record;
    shown = rest;
  }
  const seconds = Math.floor(time / 1000);
  return `${prettyLine(shown, seconds, (time - seconds * 1000) * 1e6, { color: options.color, prefix })}\n`;
}

function withFile(record: LogRecord, prefix: string | undefined): LogRecord {
  return prefix === undefined || Object.hasOwn(record, 'file') ? record : { file: prefix, ...record };
}

function showPlain(text: string, prefix: string | undefined, { color }: ShowOptions): string {
  const word = LEVEL_WORD.exec(text.slice(0, 200));
  const level = levelOf(word?.[1] ?? word?.[2]);
  const paint = (code: string | undefined, part: string): string =>
    color && code !== undefined ? `${code}${part}${RESET}` : part;
  const body = paint(level && COLORS[level], escapeLine(text));
  return prefix === undefined ? body : `${paint(DIM, escapeLine(prefix))} ${body}`;
}
