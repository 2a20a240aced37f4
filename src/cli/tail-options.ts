/** The options of `tail`. */
import type { Command } from 'commander';
import { EXIT, UserError } from './exit.ts';

export interface TailOptions {
  where?: string;
  json?: boolean;
  /** Milliseconds since the epoch. */
  since?: number;
  follow: boolean;
  /** Last lines of each file that are shown first; undefined: as fits the rest. */
  lines?: number;
}

const EXAMPLES = `
Lines are recognised by themselves: JSON, logfmt, container runtime lines (CRI), and plain text.
When following, the last 10 lines of each file come first; with --no-follow or --since all of them.

Examples:
  tailrace tail /var/log/nginx/access.log
  tailrace tail '/var/log/containers/*.log' --where 'level == "error"'
  tailrace tail app.log --since 10m --no-follow --json | jq .msg
  kubectl logs -f my-pod | tailrace tail -

Conditions:
  level == "error" and status >= 500       msg =~ /time(d )?out/i
  service in ["web", "api"]                exists(error.stack) or not path =~ "^/health"`;

export function defineTail(
  command: Command,
  action: (paths: string[], options: TailOptions) => Promise<void>,
): void {
  command
    .description('Watches log files while developing: one coloured line per record.')
    .argument('<path...>', 'files or globs; - for the standard input')
    .option('--where <condition>', 'show only records for which it holds')
    .option('--json', 'print the records as JSON lines')
    .option(
      '--since <time>',
      'show only records from then on: 30s, 10m, 2h, 1d ago, or an ISO time',
      readSince,
    )
    .option('--no-follow', 'end when everything is shown')
    .option(
      '-n, --lines <number>',
      'show the last lines of each file first; all: from the beginning',
      readLines,
    )
    .addHelpText('after', EXAMPLES)
    .action(action);
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `10m` ago or an ISO 8601 time → milliseconds since the epoch. */
export function readSince(text: string, _before?: unknown, now = Date.now()): number {
  const ago = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text.trim());
  if (ago !== null) return now - Number(ago[1]) * (UNITS[ago[2] as string] as number);
  const time = /^\d{4}-\d\d-\d\d/.test(text.trim()) ? Date.parse(text.trim()) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new UserError(
    `--since: "${text}" is no time; write 30s, 10m, 2h, 1d, or 2026-03-14T09:26:53Z.`,
    EXIT.usage,
  );
}

function readLines(text: string): number {
  if (text === 'all') return Number.POSITIVE_INFINITY;
  if (/^\d+$/.test(text)) return Number(text);
  throw new UserError(`--lines: "${text}" is no number; write one, or all.`, EXIT.usage);
}
