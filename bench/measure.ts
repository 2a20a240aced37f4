/** Runs a command to its end and says what it took: CPU-seconds, wall seconds, peak resident memory. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Measurement {
  /** User and system CPU-seconds of the whole process. */
  cpu: number;
  wall: number;
  /** Peak resident memory, bytes. */
  rss: number;
  /** Bytes that it handed to write calls of any kind, as last looked at. */
  written: number;
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

const POLL_MS = 20;

/** The peak so far, from /proc; a process that is gone keeps its last value. */
function peakOf(pid: number, before: number): number {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Math.max(before, Number(kilobytes ?? 0) * 1024);
  } catch {
    return before;
  }
}

/** The bytes written so far, from /proc; a process that is gone keeps its last value. */
function writtenBy(pid: number, before: number): number {
  try {
    return Number(/^wchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? before);
  } catch {
    return before;
  }
}

/** CPU-seconds are those that the shell's `times` reports for its child: exact at exit, for any binary. */
export async function measure(
  command: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Measurement> {
  const startedAt = performance.now();
  const child = spawn(
    'bash',
    [
      '-c',
      '"$@" & child=$!; echo "$child" >&3; wait $child; code=$?; LC_ALL=C times >&4; exit $code',
      'bash',
      ...command,
    ],
    { ...options, stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'] },
  );
  let rss = 0;
  let written = 0;
  let pid = 0;
  const collected = ['', '', '', '', ''];
  child.stdio.forEach((stream, index) => {
    stream?.on('data', (data: Buffer) => {
      collected[index] = (collected[index] + data.toString()).slice(-100_000);
      if (index === 3) pid = Number(collected[3]);
    });
  });
  const poll = setInterval(() => {
    if (pid === 0) return;
    rss = peakOf(pid, rss);
    written = writtenBy(pid, written);
  }, POLL_MS);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearInterval(poll);
  const ofChildren = collected[4]?.trim().split('\n').at(-1) ?? '';
  let cpu = 0;
  for (const [, minutes, seconds] of ofChildren.matchAll(/(\d+)m([\d.]+)s/g)) {
    cpu += Number(minutes) * 60 + Number(seconds);
  }
  return {
    cpu,
    wall: (performance.now() - startedAt) / 1000,
    rss,
    written,
    exitCode,
    stdout: collected[1] ?? '',
    stderr: collected[2] ?? '',
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}
