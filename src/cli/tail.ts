/**
 * `tailrace tail`: watches files while developing. The `tail` and `stdin` inputs do the reading, without a pipeline around them:
 * what they emit is printed at once, and a terminal that is slow holds them back.
 */
import { basename } from 'node:path';
import { registry } from '../../plugins/index.ts';
import type { Batch, Input, InputContext, Parser, PluginDefinition } from '../plugin.ts';
import { translateRegex } from '../parse/regex.ts';
import { textOf } from '../record/text.ts';
import { compileExpression, ExpressionError } from '../record/expression.ts';
import type { Expression } from '../record/expression.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { AgentLog } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { useColor } from './color.ts';
import { EXIT, UserError } from './exit.ts';
import type { ExitCode } from './exit.ts';
import { onSignals } from './shutdown.ts';
import type { TailOptions } from './tail-options.ts';
import { Recogniser } from './tail/recognise.ts';
import { showLine } from './tail/show.ts';
import { Starts } from './tail/starts.ts';
import { version } from './version.ts';

const DEFAULT_LINES = 10;
const STDIN = '-';
const LOG_KEY = 'log';

export async function tail(paths: readonly string[], options: TailOptions): Promise<ExitCode> {
  const session = new Session(options, await loadParser('logfmt'), paths);
  return session.run();
}

class Session {
  private readonly options: TailOptions;
  private readonly paths: readonly string[];
  private readonly logfmt: Parser;
  private readonly where: Expression | undefined;
  private readonly starts: Starts;
  private readonly log: AgentLog;
  private readonly color = useColor(process.stdout);
  private readonly recognisers = new Map<unknown, { recogniser: Recogniser; shown: boolean }>();
  private readonly names = new Map<string, string>();
  private running = 0;
  private readonly inputs: Input[] = [];
  private end: () => void = () => undefined;

  constructor(options: TailOptions, logfmt: Parser, paths: readonly string[]) {
    this.options = options;
    this.paths = paths;
    this.logfmt = logfmt;
    this.where = options.where === undefined ? undefined : compileWhere(options.where);
    const all = options.since !== undefined || !options.follow;
    this.starts = new Starts(options.lines ?? (all ? Number.POSITIVE_INFINITY : DEFAULT_LINES));
    const pretty = process.stderr.isTTY;
    this.log = createLogger({ level: 'warn', pretty, color: useColor(process.stderr) });
  }

  async run(): Promise<ExitCode> {
    const { paths, options } = this;
    const ended = new Promise<void>((resolve) => {
      this.end = resolve;
    });
    process.stdout.on('error', () => this.end());
    const stopListening = onSignals({ stop: this.end, force: this.end, reload: () => {} });

    const files = paths.filter((path) => path !== STDIN);
    if (files.length > 0) {
      await this.start('tail', {
        path: files.join(','),
        key: LOG_KEY,
        read_from_head: 'true',
        exit_on_eof: String(!options.follow),
        buffer_max_size: '1M',
      });
    }
    if (paths.includes(STDIN)) await this.start('stdin', { parser: 'line', buffer_size: '1M' });
    this.starts.opened();
    if (files.length > 0 && this.starts.sources.size === 0) {
      if (!options.follow) throw new UserError(`No file is there: ${files.join(' ')}`, EXIT.config);
      process.stderr.write(`tailrace: no file yet: ${files.join(' ')}; waiting\n`);
    }
    if (this.running === 0) this.end();
    await ended;
    stopListening();
    for (const input of this.inputs) await input.stop();
    for (const input of this.inputs) await input.close?.();
    this.log.flush();
    return EXIT.ok;
  }

  private async start(plugin: string, written: Readonly<Record<string, string>>): Promise<void> {
    const definition = await loadPlugin('input', plugin);
    if (definition.kind !== 'input') return;
    const context: InputContext = {
      name: plugin,
      tag: plugin,
      log: this.log,
      metrics: new Metrics(),
      entries: Object.entries(written).map(([key, value]) => ({ key, value })),
      findParser: () => undefined,
      parser: () => wholeLine,
      cwd: process.cwd(),
      agentVersion: version(),
      store: this.starts,
      keep: () => true,
      reserve: () => ({ release: () => {} }),
      largestReservation: () => ({ bytes: Number.POSITIVE_INFINITY, option: 'service.memory_limit' }),
      secure: async () => false,
      drop: () => {},
      finished: () => {
        this.running--;
        if (this.running === 0) this.end();
      },
    };
    this.running++;
    const input = await definition.create(optionValues(definition, written), context);
    this.inputs.push(input);
    await input.start((_tag, batch) => this.show(batch));
  }

  /** Prints a batch; the promise, if any, resolves when the terminal has taken it. */
  private show(batch: Batch): Promise<void> | undefined {
    const { source } = batch;
    const known = source && this.starts.sources.get(source);
    const state = this.stateOf(source ?? STDIN);
    const prefix = this.prefix(known?.path);
    const now = Date.now();
    let text = '';
    for (let index = 0; index < batch.length; index++) {
      const offset = batch.base + (batch.starts[index] ?? 0);
      if (known !== undefined && offset < known.start) continue;
      const line = state.recogniser.line(textOf(batch.record(index)[LOG_KEY] ?? ''));
      if (line === undefined) continue;
      // A line without a time of its own (a stack trace) belongs to the one before it.
      if (line.time !== undefined)
        state.shown = line.time >= (this.options.since ?? Number.NEGATIVE_INFINITY);
      if (!state.shown || this.where?.(line.record) === false) continue;
      text += showLine(line, prefix, { json: this.options.json === true, color: this.color }, now);
    }
    if (source !== undefined) source.advance(batch.base + (batch.stops[batch.length - 1] ?? 0));
    if (text === '' || process.stdout.write(text)) return undefined;
    return new Promise((resolve) => {
      process.stdout.once('drain', resolve);
      process.stdout.once('error', () => resolve());
    });
  }

  private stateOf(key: unknown): { recogniser: Recogniser; shown: boolean } {
    let state = this.recognisers.get(key);
    if (state === undefined) {
      state = { recogniser: new Recogniser(this.logfmt), shown: this.options.since === undefined };
      this.recognisers.set(key, state);
    }
    return state;
  }

  /** The file's name when several are shown, its path when another has the same name. */
  private prefix(path: string | undefined): string | undefined {
    const several = this.paths.length > 1 || this.paths.some((each) => /[*?[]/.test(each));
    if (!several) return undefined;
    if (path === undefined) return STDIN;
    const name = basename(path);
    const first = this.names.get(name) ?? path;
    this.names.set(name, first);
    return first === path ? name : path;
  }
}

/** Takes each line as it is. */
const wholeLine: Parser = {
  name: 'line',
  parse(line, into) {
    into.record = { [LOG_KEY]: line };
    return true;
  },
  failure: () => '',
};

async function loadPlugin(kind: 'input' | 'parser', name: string): Promise<PluginDefinition> {
  const definition = await registry.load(kind, name);
  if (definition === undefined) throw new Error(`The ${kind} ${name} is missing.`);
  return definition;
}

async function loadParser(name: string): Promise<Parser> {
  const definition = await loadPlugin('parser', name);
  if (definition.kind !== 'parser') throw new Error(`${name} is no parser.`);
  const log = createLogger({ level: 'off' });
  return definition.create(optionValues(definition, {}), { name, log });
}

/** Values of a plugin's options, defaults where nothing is written. */
function optionValues(
  { options }: PluginDefinition,
  written: Readonly<Record<string, string>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([key, { spec }]) => {
      const text = written[key];
      if (text === undefined) return [key, spec.defaultValue];
      const reading = spec.read([text]);
      if (!reading.ok)
        throw new UserError(`${key}: "${text}" ${reading.problems[0]?.message ?? 'is wrong'}.`, EXIT.usage);
      return [key, reading.value];
    }),
  );
}

function compileWhere(text: string): Expression {
  try {
    return compileExpression(text, { regex: (pattern) => translateRegex(pattern) });
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    throw new UserError(
      `--where: ${error.message}\n  ${text}\n  ${' '.repeat(error.column - 1)}^`,
      EXIT.usage,
    );
  }
}
