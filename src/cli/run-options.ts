/**
 * The options of `run`: our own, Fluent Bit's where they make sense, and a sentence for those that do not. One table for two
 * readers: an agent that starts is read by Node's own parser, which is loaded anyway; help and mistakes are commander's.
 */
import { parseArgs } from 'node:util';
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
}

interface RunOption {
  flags: string;
  help: string;
}

const OPTIONS: readonly RunOption[] = [
  { flags: '-c, --config <file>', help: 'configuration file (YAML)' },
  { flags: '--state-path <dir|off>', help: 'directory for positions and dead letters; off: keep none' },
  { flags: '-D, --dry-run', help: 'check the configuration and exit' },
  { flags: '-q, --quiet', help: 'no log at all' },
  { flags: '-v, --verbose', help: 'log more (debug)' },
  { flags: '-l, --log-file <file>', help: 'write the log into a file' },
  { flags: '-H, --http', help: 'serve metrics and health over HTTP (http_server)' },
  { flags: '-L, --listen <address>', help: 'address of the HTTP server (http_listen)' },
  { flags: '-P, --port <port>', help: 'port of the HTTP server (http_port)' },
  { flags: '-f, --flush <seconds>', help: 'seconds between flushes (service.flush)' },
  { flags: '-w, --workdir <dir>', help: 'directory that relative paths start from' },
  { flags: '-Y, --enable-hot-reload', help: 'allow reload even if the configuration says hot_reload: off' },
  { flags: '--debug', help: 'show stack traces' },
];

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

/** What the flags of a command line came to; undefined when it asks for help or has a mistake that commander shall explain. */
export function readRunOptions(argv: readonly string[]): RunOptions | undefined {
  let values: Readonly<Record<string, unknown>>;
  try {
    ({ values } = parseArgs({ args: withOurSpelling(argv), options: parserTable(), strict: true }));
  } catch {
    return undefined;
  }
  refuse(values);
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) options[camelCase(name)] = READERS[name]?.(value) ?? value;
  }
  return options;
}

/** Tells commander what `run` takes, for its help and its messages. */
export function defineRun(command: Command, action: (argv: readonly string[]) => Promise<void>): void {
  command.description('Runs the pipeline of a configuration file.');
  for (const { flags, help } of OPTIONS) command.option(flags, help);
  command
    .addHelpText('after', `${EXAMPLES}\n${EXIT_CODES_HELP}`)
    .action(async (_options: unknown, self: Command) => action(self.args));
}

function withOurSpelling(argv: readonly string[]): string[] {
  return argv.map((argument) => argument.replace(/^--log_file(?==|$)/, '--log-file'));
}

function parserTable(): Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> {
  const table: Record<string, { type: 'string' | 'boolean'; short?: string; multiple?: boolean }> = {};
  for (const flags of [...OPTIONS.map((option) => option.flags), ...Object.keys(REFUSED)]) {
    const [, short, long, value] = /^(?:-(\w), )?--([\w-]+)(?: (<.*>))?$/.exec(flags) ?? [];
    if (long === undefined) continue;
    table[long] = { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) };
  }
  table.verbose = { ...table.verbose, type: 'boolean', multiple: true };
  return table;
}

const READERS: Readonly<Record<string, (value: unknown) => unknown>> = {
  verbose: (value) => (value as boolean[]).length,
  port: (value) => readPort(String(value)),
  flush: (value) => readSeconds(String(value)),
};

function refuse(given: Readonly<Record<string, unknown>>): void {
  for (const [flags, hint] of Object.entries(REFUSED)) {
    const long = /--([\w-]+)/.exec(flags)?.[1] ?? '';
    if (given[long] !== undefined) {
      throw new UserError(`--${long} of Fluent Bit is not supported. ${hint}`, EXIT.usage);
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

function camelCase(name: string): string {
  return name.replaceAll(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
}
