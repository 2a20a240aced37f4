/**
 * exec: runs a command and takes the lines that it writes.
 *
 * As in Fluent Bit it is run by `sh -c`. Its text comes from the configuration alone: nothing of a record is ever part of it.
 */
import { boolean, defineInput, integer, size, string, time } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { ExecInput } from './exec/input.ts';

/** A record must have room for any character. Bytes. */
const SMALLEST_BUFFER = 8;
const LARGEST_BUFFER = 64_000_000;
/** A timer of Node.js cannot wait longer. Seconds. */
const LONGEST_INTERVAL = 2_147_483;

export default defineInput({
  name: 'exec',
  summary: 'Runs a command and takes the lines that it writes',
  options: {
    command: string().describe('The command, for `sh -c`.'),
    parser: string()
      .optional()
      .describe(
        'Name of the parser that each line goes through. Lines that it does not take are kept under the key `exec`, where Fluent Bit drops them.',
      ),
    interval_sec: integer({ max: LONGEST_INTERVAL })
      .default(1)
      .describe(
        'Seconds between the beginnings of two runs, and before the first; with interval_nsec. While one run lasts no other is begun: those left out are counted (`tailrace_input_runs_skipped_total`).',
      ),
    interval_nsec: integer({ max: 1_000_000_000_000 })
      .default(0)
      .describe('Nanoseconds to add to interval_sec.'),
    timeout: time()
      .default(0)
      .describe('Time after which a run is ended, with all that it started; 0: as long as it takes.'),
    buf_size: size()
      .default('4096')
      .describe(
        'Longest record, bytes, and one. A longer line comes in several records, of which all but the last are flagged with `partial` in their metadata; they are counted.',
      ),
    oneshot: boolean().default(false).describe('Runs the command once, at the start.'),
    exit_after_oneshot: boolean()
      .default(false)
      .describe('The agent ends when the command has ended and all is delivered; implies oneshot.'),
    propagate_exit_code: boolean()
      .default(false)
      .describe(
        'The agent ends with the exit code of the command (128 and its number for a signal); with exit_after_oneshot.',
      ),
  },
  parserOptions: ['parser'],
  example: `pipeline:
  inputs:
    - name: exec
      tag: df
      command: df --output=target,pcent / | tail -n +2
      interval_sec: 60
      timeout: 10s
`,
  check(options) {
    const problems: OptionProblem[] = [];
    if (options.command.trim() === '')
      problems.push({ key: 'command', message: 'is empty: write what is to be run' });
    if (options.propagate_exit_code && !options.exit_after_oneshot)
      problems.push({
        key: 'propagate_exit_code',
        message: 'needs exit_after_oneshot: without it the agent does not end with the command',
      });
    if (options.buf_size < SMALLEST_BUFFER || options.buf_size > LARGEST_BUFFER)
      problems.push({
        key: 'buf_size',
        message: `must be from ${SMALLEST_BUFFER} bytes to ${LARGEST_BUFFER / 1e6}M`,
      });
    if (options.timeout > LONGEST_INTERVAL)
      problems.push({ key: 'timeout', message: `must be ${LONGEST_INTERVAL}s at most` });
    return problems;
  },
  create(options, context) {
    const { parser, oneshot, exit_after_oneshot: exits } = options;
    return new ExecInput(
      {
        command: options.command,
        intervalMs: oneshot || exits ? undefined : intervalOf(options.interval_sec, options.interval_nsec),
        timeoutMs: options.timeout * 1000,
        // One byte of its buffer is the end of the text.
        maxBytes: options.buf_size - 1,
        parser: parser === undefined ? undefined : context.parser(parser),
        exits,
        propagates: options.propagate_exit_code,
      },
      context,
    );
  },
});

/** Milliseconds between two runs. What is no interval is a second, as in Fluent Bit. */
function intervalOf(seconds: number, nanos: number): number {
  if (seconds <= 0 && nanos <= 0) return 1000;
  return Math.min(Math.max(seconds, 0) * 1000 + Math.max(nanos, 0) / 1e6, LONGEST_INTERVAL * 1000);
}
