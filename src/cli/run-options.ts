/** The options of `run`: our own, Fluent Bit's where they make sense, and a sentence for those that do not. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { EXIT, EXIT_CODES_HELP, UserError } from './exit.ts';

export interface RunOptions {
  config?: string;
  /** Directory, or `off`. */
  statePath?: string;
  dryRun?: boolean;
  quiet?: boolean;
  /** How often `-v` was given. */
  verbose?: number;
  logFile?: string;
  http?: boolean;
  listen?: string;
  port?: number;
  flush?: number;
  workdir?: string;
  enableHotReload?: boolean;
  debug?: boolean;
}

const PIPELINE = 'A pipeline is written into a file: tailrace run -c FILE.';

/** Options of Fluent Bit that we refuse, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  '-i, --input <plugin>': PIPELINE,
  '-o, --output <plugin>': PIPELINE,
  '-F, --filter <plugin>': PIPELINE,
  '-p, --prop <a=b>': PIPELINE,
  '-t, --tag <tag>': PIPELINE,
  '-m, --match <match>': PIPELINE,
  '-r, --processor <processor>': PIPELINE,
  '-R, --parser <file>': 'Write parsers_file into the service section, or a parsers section.',
  '-e, --plugin <file>': 'Write plugins: [FILE] into the configuration.',
  '-b, --storage_path <path>': 'Write storage.path into the service section.',
  '-d, --daemon': 'Let systemd or a container run it in the background.',
  '-s, --coro_stack_size <size>': 'There are no coroutine stacks.',
  '-S, --sosreport': 'There is no such report.',
  '-J, --help-json': 'tailrace schema prints the JSON Schema of the configuration.',
  '-T, --sp-task <sql>': 'There is no stream processor.',
  '-W, --disable-thread-safety-on-hot-reload': 'Reload needs no such switch.',
  '-Z, --enable-chunk-trace': 'There is no chunk trace.',
  '--supervisor': 'Let systemd or Kubernetes supervise it.',
  '--enable-fips': 'Start Node.js with --force-fips.',
};

const EXAMPLES = `
Examples:
  tailrace run -c pipeline.yaml
  tailrace run -c pipeline.yaml --state-path /var/lib/my-tailrace
  tailrace run -c pipeline.yaml --state-path off     keep no positions
  tailrace run -c pipeline.yaml --dry-run            the same as: tailrace check pipeline.yaml

Signals:
  SIGTERM, SIGINT   stop reading, deliver what is there within service.grace, exit
  again             stop at once, exit with 4
  SIGHUP            load the configuration anew; the running one stays if the new one is wrong`;

export function defineRun(command: Command, action: (options: RunOptions) => Promise<void>): void {
  command
    .description('Runs the pipeline of a configuration file.')
    .option('-c, --config <file>', 'configuration file (YAML)')
    .option('--state-path <dir|off>', 'directory for positions and dead letters; off: keep none')
    .option('-D, --dry-run', 'check the configuration and exit')
    .option('-q, --quiet', 'no log at all')
    .option('-v, --verbose', 'log more; twice: everything', (_value, before: number) => before + 1, 0)
    .option('-l, --log-file <file>', 'write the log into a file')
    .option('-H, --http', 'serve metrics and health over HTTP (http_server)')
    .option('-L, --listen <address>', 'address of the HTTP server (http_listen)')
    .option('-P, --port <port>', 'port of the HTTP server (http_port)', readPort)
    .option('-f, --flush <seconds>', 'seconds between flushes (service.flush)', readSeconds)
    .option('-w, --workdir <dir>', 'directory that relative paths start from')
    .option('-Y, --enable-hot-reload', 'allow reload even if the configuration says hot_reload: off')
    .addOption(new Option('--log_file <file>').hideHelp())
    .option('--debug', 'show stack traces')
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES_HELP}`)
    .action(async ({ log_file: logFile, ...options }: RunOptions & { log_file?: string }) => {
      refuse(options as Record<string, unknown>);
      // Fluent Bit's spelling.
      await action(logFile === undefined ? options : { logFile, ...options });
    });
  for (const flags of Object.keys(REFUSED)) command.addOption(new Option(flags).hideHelp());
}

function refuse(given: Record<string, unknown>): void {
  for (const [flags, hint] of Object.entries(REFUSED)) {
    const option = new Option(flags);
    if (given[option.attributeName()] !== undefined) {
      throw new UserError(`${option.long ?? flags} of Fluent Bit is not supported. ${hint}`, EXIT.usage);
    }
  }
}

function readPort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new UserError(`--port: "${text}" is no port; write a number from 0 to 65535.`, EXIT.usage);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds > 0 && Number.isFinite(seconds)) return seconds;
  throw new UserError(`--flush: "${text}" is no time; write seconds, 0.5 for instance.`, EXIT.usage);
}
