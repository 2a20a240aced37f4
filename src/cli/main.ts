/** The command line: only dispatches. What starts an agent is read here; all else, help included, is commander's (program.ts). */
import { enableLinearFallback } from '../parse/regex-engine.ts';
import { EXIT, UserError } from './exit.ts';
import { readRunOptions } from './run-options.ts';

/** Runs a command and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // Before the first regular expression: no pattern can hang the process from here on.
  enableLinearFallback();
  try {
    process.exitCode = await dispatch(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
  // What has to be written is written; timers and idle sockets must not hold the process.
  process.exit();
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const [command, ...rest] = withCommand(argv);
  if (command === 'run') {
    const options = readRunOptions(rest);
    if (options !== undefined) return (await import('./run.ts')).run(options);
  }
  return (await import('./program.ts')).runProgram(withCommand(argv));
}

/** `tailrace -c FILE` is `tailrace run -c FILE`, as with Fluent Bit. */
function withCommand(argv: readonly string[]): string[] {
  const [first = ''] = argv;
  const own = ['-h', '--help', '-V', '--version'];
  return first.startsWith('-') && !own.includes(first) ? ['run', ...argv] : [...argv];
}

/** Says what went wrong: a user's mistake in a sentence, a defect of ours with its stack. */
function report(error: unknown): number {
  const debug = process.argv.includes('--debug') || Boolean(process.env.TAILRACE_DEBUG);
  if (error instanceof UserError) {
    process.stderr.write(`tailrace: ${debug ? (error.stack ?? error.message) : error.message}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`tailrace: this is a defect, please report it.\n${text}\n`);
  return EXIT.defect;
}
