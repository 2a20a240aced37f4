/** An agent that is kept running while it is looked at: its memory now and at its peak, from /proc. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

export interface Memory {
  /** Resident now, bytes. */
  rss: number;
  /** Resident at the peak, bytes. */
  peak: number;
}

function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (key: string): number =>
    Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { rss: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/**
 * Starts a command, waits until it says that it runs, lets `look` work with it for as long as it likes, and measures it then.
 * Throws when the process ended before.
 */
export async function whileRunning(
  command: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
  look: (said: () => string) => Promise<void>,
): Promise<Memory> {
  const [program, ...args] = command;
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  const runs = new Promise<void>((resolve) => {
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString();
      if (stderr.includes('Tailrace is running')) resolve();
    });
  });
  const ended = new Promise<never>((_resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`The agent ended with ${code}: ${stderr}`)));
  });
  try {
    await Promise.race([runs, ended]);
    await Promise.race([look(() => stderr), ended]);
    return memoryOf(child.pid ?? 0);
  } finally {
    child.removeAllListeners('exit');
    if (child.exitCode === null && child.signalCode === null) {
      // By a signal that it answers: the compile cache is written at the end.
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  }
}
