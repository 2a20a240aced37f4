/**
 * Where the log goes: a descriptor that lines are written to at once, so that the last words before a crash are not lost. What
 * cannot be written (closed pipe, full disk, a reader that has stopped reading) is dropped and counted: the log never ends or
 * holds up the agent.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

const STDERR = 2;
/** How often, and how long each time (milliseconds), a full pipe is waited for. */
const ATTEMPTS = 10;
const PAUSE_MS = 10;

const pause = new Int32Array(new SharedArrayBuffer(4));

export class LineFile {
  /** Lines that could not be written. */
  lost = 0;
  private readonly path: string | undefined;
  private descriptor: number;

  /** Opens a file to append to, with its directories; stderr without a path. Throws what the system says. */
  constructor(path: string | undefined) {
    this.path = path;
    this.descriptor = path === undefined ? STDERR : open(path);
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    let at = 0;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        while (at < bytes.length) at += writeSync(this.descriptor, bytes, at);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') break;
        Atomics.wait(pause, 0, 0, PAUSE_MS);
      }
    }
    this.lost++;
  }

  /** Opens the path anew, after somebody moved the file away; the old one stays in use if that fails. */
  reopen(): void {
    if (this.path === undefined) return;
    let next: number;
    try {
      next = open(this.path);
    } catch {
      this.lost++;
      return;
    }
    closeSync(this.descriptor);
    this.descriptor = next;
  }
}

function open(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  return openSync(path, 'a');
}
