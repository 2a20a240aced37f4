/**
 * All commands with their help, by commander. Each command's work lies in a file of its own, loaded when it is called.
 */
import { Command, CommanderError } from 'commander';
import { defineDlq, defineStatus } from './agent-options.ts';
import { EXIT, EXIT_CODES_HELP, UserError } from './exit.ts';
import { defineRun } from './run-options.ts';
import { defineTail } from './tail-options.ts';
import { version } from './version.ts';

const EXAMPLES = `
Examples:
  tailrace run -c pipeline.yaml       run a pipeline (plain -c FILE does the same)
  tailrace check pipeline.yaml        show every mistake in it
  tailrace tail /var/log/*.log        watch log files
  tailrace status                     how a running agent does
  tailrace dlq ls                     records that a destination refused for good
  tailrace plugins tail               the options of a plugin`;

/** Runs the command that the arguments name; answers with its exit code. Throws UserError. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.ok;
  // Whoever reads our output may go (`| head`): nothing is lost by that.
  process.stdout.on('error', () => {});
  const program = define((value) => {
    code = value;
  });
  if (argv.length === 0) {
    process.stderr.write(program.helpInformation());
    return EXIT.usage;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version were asked for.
    if (error.exitCode === 0) return EXIT.ok;
    throw new UserError(`${error.message.replace(/^error: /, '')}\nSee: tailrace --help`, EXIT.usage);
  } finally {
    // The process ends at once after this, and a socket as standard output takes its bytes only later.
    await new Promise((resolve) => process.stdout.write('', resolve));
  }
  return code;
}

function define(done: (code: number) => void): Command {
  const program = new Command('tailrace')
    .description('A log pipeline agent: reads logs, parses and filters them, and delivers every record.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError()
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES_HELP}`)
    .exitOverride()
    .configureOutput({ outputError: () => {} });

  // Comes here only with a mistake that the first reader saw and commander did not.
  defineRun(program.command('run'), async (args) => {
    throw new UserError(
      `run takes no argument but options: ${args.join(' ')}\nSee: tailrace run --help`,
      EXIT.usage,
    );
  });

  program
    .command('check')
    .description(
      'Checks a configuration file and shows all its problems, each with file, line and suggestion.',
    )
    .argument('<file>', 'configuration file (YAML)')
    .option('--strict', 'fail on warnings too')
    .addHelpText(
      'after',
      '\nExamples:\n  tailrace check pipeline.yaml\n  tailrace check --strict pipeline.yaml\n',
    )
    .addHelpText(
      'after',
      'Exits with 0 when it can run, with 1 when it cannot (with --strict: also for a warning).',
    )
    .action(async (file: string, options: { strict?: boolean }) => {
      done(await (await import('./check.ts')).check(file, options));
    });

  defineTail(program.command('tail'), async (paths, options) =>
    done(await (await import('./tail.ts')).tail(paths, options)),
  );

  defineStatus(program.command('status'), async (options) =>
    done(await (await import('./status.ts')).status(options)),
  );

  defineDlq(program.command('dlq'), {
    ls: async (options) => done(await (await import('./dlq/ls.ts')).ls(options)),
    show: async (output, options) => done(await (await import('./dlq/show.ts')).show(output, options)),
    replay: async (output, options) => done(await (await import('./dlq/replay.ts')).replay(output, options)),
  });

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
  return program;
}
