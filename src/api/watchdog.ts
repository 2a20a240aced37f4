/** The main thread's side of the watchdog: starts its thread, beats for it, and answers the requests that it takes. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { mainLoop } from '../telemetry/heartbeat.ts';
import type { LogLevel, Logger } from '../telemetry/log.ts';
import { stallLimits } from './stall.ts';
import type {
  FrontAnswer,
  FrontRequest,
  FromWatchdog,
  LogTarget,
  Readiness,
  ToWatchdog,
  WatchdogData,
} from './watchdog-messages.ts';

const BEAT_MS = 500;
/** Beats within the time after which the loop counts as standing, at least. */
const BEATS = 4;
/** Between the death of the thread and the next one. Milliseconds. */
const RESTART_MS = 1000;
/** It holds a few requests, nothing else: what leaks there must not take the agent's memory. */
const RESOURCES = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 };

/** What the thread serves, if it serves. */
export interface WatchdogSite {
  host: string;
  /** 0 for any. */
  port: number;
  /** Never rejects. */
  answer: (request: FrontRequest) => Promise<FrontAnswer>;
  ready: () => Readiness;
}

export interface WatchdogOptions {
  /** Seconds that the main loop may stand still before the process is ended; 0: it is only said. */
  timeout: number;
  /** Where the thread writes. */
  target: LogTarget;
  /** The main thread's own log, for what befalls the thread. */
  log: Logger;
  site?: WatchdogSite;
}

/** The thread cannot listen. */
export class FrontError extends Error {
  override name = 'FrontError';
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

export class Watchdog {
  /** The real port, while it serves. */
  port: number | undefined;
  private readonly options: WatchdogOptions;
  private readonly target: LogTarget;
  private readonly beating: NodeJS.Timeout;
  private worker: Worker | undefined;
  private restarting: NodeJS.Timeout | undefined;
  private unsubscribe: () => void = () => undefined;
  private closed = false;
  private said = '';

  private constructor(options: WatchdogOptions) {
    this.options = options;
    this.target = { ...options.target };
    const { warnMs } = stallLimits(options.timeout);
    this.beating = setInterval(() => this.beat(), Math.min(BEAT_MS, warnMs / BEATS)).unref();
    mainLoop.beat(isDebugged());
  }

  /** Resolves when it watches and serves. Throws {@link FrontError} when it cannot listen. */
  static async start(options: WatchdogOptions): Promise<Watchdog> {
    const watchdog = new Watchdog(options);
    try {
      await watchdog.launch();
    } catch (error) {
      await watchdog.close();
      throw error;
    }
    return watchdog;
  }

  /** The level of what it writes. */
  setLevel(level: LogLevel): void {
    this.target.level = level;
    this.post({ kind: 'level', level });
  }

  /** Ends the thread and every connection. */
  async close(): Promise<void> {
    this.closed = true;
    clearInterval(this.beating);
    clearTimeout(this.restarting);
    this.unsubscribe();
    await this.worker?.terminate();
  }

  private async launch(): Promise<void> {
    const { timeout, site } = this.options;
    const data: WatchdogData = {
      memory: mainLoop.memory,
      limits: stallLimits(timeout),
      log: this.target,
      listen: site === undefined ? undefined : { host: site.host, port: this.port ?? site.port },
    };
    // Sources run as they are, and the package has .js files.
    const file = new URL(`./watchdog-worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(file, {
      workerData: data,
      name: 'watchdog',
      env: {},
      execArgv: [],
      resourceLimits: RESOURCES,
    });
    this.worker = worker;
    // Without a port it is no reason for the process to go on.
    if (site === undefined) worker.unref();
    const started = new Promise<void>((resolve, reject) => {
      worker.on('message', (message: FromWatchdog) => {
        if (message.kind === 'request') void this.answer(worker, message.id, message.request);
        else if (message.kind === 'refused') reject(new FrontError(message.message, message.code));
        else {
          this.port = message.port;
          resolve();
        }
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('The watchdog thread ended.')));
    });
    this.said = '';
    this.unsubscribe = mainLoop.onStages((names) => this.post({ kind: 'stages', names: [...names] }));
    this.beat();
    await started;
    worker.once('error', (error) => this.options.log.error({ error }, 'The watchdog thread failed'));
    worker.once('exit', () => this.relaunch());
  }

  private relaunch(): void {
    this.unsubscribe();
    if (this.closed) return;
    this.options.log.error({}, 'The watchdog thread ended: starting another one');
    this.restarting = setTimeout(() => {
      this.launch().catch((error: unknown) => {
        this.options.log.error({ error }, 'The watchdog thread cannot be started; will try again');
        void this.worker?.terminate().then(() => this.relaunch());
      });
    }, RESTART_MS);
  }

  private beat(): void {
    mainLoop.beat(isDebugged());
    const { site } = this.options;
    if (site === undefined) return;
    const readiness = site.ready();
    const text = JSON.stringify(readiness);
    if (text === this.said) return;
    this.said = text;
    this.post({ kind: 'ready', readiness });
  }

  private async answer(worker: Worker, id: number, request: FrontRequest): Promise<void> {
    const { site } = this.options;
    if (site === undefined) return;
    const answer = await site.answer(request);
    const moved = typeof answer.body === 'string' ? [] : [answer.body.buffer];
    worker.postMessage({ kind: 'answer', id, answer } satisfies ToWatchdog, moved);
  }

  private post(message: ToWatchdog): void {
    this.worker?.postMessage(message);
  }
}

/** Whether somebody may hold this thread at a breakpoint. */
function isDebugged(): boolean {
  return process.features.inspector && process.getBuiltinModule('node:inspector').url() !== undefined;
}
