/** The status of an agent as text for people. */
import { escapeLine } from '../../codec/terminal.ts';
import type { Drops } from '../../pipeline/counts.ts';
import type { AgentStatus, InputStatus, OutputStatus } from '../../pipeline/status.ts';
import { bytesText, countText, durationText } from './units.ts';

export interface FormatOptions {
  color: boolean;
}

const RESET = '\u001b[0m';
const STYLES = { good: '\u001b[32m', bad: '\u001b[31m', dim: '\u001b[2m', strong: '\u001b[1m' } as const;
const LABEL_WIDTH = 14;

type Paint = (style: keyof typeof STYLES, text: string) => string;

/** The text with its last line end. What came from logs and configurations is escaped. */
export function formatStatus(status: AgentStatus, { color }: FormatOptions): string {
  const paint: Paint = (style, text) => (color ? `${STYLES[style]}${text}${RESET}` : text);
  const head = status.ready ? paint('good', 'ready') : paint('bad', 'not ready');
  const lines = [
    `tailrace ${escapeLine(status.version)} (pid ${status.pid}), up ${durationText(status.uptime_seconds)}: ${head}`,
    ...status.reasons.map((reason) => `  ${paint('bad', escapeLine(reason))}`),
    row('memory', `${bytesText(status.memory_used)} of ${bytesText(status.memory_limit)}`),
  ];
  if (status.reloads > 0) lines.push(row('reloads', countText(status.reloads)));
  for (const input of status.inputs) lines.push('', ...inputLines(input, paint));
  for (const output of status.outputs) lines.push('', ...outputLines(output, paint));
  return `${lines.join('\n')}\n`;
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${text}`;
}

function title(kind: string, { name, plugin, running }: InputStatus | OutputStatus, paint: Paint): string {
  const what = running ? plugin : [plugin, 'not in the configuration'].filter(Boolean).join(', ');
  return `${kind} ${paint('strong', escapeLine(name))}${what === '' ? '' : ` (${escapeLine(what)})`}`;
}

function inputLines(input: InputStatus, paint: Paint): string[] {
  const { records, buffered_bytes: buffered, paused_seconds: paused, lag_bytes: lag, lagging = [] } = input;
  const { read, recovered, created, routed, joined, dropped, skipped, held, difference } = records;
  const lines = [
    title('input', input, paint),
    row('read', countText(read)),
    row('routed', countText(routed)),
    ...dropLines(dropped),
    row('held', `${countText(held)} by filters`),
    row('buffered', bytesText(buffered)),
  ];
  if (paused !== undefined) lines.push(row('paused', paint('bad', `for ${durationText(paused)}: no room`)));
  if (lag !== undefined) lines.push(row('file lag', bytesText(lag)));
  for (const { file, bytes } of lagging) lines.push(row('', `${bytesText(bytes)}  ${escapeLine(file)}`));
  const equation = `${sum({ read, recovered, created })} = ${sum({ routed, joined, dropped: total(dropped), skipped, held })}`;
  lines.push(row('ledger', balance(equation, difference, paint)));
  return lines;
}

function outputLines(output: OutputStatus, paint: Paint): string[] {
  const { records } = output;
  const { enqueued, recovered, delivered, dropped, dead_lettered, handed_over, buffered, difference } =
    records;
  const waiting = `${countText(buffered - output.disk_records)} records, ${bytesText(output.buffered_bytes)} in memory`;
  const onDisk = `${countText(output.disk_records)} records, ${bytesText(output.disk_bytes)} on disk`;
  const lines = [
    title('output', output, paint),
    row('enqueued', countText(enqueued)),
    row('delivered', countText(delivered)),
    row(
      'dead letters',
      `${countText(dead_lettered)}; kept: ${countText(output.dead_letters)}, ${bytesText(output.dead_letters_bytes)}`,
    ),
    ...dropLines(dropped),
    row('buffered', `${waiting}; ${onDisk}`),
  ];
  if (output.objects !== undefined) lines.push(row('objects', objectsText(output.objects)));
  if (output.oldest_seconds !== undefined)
    lines.push(row('oldest', `${durationText(output.oldest_seconds)} old`));
  if (output.failures > 0) lines.push(row('failing', paint('bad', failure(output))));
  if (output.last_error !== undefined) lines.push(row('last error', escapeLine(output.last_error)));
  const right = sum({ delivered, dropped: total(dropped), dead_lettered, handed_over, buffered });
  lines.push(row('ledger', balance(`${sum({ enqueued, recovered })} = ${right}`, difference, paint)));
  return lines;
}

function objectsText({ open, open_records: records, closed }: NonNullable<OutputStatus['objects']>): string {
  return `${countText(open)} open with ${countText(records)} records; ${countText(closed)} to be sent`;
}

function failure({ failures, failing_seconds: seconds, next_attempt_seconds: next }: OutputStatus): string {
  const since = seconds === undefined ? '' : ` in ${durationText(seconds)}`;
  const soon = next === undefined ? '' : `; next attempt in ${durationText(next)}`;
  return `${countText(failures)} ${failures === 1 ? 'time' : 'times'} in a row${since}${soon}`;
}

function dropLines(dropped: readonly Drops[]): string[] {
  return dropped.map(({ reason, records }) => row('dropped', `${countText(records)} ${escapeLine(reason)}`));
}

function total(drops: readonly Drops[]): number {
  return drops.reduce((all, { records }) => all + records, 0);
}

/** `read 5 + created 1`; terms that are 0 are left out behind the first. */
function sum(terms: Readonly<Record<string, number>>): string {
  return Object.entries(terms)
    .filter(([, value], index) => index === 0 || value !== 0)
    .map(([name, value]) => `${name} ${countText(value)}`)
    .join(' + ');
}

function balance(equation: string, difference: number, paint: Paint): string {
  const text = `difference ${countText(difference)}`;
  return `${equation}  ${difference === 0 ? paint('dim', text) : paint('bad', text)}`;
}
