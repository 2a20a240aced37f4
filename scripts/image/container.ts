/**
 * A container as near as it can be had without an engine: namespaces of its own for mounts, processes and network, the tree read-only, the
 * program as process 1 of an unprivileged user. (No seccomp, no cgroups: those are the engine's.)
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Image } from './build.ts';

/** Of a wait. Milliseconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

const NAMESPACES = ['--mount', '--pid', '--net', '--fork', '--kill-child'];

export interface ContainerOptions {
  image: Image;
  /** A static busybox: it brings the loopback interface up. */
  busybox: string;
  /** Folder → where it is in the tree; read-only unless it is said. */
  mounts: readonly { from: string; to: string; writable?: boolean }[];
  /** What `docker run` would get behind the image's name: instead of CMD. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** `uid:gid`; the image's without. */
  user?: string;
  /** Supplemental groups. */
  groups?: readonly number[];
  /** The only capability that the program's user could have, such as `dac_read_search`. */
  capability?: string;
}

export class Container {
  stdout = '';
  stderr = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private readonly image: Image;
  private readonly child: ChildProcess;
  private over = false;

  constructor(options: ContainerOptions) {
    const { image, busybox, mounts, args, env, user, groups = [], capability } = options;
    this.image = image;
    const steps = [
      `${busybox} ip link set lo up`,
      'mount --bind "$T" "$T"',
      ...mounts.flatMap(({ from, to, writable }) => [
        `mount --bind ${from} "$T${to}"`,
        ...(writable ? [] : [`mount -o remount,bind,ro "$T${to}"`]),
      ]),
      'mount -t proc proc "$T/proc"',
      'mount -o remount,bind,ro "$T"',
      // chroot needs the capability of its name itself.
      `exec setpriv --no-new-privs ${capability === undefined ? '' : `--inh-caps=-all --bounding-set=-all,+${capability},+sys_chroot`} chroot ${
        capability === undefined
          ? `--userspec=${user ?? image.user} --groups=${groups.join(',') || '""'}`
          : ''
      } "$T" "$@"`,
    ];
    this.child = spawn(
      'unshare',
      [
        ...NAMESPACES,
        '/bin/sh',
        '-e',
        '-c',
        `T="$0"\n${steps.join('\n')}`,
        image.tree,
        ...image.entrypoint,
        ...(args ?? image.cmd),
      ],
      // As an engine for a user without an entry in /etc/passwd.
      { env: { ...image.env, HOME: '/', ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        this.over = true;
        resolve({ code, signal });
      });
    });
  }

  /** Waits until it is so; throws with what was written when the program ended, or in a minute. */
  async until(what: string, met: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await met())) {
      if (this.over || performance.now() > deadline)
        throw new Error(
          `${this.over ? 'It ended' : 'A minute passed'} before ${what}:\n${this.stdout}${this.stderr}`,
        );
      await pause(LOOK_MS);
    }
  }

  /** The process id of its process 1, as seen from outside. */
  get pid(): number {
    const unshare = this.child.pid ?? 0;
    return Number(readFileSync(`/proc/${unshare}/task/${unshare}/children`, 'utf8').trim());
  }

  /** A line of /proc/PID/status of its process 1. */
  status(field: string): string {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
  }

  /** Runs a command beside it, in its namespaces, as its user: the exit code, and what it wrote. */
  exec(command: readonly string[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(
      'nsenter',
      [
        `--target=${this.pid}`,
        '--mount',
        '--pid',
        '--net',
        'chroot',
        `--userspec=${this.image.user}`,
        '--groups=',
        this.image.tree,
        ...command,
      ],
      { env: { ...this.image.env, HOME: '/' }, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
  }

  /** A signal to process 1, as the engine sends it: from outside of its namespace. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Ends it, whatever it does. Process 1 itself: the death of its parent reaches it only as long as it has not changed its user. */
  async kill(): Promise<void> {
    if (!this.over) {
      const { pid } = this;
      if (pid > 0) process.kill(pid, 'SIGKILL');
      this.child.kill('SIGKILL');
    }
    await this.exited;
  }
}
