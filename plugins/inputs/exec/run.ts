/**
 * One run of a command: a shell with a process group of its own. It is over when the shell has ended and nobody writes to its standard output
 * any more; what is left of its process group is ended then.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';

/** What a command gets between SIGTERM and SIGKILL, and its last words after that. Milliseconds. */
const KILL_AFTER_MS = 1000;
const LAST_WORDS_MS = 500;
/** What is taken of one that is ended for good; a pipe holds less. */
const LAST_BYTES = 1_000_000;

/** The code of Fluent Bit's exec for a command whose end is not known. */
const UNKNOWN_END = 128;

export interface RunEnd {
  result: 'ok' | 'failed' | 'killed' | 'timeout' | 'not_started';
  /** As a shell says it: 128 and the number of the signal for one that a signal ended. */
  code: number;
  signal?: NodeJS.Signals | undefined;
  /** Why it could not be started. */
  error?: Error | undefined;
}

/** The end of one that did not begin. */
export function notStarted(error: Error | undefined): RunEnd {
  return { result: 'not_started', code: UNKNOWN_END, error };
}

export interface RunOptions {
  command: string;
  /** 0: as long as it takes. Milliseconds. */
  timeoutMs: number;
  /** Takes what it writes; no more is read while a promise is open. */
  output: (chunk: Buffer) => Promise<void> | undefined;
  /** Takes what it writes to its standard error. */
  complaint: (chunk: Buffer) => void;
}

export class CommandRun {
  /** Resolves when it is over, and all of its output was handed over. Never rejects. */
  readonly over: Promise<RunEnd>;
  readonly pid: number | undefined;
  private readonly child: ChildProcess;
  private readonly timers = new Set<NodeJS.Timeout>();
  private exit: RunEnd | undefined;
  private isOutputOver = false;
  private isTimedOut = false;
  private isWaiting = false;
  /** How much more is taken of it; undefined while that does not matter. */
  private bytesLeft: number | undefined;
  private resolve: (end: RunEnd) => void = () => {};

  constructor({ command, timeoutMs, output, complaint }: RunOptions) {
    this.over = new Promise((resolve) => {
      this.resolve = resolve;
    });
    // Throws for some of the reasons why it cannot be started, and says others by an event.
    this.child = spawn('/bin/sh', ['-c', command], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const { child } = this;
    // Without descriptors there are no pipes.
    const { pid, stdout, stderr } = child;
    this.pid = pid;
    child.once('error', (error) => {
      if (pid === undefined) this.conclude(error);
    });
    child.once('exit', (code, signal) => this.exited(code, signal));
    stdout?.on('error', () => {});
    stderr?.on('error', () => {});
    stdout?.once('close', () => {
      this.isOutputOver = true;
      this.concludeIfOver();
    });
    stderr?.on('data', complaint);
    stdout?.on('data', (chunk: Buffer) => {
      const room = output(chunk);
      if (this.bytesLeft !== undefined) this.takeLast(chunk.length);
      else if (room !== undefined) this.waitFor(room);
    });
    if (timeoutMs > 0) {
      this.after(timeoutMs, () => {
        this.isTimedOut = true;
        this.terminate();
      });
    }
  }

  /** As {@link terminate}, now: what it has written is taken whether there is room or not, within bounds. */
  end(): void {
    this.bytesLeft = LAST_BYTES;
    this.child.stdout?.resume();
    this.terminate();
  }

  /** Ends it and all of its process group; what ignores that is killed after a second. */
  private terminate(): void {
    this.signal('SIGTERM');
    this.after(KILL_AFTER_MS, () => {
      this.signal('SIGKILL');
      this.closeOutput();
    });
  }

  /** Somebody who left the process group may hold its output open. */
  private closeOutput(): void {
    this.after(LAST_WORDS_MS, () => {
      if (this.isWaiting && this.bytesLeft === undefined) this.closeOutput();
      else this.child.stdout?.destroy();
    });
  }

  private waitFor(room: Promise<void>): void {
    const { stdout } = this.child;
    stdout?.pause();
    this.isWaiting = true;
    void room.then(() => {
      this.isWaiting = false;
      stdout?.resume();
    });
  }

  private takeLast(bytes: number): void {
    this.bytesLeft = (this.bytesLeft ?? 0) - bytes;
    if (this.bytesLeft > 0) return;
    this.signal('SIGKILL');
    this.child.stdout?.destroy();
  }

  private exited(code: number | null, signal: NodeJS.Signals | null): void {
    const number = code ?? (signal === null ? UNKNOWN_END : 128 + constants.signals[signal]);
    let result: RunEnd['result'] = number === 0 ? 'ok' : 'failed';
    if (signal !== null) result = 'killed';
    this.exit = { result, code: number, signal: signal ?? undefined };
    this.concludeIfOver();
  }

  private concludeIfOver(): void {
    if (this.exit !== undefined && this.isOutputOver) this.conclude(undefined);
  }

  private conclude(error: Error | undefined): void {
    for (const timer of this.timers) clearTimeout(timer);
    // What it left behind would pile up with every run.
    this.signal('SIGKILL');
    this.child.stderr?.destroy();
    if (this.exit === undefined) this.resolve(notStarted(error));
    else this.resolve({ ...this.exit, result: this.isTimedOut ? 'timeout' : this.exit.result });
  }

  private signal(signal: NodeJS.Signals): void {
    if (this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // Nobody is left of it.
    }
  }

  private after(milliseconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      act();
    }, milliseconds);
    this.timers.add(timer);
  }
}
