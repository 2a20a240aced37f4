/** `tailrace run`: starts the pipeline of a configuration, keeps it running, and ends it. */
import type { ReloadOutcome } from '../api/context.ts';
import type { ControlServer } from '../api/control-server.ts';
import { ListenError } from '../api/listen-error.ts';
import type { ApiServer } from '../api/server.ts';
import type { Watchdog, WatchdogOptions } from '../api/watchdog.ts';
import type { PipelineDefinition, ServiceOptions } from '../config/definition.ts';
import type { Problem } from '../config/problem.ts';
import { BufferVersionError } from '../buffer/disk/store.ts';
import { Agent } from '../pipeline/agent.ts';
import type { StopSummary } from '../pipeline/summary.ts';
import { StateError, StateLockedError } from '../state/store.ts';
import { createLogger } from '../telemetry/logger.ts';
import type { AgentLog } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { registerProcessMetrics } from '../telemetry/process-metrics.ts';
import { describeError } from '../telemetry/safe.ts';
import { check } from './check.ts';
import { ConfigWatch } from './config-watch.ts';
import { loadConfiguration, logProblems } from './configuration.ts';
import { useColor } from './color.ts';
import { EXIT, UserError } from './exit.ts';
import type { ExitCode } from './exit.ts';
import type { RunOptions } from './run-options.ts';
import { restartKeys } from './restart-keys.ts';
import { onSignals } from './shutdown.ts';
import { chooseStateDirectory, prepareStateDirectory } from './state-directory.ts';
import { version } from './version.ts';

/** What a forced stop gets before the process ends anyway. Milliseconds. */
const FORCED_MS = 2000;
/** Seconds that the main loop may stand still where a thread watches anyway. */
const STALL_SECONDS = 60;
/** When a start is over and its garbage can go. Milliseconds. */
const SETTLED_MS = 1000;

export async function run(options: RunOptions): Promise<number> {
  const { config } = options;
  if (config === undefined) {
    throw new UserError(
      'No configuration file was named: tailrace run -c FILE. See: tailrace run --help',
      EXIT.usage,
    );
  }
  if (options.workdir !== undefined) changeDirectory(options.workdir);
  if (options.dryRun) return check(config, {});
  const watch = new ConfigWatch();
  await watch.beforeLoad([config]);
  const first = await loadConfiguration(config, useColor(process.stderr));
  await watch.afterLoad(first.definition.files);
  return new Run(config, options, first, watch).run();
}

function changeDirectory(directory: string): void {
  try {
    process.chdir(directory);
  } catch (error) {
    throw new UserError(`--workdir: ${describeError(error)}.`, EXIT.usage, { cause: error });
  }
}

/** What the command line says wins over the file. */
function override(definition: PipelineDefinition, options: RunOptions): PipelineDefinition {
  const service: ServiceOptions = { ...definition.service };
  if (options.quiet) service.logLevel = 'off';
  else if (options.verbose) service.logLevel = options.verbose > 1 ? 'trace' : 'debug';
  if (options.logFile !== undefined) service.logFile = options.logFile;
  if (options.http) service.httpServer = true;
  if (options.listen !== undefined) service.httpListen = options.listen;
  if (options.port !== undefined) service.httpPort = options.port;
  if (options.flush !== undefined) service.flush = options.flush;
  if (options.enableHotReload) service.hotReload = true;
  return { ...definition, service };
}

class Run {
  private readonly configFile: string;
  private readonly log: AgentLog;
  private readonly metrics = new Metrics();
  private readonly stateDirectory: string | undefined;
  private readonly agent: Agent;
  private readonly reloads;
  private readonly lastReload;
  private readonly configWatch: ConfigWatch;
  /** Warnings and notes of the configuration that was loaded last. */
  private problems: readonly Problem[];
  private api: ApiServer | undefined;
  private control: ControlServer | undefined;
  private watchdog: Watchdog | undefined;

  constructor(
    configFile: string,
    options: RunOptions,
    loaded: Awaited<ReturnType<typeof loadConfiguration>>,
    configWatch: ConfigWatch,
  ) {
    this.configFile = configFile;
    this.problems = loaded.problems;
    this.configWatch = configWatch;
    const definition = override(loaded.definition, options);
    const { service } = definition;
    this.stateDirectory = chooseStateDirectory({
      commandLine: options.statePath,
      configured: service.statePath,
      configFile,
      env: process.env,
      isRoot: process.getuid?.() === 0,
    });
    this.log = openLog(service, this.metrics);
    if (this.stateDirectory !== undefined) prepareStateDirectory(this.stateDirectory);
    this.reloads = this.metrics.counter(
      'tailrace_config_reloads_total',
      'Reloads of the configuration, by result.',
    );
    this.lastReload = this.metrics
      .gauge(
        'tailrace_config_last_reload_successful',
        '1 while the configuration that was read last is the one that runs; 0 after one was refused.',
      )
      .labels();
    this.lastReload.value = 1;
    this.registerMetrics();
    this.agent = openAgent({
      definition,
      log: this.log,
      metrics: this.metrics,
      stateDirectory: this.stateDirectory,
      load: async () => {
        await configWatch.beforeLoad(this.agent.definition.files);
        const next = await loadConfiguration(configFile, false);
        await configWatch.afterLoad(next.definition.files);
        this.problems = next.problems;
        return override(next.definition, options);
      },
      version: version(),
    });
  }

  private registerMetrics(): void {
    registerProcessMetrics(this.metrics);
    this.metrics
      .gauge('tailrace_build_info', 'Version of tailrace and of Node.js; always 1.')
      .labels({ version: version(), node: process.version }).value = 1;
  }

  async run(): Promise<number> {
    const { agent, log } = this;
    const ended = this.untilEnd();
    try {
      // First the port, then the records: a start that fails has touched nothing.
      await this.serve();
      await agent.start();
      await this.openControl();
    } catch (error) {
      await agent.stop({ force: true });
      await this.api?.close();
      throw startFailure(error);
    }
    this.announce();
    this.configWatch.every(agent.definition.service.hotReloadWatch);
    this.configWatch.start({ log, reload: () => this.reload() });
    setTimeout(() => void this.settle(), SETTLED_MS).unref();
    const end = await Promise.race([ended, agent.done]);
    if (typeof end === 'string') log.info({ signal: end }, 'Stopping: delivering what was read');
    this.configWatch.stop();
    // First: a replay must not touch its files any more when another agent may have the state.
    await this.control?.close();
    const summary = await agent.stop();
    await (this.api ?? this.watchdog)?.close();
    this.conclude(summary);
    if (summary.forced) return EXIT.forced;
    return typeof end === 'number' ? end : EXIT.ok;
  }

  /** Resolves with the signal that ends the run. */
  private untilEnd(): Promise<NodeJS.Signals> {
    const { agent, log } = this;
    process.on('uncaughtException', (error) => void this.fail(error));
    process.on('unhandledRejection', (reason) => void this.fail(reason));
    return new Promise((resolve) => {
      onSignals({
        stop: resolve,
        force: () => {
          log.warn({}, 'A second signal: stopping at once');
          setTimeout(() => this.exit(EXIT.forced), FORCED_MS);
          void agent.stop({ force: true });
        },
        reload: () => void this.reload(),
      });
    });
  }

  private async serve(): Promise<void> {
    const { agent, log, metrics } = this;
    if (!agent.definition.service.httpServer) return;
    const { startApi } = await import('../api/server.ts');
    const { registry } = await import('../../plugins/index.ts');
    const context = {
      version: version(),
      metrics,
      registry,
      log,
      definition: () => agent.definition,
      ready: () => agent.ready(),
      reload: () => this.reload(),
    };
    this.api = await startApi(context, this.watch);
    this.watchdog = this.api.watchdog;
  }

  /** For `tailrace status` and `dlq replay`; only where there is a state directory to find it in. */
  private async openControl(): Promise<void> {
    const { agent, log, stateDirectory: directory } = this;
    if (directory === undefined) return;
    const { startControl } = await import('../api/control-server.ts');
    const { controlCommands } = await import('../api/control-commands.ts');
    this.control = await startControl({ directory, commands: controlCommands(agent), log });
  }

  /** What can wait until the first records are through. */
  private async settle(): Promise<void> {
    giveBackMemory();
    // Without a server the thread costs 10 MB: only who asks for it has it.
    if (this.watchdog !== undefined || (this.agent.definition.service.watchdogTimeout ?? 0) === 0) return;
    try {
      const { Watchdog: Thread } = await import('../api/watchdog.ts');
      this.watchdog = await Thread.start({ ...this.watch, log: this.log });
      this.log.debug({ timeout: this.watch.timeout }, 'The watchdog watches the main loop');
    } catch (error) {
      this.log.error(
        { error },
        'The watchdog cannot be started: nobody sees when the main loop stands still',
      );
    }
  }

  private get watch(): Pick<WatchdogOptions, 'timeout' | 'target'> {
    const {
      watchdogTimeout: timeout = STALL_SECONDS,
      logLevel: level,
      logFile: file,
    } = this.agent.definition.service;
    return {
      timeout,
      target: { level, file, pretty: process.stderr.isTTY, color: useColor(process.stderr) },
    };
  }

  private async reload(): Promise<ReloadOutcome> {
    const { agent, log, reloads } = this;
    log.reopen();
    const before = agent.definition.service;
    if (!before.hotReload) {
      log.warn({}, 'Reload is switched off by hot_reload: off');
      return { result: 'disabled' };
    }
    if (agent.isReloading) return { result: 'busy' };
    const result = await agent.reload();
    reloads.labels({ result: result.ok ? 'done' : 'refused' }).value++;
    this.lastReload.value = result.ok ? 1 : 0;
    if (!result.ok) return { result: 'refused', problems: result.error.split('\n') };
    const { service } = agent.definition;
    log.setLevel(service.logLevel);
    this.watchdog?.setLevel(service.logLevel);
    this.configWatch.every(service.hotReloadWatch);
    const changed = restartKeys(before, service);
    if (changed.length > 0)
      log.warn({ keys: changed }, 'Some service keys changed that only a restart takes up');
    logProblems(this.problems, log);
    return { result: 'done' };
  }

  private announce(): void {
    const { agent, log, stateDirectory } = this;
    const { inputs, filters, outputs } = agent.definition;
    log.info(
      {
        version: version(),
        config: this.configFile,
        inputs: inputs.length,
        filters: filters.length,
        outputs: outputs.length,
      },
      'Tailrace is running',
    );
    if (stateDirectory === undefined) log.info({}, 'Positions are not kept (state_path: off)');
    else log.info({ directory: stateDirectory }, 'Positions are kept');
    if (this.api !== undefined) log.info({}, `Metrics on ${this.api.url}/metrics`);
    logProblems(this.problems, log);
  }

  private conclude(summary: StopSummary): void {
    const { text, read, delivered, filtered, dropped, deadLettered, inDoubt } = summary;
    this.log.flush();
    this.log.announce(
      { read, delivered, filtered, dropped, dead_lettered: deadLettered, in_doubt: inDoubt },
      text,
    );
  }

  /** A defect: said, stopped within the grace time, and shown in the exit code. */
  private async fail(error: unknown): Promise<void> {
    const stack = error instanceof Error ? error.stack : undefined;
    this.log.error({ error, stack }, 'A defect of tailrace: stopping');
    setTimeout(() => this.exit(EXIT.defect), (this.agent.definition.service.grace + 1) * 1000);
    try {
      this.conclude(await this.agent.stop());
    } finally {
      this.exit(EXIT.defect);
    }
  }

  private exit(code: ExitCode): void {
    this.log.flush();
    process.exit(code);
  }
}

/** What loading modules took goes back to the system: 5 to 9 MB. Once, for some 20 ms; the launcher brings `gc`. */
function giveBackMemory(): void {
  const { gc } = globalThis as { gc?: (options: { type: 'major'; flavor: 'last-resort' }) => void };
  gc?.({ type: 'major', flavor: 'last-resort' });
}

function openLog(service: ServiceOptions, metrics: Metrics): AgentLog {
  const { logLevel: level, logFile: file } = service;
  const pretty = process.stderr.isTTY;
  const color = useColor(process.stderr);
  try {
    return createLogger({ level, file, pretty, color, metrics });
  } catch (error) {
    throw new UserError(
      `The log file ${file ?? ''} cannot be opened: ${describeError(error)}.`,
      EXIT.config,
      {
        cause: error,
      },
    );
  }
}

function openAgent(options: ConstructorParameters<typeof Agent>[0]): Agent {
  try {
    return new Agent(options);
  } catch (error) {
    throw startFailure(error);
  }
}

/** Why a start failed, as the user is told. */
function startFailure(error: unknown): Error {
  if (error instanceof UserError) return error;
  if (error instanceof StateLockedError) return new UserError(error.message, EXIT.taken, { cause: error });
  if (error instanceof ListenError) {
    return new UserError(error.message, error.code === 'EADDRINUSE' ? EXIT.taken : EXIT.config, {
      cause: error,
    });
  }
  if (error instanceof StateError || error instanceof BufferVersionError) {
    return new UserError(error.message, EXIT.config, { cause: error });
  }
  if (!(error instanceof Error)) return new UserError(String(error), EXIT.config);
  const { code, cause } = error as NodeJS.ErrnoException;
  const taken = [code, (cause as NodeJS.ErrnoException | undefined)?.code].includes('EADDRINUSE');
  // A TypeError and its like is nothing that a user could mend.
  if (code === undefined && error.constructor !== Error) return error;
  return new UserError(describeError(error), taken ? EXIT.taken : EXIT.config, { cause: error });
}
