/** How a line of the agent's own log looks on a terminal: `12:30:05 warn  tail.0  Cannot read the file  file=/var/log/x`. */
import { escapeLine } from '../codec/terminal.ts';

const RESET = '\u001b[0m';
const DIM = '\u001b[2m';
const COLORS: Readonly<Record<string, string>> = {
  error: '\u001b[31m',
  warn: '\u001b[33m',
  info: '\u001b[36m',
  debug: DIM,
};

interface ParsedLine {
  level: string;
  time: string;
  name?: unknown;
  msg?: unknown;
  [field: string]: unknown;
}

/** Formats one JSON line of the log for people; ends in a line feed. */
export function formatLogLine(json: string, color: boolean): string {
  const { level, time, name, msg, ...fields } = JSON.parse(json) as ParsedLine;
  const paint = (code: string | undefined, text: string): string =>
    color && code !== undefined ? `${code}${text}${RESET}` : text;

  let line = `${paint(DIM, localTime(time))} ${paint(COLORS[level], level.padEnd(5))} `;
  if (typeof name === 'string') line += `${paint(DIM, escapeLine(name))}  `;
  if (typeof msg === 'string') line += escapeLine(msg);
  for (const [key, value] of Object.entries(fields)) {
    line += `  ${paint(DIM, `${escapeLine(key)}=`)}${showValue(value)}`;
  }
  return `${line}\n`;
}

function localTime(time: string): string {
  const date = new Date(time);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

function showValue(value: unknown): string {
  if (typeof value !== 'string') return escapeLine(JSON.stringify(value) ?? String(value));
  const text = escapeLine(value);
  return text === '' || /[\s"=]/.test(text) ? `"${text.replaceAll('"', '\\"')}"` : text;
}
