/** A server in a process of its own: started on loopback, ended by its id, started again where it was. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { listenBelow } from '../../support/ports.ts';

/** Between two looks whether it is ready. Milliseconds. */
const LOOK_MS = 100;
/** A server that is not ready by then will never be. Milliseconds. */
const READY_MS = 180_000;
/** What it gets to end by itself. Milliseconds. */
const GRACE_MS = 20_000;
const SHOWN = 4000;

export interface ServerOptions {
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd: string;
  /** Whether it works; a throw is a no. */
  ready: () => Promise<boolean>;
}

export class ServerProcess {
  private readonly options: ServerOptions;
  private readonly logFile: string;
  private readonly logFolder = mkdtempSync(join(tmpdir(), 'tailrace-server-'));
  private child: ChildProcess | undefined;
  private ended: Promise<void> = Promise.resolve();

  constructor(options: ServerOptions) {
    this.options = options;
    this.logFile = join(this.logFolder, 'log');
  }

  /** Starts it and waits until it works. Throws with the end of its log when it does not. */
  async start(): Promise<this> {
    const { command, args, env, cwd, ready } = this.options;
    const log = openSync(this.logFile, 'a');
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
    closeSync(log);
    this.child = child;
    let over = false;
    this.ended = new Promise((resolve) => {
      const end = (): void => {
        over = true;
        resolve();
      };
      child.once('error', end);
      child.once('exit', end);
    });
    const deadline = performance.now() + READY_MS;
    while (!(await ready().catch(() => false))) {
      if (over || performance.now() > deadline) {
        await this.end('SIGKILL');
        throw new Error(`${command} does not work:\n${this.log.slice(-SHOWN)}`);
      }
      await pause(LOOK_MS);
    }
    return this;
  }

  /** What it wrote. */
  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** SIGKILL: what a crash does. */
  kill(): Promise<void> {
    return this.end('SIGKILL');
  }

  /** SIGSTOP: it neither reads nor answers, and its connections stand; until it is killed. */
  freeze(): void {
    this.child?.kill('SIGSTOP');
  }

  /** SIGTERM, and SIGKILL when that is not heard; it can be started again. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => this.child?.kill('SIGKILL'), GRACE_MS);
    await this.end('SIGTERM');
    clearTimeout(timer);
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    await this.stop();
    rmSync(this.logFolder, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    this.child?.kill(signal);
    await this.ended;
    this.child = undefined;
  }
}

/** A port that nobody has, below those that the system hands out. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenBelow(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

/** Whether a GET of the URL is answered with 2xx. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  await response.arrayBuffer();
  return response.ok;
}

/** Whether somebody takes connections on that port. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
