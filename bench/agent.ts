/** A compiled agent in a process of its own, for benchmarks that look at it while it works: its metrics, memory, descriptors, end. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Metrics } from './metrics.ts';

const LAUNCHER = join(dirname(dirname(fileURLToPath(import.meta.url))), 'bin/tailrace.js');
/** Between two scrapes of a wait. Milliseconds. */
const SCRAPE_PAUSE_MS = 250;
/** Of what it said, so much is kept. Characters. */
const KEPT = 20_000;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export class RunningAgent {
  /** Unix milliseconds of the start of the process. */
  readonly startedAt: number;
  readonly exited: Promise<Exit>;
  private readonly child: ChildProcess;
  private said = '';
  private url: string | undefined;
  private ended = false;

  /**
   * Writes `config` into `home`, and starts the agent with its state there. With `http` it gets an HTTP server on any port: that is
   * what {@link metrics} needs, and costs some memory.
   */
  constructor(home: string, config: string, { http = true } = {}) {
    mkdirSync(home, { recursive: true });
    const file = join(home, 'pipeline.yaml');
    const server = http ? 'service:\n  http_server: on\n  http_port: 0' : 'service:';
    writeFileSync(file, config.replace(/^service:$/m, server));
    this.startedAt = performance.timeOrigin + performance.now();
    this.child = spawn(process.execPath, [LAUNCHER, 'run', '-c', file, '--state-path', join(home, 'state')], {
      env: { ...process.env, TAILRACE_COMPILED: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-KEPT);
      this.url ??= /Metrics on (http\S+?)"/.exec(this.said)?.[1];
    });
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        this.ended = true;
        resolve({ code, signal });
      });
    });
  }

  private get folder(): string {
    return `/proc/${this.child.pid ?? 0}`;
  }

  /** The numbers as they are now; throws when the ledger does not balance, or the agent is gone. */
  async metrics(): Promise<Metrics> {
    while (this.url === undefined) {
      this.expectAlive();
      await pause(SCRAPE_PAUSE_MS);
    }
    this.expectAlive();
    const metrics = new Metrics(await (await fetch(this.url)).text());
    metrics.expectBalance();
    return metrics;
  }

  /** Scrapes until `met` is true of the numbers. */
  async until(met: (metrics: Metrics) => boolean): Promise<Metrics> {
    for (;;) {
      const metrics = await this.metrics();
      if (met(metrics)) return metrics;
      await pause(SCRAPE_PAUSE_MS);
    }
  }

  private expectAlive(): void {
    if (this.ended) throw new Error(`The agent ended: ${this.said}`);
  }

  /** Bytes, now (VmRSS) or at the peak (VmHWM). */
  memory(which: 'VmRSS' | 'VmHWM'): number {
    const status = readFileSync(`${this.folder}/status`, 'utf8');
    return Number(new RegExp(`^${which}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  }

  get descriptors(): number {
    return readdirSync(`${this.folder}/fd`).length;
  }

  /** Ends it by a signal, and waits for that. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }

  /** The last line of a run that ended by itself or by SIGTERM. */
  get lastLine(): string {
    return /Stopped after[^"]*/.exec(this.said)?.[0] ?? this.said.slice(-2000);
  }
}
