/** A real agent in a process of its own: started from its sources, watched by its log, its metrics and its end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { Scrape } from './metrics.ts';

const LAUNCHER = join(import.meta.dirname, 'launch.ts');
/** Between two scrapes of a wait. Milliseconds. */
const SCRAPE_PAUSE_MS = 25;
const ROOT = join(import.meta.dirname, '../..');

export interface LogLine {
  level: string;
  msg: string;
  [field: string]: unknown;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The last line of a run. */
export interface Summary {
  text: string;
  read: number;
  delivered: number;
  dropped: number;
  dead_lettered: number;
  in_doubt: number;
}

export interface AgentOptions {
  config: string;
  /** Directory for positions, or `off`; undefined leaves it to the configuration. */
  state: string | undefined;
  cwd: string;
  /** Further variables of its environment, which is else nearly empty. */
  env?: Readonly<Record<string, string>>;
  /** Further options of Node.js: modules to load before the agent, and the like. */
  node?: readonly string[];
  /** Descriptors that it may have open at once. */
  openFiles?: number;
  /** Its standard input is a pipe ({@link AgentProcess.stdin}); else it has none. */
  stdin?: boolean;
}

interface Waiter {
  matches: (line: LogLine) => boolean;
  resolve: (line: LogLine) => void;
  reject: (error: Error) => void;
}

export class AgentProcess {
  readonly log: LogLine[] = [];
  stdout = '';
  /** What it wrote to standard error, as it is. */
  stderr = '';
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  private readonly child: ChildProcess;
  private waiters: Waiter[] = [];
  private rest = '';

  constructor({ config, state, cwd, env, node = [], openFiles, stdin = false }: AgentOptions) {
    const { PATH, HOME } = process.env;
    // The shell gives its place to the agent: the process id is the agent's.
    const [command, ...before] =
      openFiles === undefined
        ? [process.execPath]
        : ['/bin/sh', '-c', `ulimit -n ${openFiles}; exec "$@"`, 'sh', process.execPath];
    this.child = spawn(
      command,
      [
        ...before,
        '--max-semi-space-size=8',
        ...node,
        LAUNCHER,
        'run',
        '--config',
        config,
        ...(state === undefined ? [] : ['--state-path', state]),
        '--http',
        '--listen',
        '127.0.0.1',
        '--port',
        '0',
      ],
      {
        cwd,
        env: { PATH, HOME, NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/tailrace-tests'), ...env },
        stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      },
    );
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.take(text));
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.exit = { code, signal };
        const waiters = this.waiters;
        this.waiters = [];
        for (const { reject: fail } of waiters) fail(this.ended());
        resolve(this.exit);
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The other end of its standard input. Throws when it was started without one. */
  get stdin(): Writable {
    if (this.child.stdin === null) throw new Error('The agent was started without a standard input.');
    return this.child.stdin;
  }

  private ended(): Error {
    return new Error(`The agent ended (${JSON.stringify(this.exit)}):\n${this.stderr.slice(-4000)}`);
  }

  private take(text: string): void {
    this.stderr += text;
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const each of lines) {
      if (!each.startsWith('{')) continue;
      const line = JSON.parse(each) as LogLine;
      this.log.push(line);
      for (const waiter of this.waiters) if (waiter.matches(line)) waiter.resolve(line);
      this.waiters = this.waiters.filter((waiter) => !waiter.matches(line));
    }
  }

  /** Resolves with the first line that matches, of those that were and those to come. Rejects when the agent ends before. */
  said(message: RegExp): Promise<LogLine> {
    const matches = ({ msg }: LogLine): boolean => message.test(msg);
    const before = this.log.find(matches);
    if (before !== undefined) return Promise.resolve(before);
    if (this.exit !== undefined) return Promise.reject(this.ended());
    return new Promise((resolve, reject) => {
      this.waiters.push({ matches, resolve, reject });
    });
  }

  /** Resolves when that many lines were written to standard output. */
  async shown(lines: number): Promise<void> {
    while (this.stdout.split('\n').length <= lines) {
      if (this.exit !== undefined) throw this.ended();
      await once(this.child.stdout as NodeJS.EventEmitter, 'data');
    }
  }

  /** Resolves when it runs and answers. */
  async running(): Promise<this> {
    await this.said(/^Metrics on /);
    return this;
  }

  /** Where its API is: `http://127.0.0.1:PORT`. */
  async api(): Promise<string> {
    const { msg } = await this.said(/^Metrics on /);
    return msg.replace(/^Metrics on (.*)\/metrics$/, '$1');
  }

  /** Its metrics; the ledger is checked in every one that is looked at. */
  async scrape(): Promise<Scrape> {
    const response = await fetch(`${await this.api()}/metrics`);
    const scrape = new Scrape(await response.text());
    scrape.expectBalance();
    return scrape;
  }

  /** Scrapes until `met` is true of what it finds; rejects when the agent ends before. */
  async until(met: (scrape: Scrape) => boolean): Promise<Scrape> {
    for (;;) {
      const scrape = await this.scrape();
      if (met(scrape)) return scrape;
      await pause(SCRAPE_PAUSE_MS);
    }
  }

  /** POST /api/v2/reload: the status and what it answered. */
  async reload(): Promise<{ status: number; reload: string }> {
    const response = await fetch(`${await this.api()}/api/v2/reload`, { method: 'POST' });
    const { reload } = (await response.json()) as { reload: string };
    return { status: response.status, reload };
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  /** Checks the ledger, sends SIGTERM and waits for the end. */
  async stop(): Promise<Exit & { summary: Summary }> {
    await this.scrape();
    this.signal('SIGTERM');
    const exit = await this.exited;
    return { ...exit, summary: this.summary };
  }

  /** The last line of a run that ended. Throws when it said none. */
  get summary(): Summary {
    const last = this.log.findLast(({ msg }) => msg.startsWith('Stopped after'));
    if (last === undefined) throw this.ended();
    const {
      msg: text,
      read,
      delivered,
      dropped,
      dead_lettered,
      in_doubt,
    } = last as LogLine & Omit<Summary, 'text'>;
    return { text, read, delivered, dropped, dead_lettered, in_doubt };
  }

  /** The most memory that it ever had in RAM, in bytes. */
  get peakMemory(): number {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  }

  /** What `/ready` answers. */
  async ready(): Promise<{ status: number; reasons: readonly string[] }> {
    const response = await fetch(`${await this.api()}/ready`);
    const { reasons = [] } = (await response.json()) as { reasons?: readonly string[] };
    return { status: response.status, reasons };
  }

  /** Number of open descriptors. */
  get descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }
}
