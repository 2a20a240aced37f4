/** Counts the datagrams that the kernel dropped because nobody read them in time: the last column of /proc/net/udp and udp6. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { InputContext } from '../../src/plugin.ts';
import { Rarely } from './rarely.ts';

/** How often the kernel is asked. Milliseconds. */
const EVERY_MS = 5000;
const FILES = ['/proc/self/net/udp', '/proc/self/net/udp6'] as const;
/** Columns of these files. */
const LOCAL = 1;
const INODE = 9;
const DROPS = 12;

/** Sockets that a listener of this process counts already: two can have one port, at different addresses. */
const counted = new Set<string>();

export class KernelDrops {
  private readonly context: InputContext;
  private readonly total: { value: number };
  private readonly rarely = new Rarely();
  private readonly file: string | undefined;
  private readonly inode: string | undefined;
  private readonly timer: NodeJS.Timeout | undefined;
  private known = 0;

  /** Of this process's socket on that port. Counts nothing where there is no /proc. */
  constructor(port: number, context: InputContext) {
    this.context = context;
    this.total = context.metrics
      .counter(
        'tailrace_input_kernel_dropped_datagrams_total',
        'Datagrams that the kernel dropped because its receive buffer was full; they never came to be read.',
      )
      .labels({ name: context.name });
    const found = findSocket(port);
    if (found === undefined) return;
    this.file = found.file;
    this.inode = found.inode;
    counted.add(found.inode);
    this.timer = setInterval(() => this.read(), EVERY_MS).unref();
  }

  /** Reads it a last time; before the socket is closed. */
  close(): void {
    clearInterval(this.timer);
    this.read();
    if (this.inode !== undefined) counted.delete(this.inode);
  }

  private read(): void {
    const { file, inode } = this;
    if (file === undefined) return;
    const row = rowsOf(file).find((columns) => columns[INODE] === inode);
    const drops = Number(row?.[DROPS] ?? Number.NaN);
    if (!(drops > this.known)) return;
    const more = drops - this.known;
    this.known = drops;
    this.total.value += more;
    if (this.rarely.happened() > 0) {
      this.context.log.warn(
        { datagrams: more },
        'The kernel dropped datagrams because its receive buffer was full: raise receive_buffer_size, and net.core.rmem_max if need be',
      );
    }
  }
}

function findSocket(port: number): { file: string; inode: string } | undefined {
  const own = ownSockets();
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const file of FILES) {
    for (const columns of rowsOf(file)) {
      const inode = columns[INODE] ?? '';
      if (columns[LOCAL]?.endsWith(suffix) && own.has(inode) && !counted.has(inode)) return { file, inode };
    }
  }
  return undefined;
}

/** Inodes of the sockets of this process. */
function ownSockets(): Set<string> {
  const inodes = new Set<string>();
  try {
    for (const name of readdirSync('/proc/self/fd')) {
      const match = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/self/fd/${name}`));
      if (match?.[1] !== undefined) inodes.add(match[1]);
    }
  } catch {
    // No /proc: nothing can be counted.
  }
  return inodes;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Closed since the directory was read.
    return '';
  }
}

function rowsOf(file: string): string[][] {
  try {
    return readFileSync(file, 'latin1')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}
