/** Runs the real command line as a child process, in a directory of its own. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach } from 'vitest';

export const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'tailrace.js');
export const ROOT = join(import.meta.dirname, '..', '..');

const cleanups: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Does something after the test, the latest first. */
export function afterTest(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup);
}

/** A directory with these files; gone after the test. */
export function workspace(files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-cli-'));
  afterTest(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return directory;
}

export class Cli {
  stdout = '';
  stderr = '';
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly ended: Promise<number>;
  private readonly waiting = new Set<() => void>();

  constructor(args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [LAUNCHER, ...args], {
      cwd,
      env: {
        PATH: process.env.PATH,
        HOME: cwd,
        // Compiled modules are kept from run to run: half of a start.
        XDG_CACHE_HOME: join(ROOT, 'node_modules', '.cache'),
        STATE_DIRECTORY: join(cwd, 'state'),
        TZ: 'UTC',
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stdin.on('error', () => {});
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.look();
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.look();
    });
    this.ended = once(this.child, 'close').then(([code]) => {
      this.look();
      return code as number;
    });
    afterTest(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  private look(): void {
    for (const each of this.waiting) each();
  }

  /** Waits until what came out fulfils the condition. */
  until(condition: (cli: this) => boolean, what = 'the output'): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (!condition(this)) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
      void this.ended.then((code) => {
        if (this.waiting.has(look))
          reject(new Error(`Ended with ${code} before ${what}:\n${this.stdout}\n${this.stderr}`));
        return undefined;
      });
    });
  }

  /** The lines of the log that is written as JSON. */
  get log(): Record<string, unknown>[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Waits for a line of the log. */
  async logged(text: string): Promise<void> {
    await this.until(({ log }) => log.some(({ msg }) => String(msg).includes(text)), `"${text}" in the log`);
  }

  /** Where the HTTP server listens. */
  async api(): Promise<string> {
    await this.logged('Metrics on');
    const line = this.log.find(({ msg }) => String(msg).startsWith('Metrics on'));
    return /http:\S+(?=\/metrics)/.exec(String(line?.msg))?.[0] ?? '';
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The exit code. */
  exit(): Promise<number> {
    return this.ended;
  }
}

/** Runs a command to its end. */
export async function cli(
  args: readonly string[],
  cwd = workspace(),
  options: { env?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const run = new Cli(args, cwd, options.env);
  run.child.stdin.end(options.input ?? '');
  const code = await run.exit();
  return { code, stdout: run.stdout, stderr: run.stderr };
}
