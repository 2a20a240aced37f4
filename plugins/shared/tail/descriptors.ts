/**
 * A bound on open files: beyond it the ones that were idle the longest are closed, and opened again when they grow. Files that were
 * rotated away stay open: they may not be there to be opened again.
 */
import { readFileSync } from 'node:fs';
import type { TailFile } from './tail-file.ts';

/** What is used where the system does not tell its limit. */
const FALLBACK = 512;
const MOST = 4096;

/** A share of what the system allows this process to have open. */
export function openFilesLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? FALLBACK : Math.max(16, Math.min(MOST, Math.floor(Number(line[1]) / 4)));
  } catch {
    return FALLBACK;
  }
}

export class Descriptors {
  private readonly limit: number;
  /** Open files, the one that was used longest ago first. */
  private readonly open = new Set<TailFile>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.open.size;
  }

  /** The file was opened or used; others may be closed for it. */
  use(file: TailFile): void {
    this.open.delete(file);
    this.open.add(file);
    if (this.open.size > this.limit) this.closeIdle(file);
  }

  close(file: TailFile): void {
    this.open.delete(file);
    file.close();
  }

  private closeIdle(except: TailFile): void {
    for (const file of this.open) {
      if (this.open.size <= this.limit) return;
      if (file === except || file.busy || file.names.size === 0 || file.compressed) continue;
      this.close(file);
    }
  }
}
