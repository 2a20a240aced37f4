/**
 * The command line: only dispatches. Each command lies in a file of its own, loaded when it is called, so that a start pays for
 * nothing else.
 */
import { enableLinearFallback } from '../parse/regex-engine.ts';
import { EXIT, EXIT_CODES_HELP, UserError } from './exit.ts';
import { version } from './version.ts';

const EXAMPLES = `
Examples:
  tailrace run -c pipeline.yaml       run a pipeline (plain -c FILE does the same)
  tailrace check pipeline.yaml        show every mistake in it
  tailrace tail /var/log/*.log        watch log files
  tailrace plugins tail               the options of a plugin`;

/** Runs a command and ends the process with its exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  // Before the first regular expression: no pattern can hang the process from here on.
  enableLinearFallback();
  // Whoever reads our output may go (`| head`); an output plugin sees it as a failed delivery, a command has nothing to lose.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  try {
    process.exitCode = await dispatch(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
  // What has to be written is written; timers and idle sockets must not hold the process.
  process.exit();
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const { Command, CommanderError } = await import('commander');
  let code: number = EXIT.ok;
  const program = new Command('tailrace')
    .description('A log pipeline agent: reads logs, parses and filters them, and delivers every record.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError()
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES_HELP}`)
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const done = (value: number): void => {
    code = value;
  };

  const { defineRun } = await import('./run-options.ts');
  defineRun(program.command('run'), async (options) => done(await (await import('./run.ts')).run(options)));

  program
    .command('check')
    .description('Checks a configuration file and shows all its problems, each with file, line and suggestion.')
    .argument('<file>', 'configuration file (YAML)')
    .option('--strict', 'fail on warnings too')
    .addHelpText('after', '\nExamples:\n  tailrace check pipeline.yaml\n  tailrace check --strict pipeline.yaml\n')
    .addHelpText('after', 'Exits with 0 when it can run, with 1 when it cannot (with --strict: also for a warning).')
    .action(async (file: string, options: { strict?: boolean }) => {
      done(await (await import('./check.ts')).check(file, options));
    });

  const { defineTail } = await import('./tail-options.ts');
  defineTail(program.command('tail'), async (paths, options) =>
    done(await (await import('./tail.ts')).tail(paths, options)),
  );

  program
    .command('schema')
    .description('Prints the JSON Schema of the configuration, for editors.')
    .addHelpText(
      'after',
      '\nExample:\n  tailrace schema > tailrace.schema.json\n  # first line of a pipeline.yaml, for editors with the YAML language server:\n  # yaml-language-server: $schema=tailrace.schema.json',
    )
    .action(async () => done(await (await import('./schema.ts')).schema()));

  program
    .command('plugins')
    .description('Lists the plugins, or shows the options of one.')
    .argument('[name]', 'plugin name, as in a configuration')
    .addHelpText('after', '\nExamples:\n  tailrace plugins\n  tailrace plugins tail')
    .action(async (name?: string) => done(await (await import('./plugins.ts')).plugins(name)));

  if (argv.length === 0) {
    process.stderr.write(program.helpInformation());
    return EXIT.usage;
  }
  try {
    await program.parseAsync(withCommand(argv), { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version were asked for.
    if (error.exitCode === 0) return EXIT.ok;
    throw new UserError(`${sentence(error.message)}\nSee: tailrace --help`, EXIT.usage);
  }
  return code;
}

/** `tailrace -c FILE` is `tailrace run -c FILE`, as with Fluent Bit. */
function withCommand(argv: readonly string[]): string[] {
  const [first = ''] = argv;
  const own = ['-h', '--help', '-V', '--version'];
  return first.startsWith('-') && !own.includes(first) ? ['run', ...argv] : [...argv];
}

function sentence(message: string): string {
  return message.replace(/^error: /, '');
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
