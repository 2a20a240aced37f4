/**
 * One file that is appended to, whole attempts at a time.
 *
 * - Each append is one write. If the disk is full in its middle, the file is cut back to its length before, so that the retry
 *   leaves neither half a line nor a line twice. If not even that works, it is cut back before the next write.
 * - Before each append the path is looked at: a file that logrotate moved or removed is opened anew.
 * - Where the name comes from data, no symbolic link below the base directory is followed. (Between look and open a link could
 *   still be planted by who may write there: Node has no openat.)
 */
import { close, constants, fstat, ftruncate, open, write } from 'node:fs';
import type { Stats } from 'node:fs';
import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { RetryableError } from '../../../src/plugin.ts';
import type { Destination } from './destination.ts';
import type { Rotation } from './rotation.ts';

// Plain descriptors: a FileHandle that somebody forgot would end the process when it is collected.
const file = {
  open: promisify(open),
  close: promisify(close),
  write: promisify(write),
  stat: promisify(fstat),
  truncate: promisify(ftruncate),
};

/** The name itself cannot be written to; another attempt would not help. */
export class UnusableNameError extends Error {
  override name = 'UnusableNameError';
}

/** Errors that a name made of data causes, and only it suffers from. */
const NAME_ERRORS = new Set(['ELOOP', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG', 'EINVAL']);

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full; writing goes on by itself when there is space',
  EDQUOT: 'the quota is used up; writing goes on by itself when there is space',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied: give the agent the right to write there',
  EISDIR: 'it is a directory: set file to a name in it',
  ENOENT: 'its directory does not exist: create it, or set mkdir to on',
  EMFILE: 'too many open files: raise the limit, or lower max_dynamic_files',
};

export interface AppendOptions {
  /** Create missing directories. */
  mkdir: boolean;
  rotation: Rotation | undefined;
}

export class AppendFile {
  readonly destination: Destination;
  /** Monotonic milliseconds. */
  lastUsed = performance.now();
  private readonly options: AppendOptions;
  private descriptor: number | undefined;
  private dev = 0;
  private ino = 0;
  /** Length to cut the file back to before anything else is written. */
  private cutTo: number | undefined;
  private closed = false;
  private last: Promise<unknown> = Promise.resolve();

  constructor(destination: Destination, options: AppendOptions) {
    this.destination = destination;
    this.options = options;
  }

  /**
   * Appends what `build` returns; it is told whether the file is empty. One append at a time, in order of the calls.
   * Throws RetryableError when nothing of it is in the file, {@link UnusableNameError} when nothing ever will be.
   */
  append(build: (isEmpty: boolean) => Buffer): Promise<void> {
    this.lastUsed = performance.now();
    const turn = this.last.then(() => this.appendNow(build));
    this.last = turn.catch(() => {});
    return turn;
  }

  /** Closes the file once what was begun is written. */
  async close(): Promise<void> {
    this.closed = true;
    await this.last;
    await this.release();
  }

  private async appendNow(build: (isEmpty: boolean) => Buffer): Promise<void> {
    try {
      let size = await this.ready();
      if (this.options.rotation?.isDue(size) === true) {
        await this.release();
        await this.options.rotation.rotate(this.destination.path);
        size = await this.ready();
      }
      await this.write(build(size === 0), size);
    } catch (error) {
      throw this.failure(error);
    } finally {
      // An attempt may hold a file that the table has closed meanwhile to make room.
      if (this.closed) await this.release();
    }
  }

  /** Opens the file if need be; returns its length. */
  private async ready(): Promise<number> {
    const { path } = this.destination;
    if (this.descriptor !== undefined) {
      const there = await statOrNothing(path);
      if (there?.dev === this.dev && there.ino === this.ino)
        return this.repaired(this.descriptor, there.size);
      await this.release();
    }
    const descriptor = await this.open();
    const stats = await file.stat(descriptor);
    if (!stats.isFile() && !stats.isCharacterDevice()) {
      await file.close(descriptor);
      throw new RetryableError(
        `Writing to ${path}: it is no regular file; for a pipe use the stdout output.`,
      );
    }
    this.descriptor = descriptor;
    if (stats.ino !== this.ino || stats.dev !== this.dev) this.cutTo = undefined;
    this.dev = stats.dev;
    this.ino = stats.ino;
    return this.repaired(descriptor, stats.size);
  }

  private async repaired(descriptor: number, size: number): Promise<number> {
    if (this.cutTo === undefined || this.cutTo >= size) {
      this.cutTo = undefined;
      return size;
    }
    await file.truncate(descriptor, this.cutTo);
    const cut = this.cutTo;
    this.cutTo = undefined;
    return cut;
  }

  private async open(): Promise<number> {
    const { path, base } = this.destination;
    if (base !== undefined) await refuseLinks(base, dirname(path));
    const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
    // Without O_NONBLOCK, opening a FIFO waits for its reader.
    const flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | (base === undefined ? 0 : O_NOFOLLOW);
    try {
      return await file.open(path, flags, 0o644);
    } catch (error) {
      if (!this.options.mkdir || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true, mode: 0o755 });
      return file.open(path, flags, 0o644);
    }
  }

  private async write(bytes: Buffer, size: number): Promise<void> {
    const descriptor = this.descriptor as number;
    let written = 0;
    try {
      // A write may be short (disk full, signal): the next one says why, or takes the rest.
      while (written < bytes.length) {
        written += (await file.write(descriptor, bytes, written, bytes.length - written)).bytesWritten;
      }
    } catch (error) {
      if (written > 0) await this.cutBack(descriptor, size, written);
      throw error;
    }
  }

  private async cutBack(descriptor: number, size: number, written: number): Promise<void> {
    try {
      const stats: Stats = await file.stat(descriptor);
      // Somebody else appended meanwhile: cutting would take their lines.
      if (!stats.isFile() || stats.size !== size + written) return;
      this.cutTo = size;
      await file.truncate(descriptor, size);
      this.cutTo = undefined;
    } catch {
      // `cutTo` stays: it is tried again before the next write. The error that led here is the one to tell.
    }
  }

  private async release(): Promise<void> {
    const { descriptor } = this;
    this.descriptor = undefined;
    // A late error of the file system: nothing can be done about what was written before.
    if (descriptor !== undefined) await file.close(descriptor).catch(() => {});
  }

  private failure(error: unknown): Error {
    if (error instanceof RetryableError || error instanceof UnusableNameError) return error;
    const { code = '', message } = error as NodeJS.ErrnoException;
    const { path, base } = this.destination;
    const sentence = `Writing to ${path}: ${ADVICE[code] === undefined ? message : `${ADVICE[code]} (${code})`}`;
    return base !== undefined && NAME_ERRORS.has(code)
      ? new UnusableNameError(sentence)
      : new RetryableError(sentence, { cause: error });
  }
}

async function statOrNothing(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Throws when a directory between `base` and `directory` is a symbolic link. */
async function refuseLinks(base: string, directory: string): Promise<void> {
  const below = relative(base, directory);
  if (below === '') return;
  let at = base;
  for (const component of below.split(sep)) {
    at += at.endsWith(sep) ? component : sep + component;
    let stats: Stats;
    try {
      stats = await lstat(at);
    } catch (error) {
      // Not there yet: what is below is not there either.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    if (stats.isSymbolicLink())
      throw new UnusableNameError(
        `Writing below ${at}: it is a symbolic link, which a name made of a record must not follow.`,
      );
  }
}
