/**
 * Rotation by size: `out.log` becomes `out.log.20261120_204703_1f3a9c2e`, compressed to `….gz` in the background, and the oldest
 * beyond a number are removed. The names are Fluent Bit's, so that files of both are counted together.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Logger } from '../../../src/plugin.ts';

export interface RotationOptions {
  /** Bytes from which on a file is rotated. */
  maxSize: number;
  /** Rotated files that are kept. */
  maxFiles: number;
  gzip: boolean;
  log: Logger;
}

const SUFFIX = /^\d{8}_\d{6}(?:_[0-9a-f]{8})?(?:\.gz)?$/i;

export class Rotation {
  private readonly options: RotationOptions;
  /** Compressing and removing, one file after the other. */
  private background: Promise<void> = Promise.resolve();

  constructor(options: RotationOptions) {
    this.options = options;
  }

  isDue(size: number): boolean {
    return size >= this.options.maxSize;
  }

  /** Moves the file away. A failure is logged: then writing goes on in the same file, and the next append tries again. */
  async rotate(path: string): Promise<void> {
    const rotated = `${path}.${suffix(new Date())}`;
    try {
      await rename(path, rotated);
    } catch (error) {
      this.options.log.warn({ file: path, error }, 'Cannot rotate the file; writing goes on in it');
      return;
    }
    this.background = this.background.then(() => this.finish(path, rotated));
  }

  /** Resolves when all rotated files are compressed. */
  async close(): Promise<void> {
    await this.background;
  }

  private async finish(path: string, rotated: string): Promise<void> {
    const { gzip, log } = this.options;
    if (gzip) {
      const unfinished = `${rotated}.gz.tmp`;
      try {
        const { atime, mtime } = await stat(rotated);
        await pipeline(
          createReadStream(rotated),
          createGzip(),
          createWriteStream(unfinished, { flags: 'wx' }),
        );
        // The age of what is in it, as gzip does: the oldest go first.
        await utimes(unfinished, atime, mtime);
        await rename(unfinished, `${rotated}.gz`);
        await rm(rotated);
      } catch (error) {
        await rm(unfinished, { force: true }).catch(() => {});
        // Where rotation outruns compression, it may be one too many already.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
          log.warn({ file: rotated, error }, 'Cannot compress the rotated file; it stays uncompressed');
        }
      }
    }
    try {
      await this.trim(path);
    } catch (error) {
      log.warn({ file: path, error }, 'Cannot remove old rotated files; the next rotation tries again');
    }
  }

  private async trim(path: string): Promise<void> {
    const directory = dirname(path);
    const prefix = `${basename(path)}.`;
    const rotated: { path: string; mtimeMs: number }[] = [];
    for (const name of await readdir(directory)) {
      if (!name.startsWith(prefix) || !SUFFIX.test(name.slice(prefix.length))) continue;
      const stats = await stat(join(directory, name));
      if (stats.isFile()) rotated.push({ path: join(directory, name), mtimeMs: stats.mtimeMs });
    }
    rotated.sort((a, b) => a.mtimeMs - b.mtimeMs || (a.path < b.path ? -1 : 1));
    for (const old of rotated.slice(0, Math.max(0, rotated.length - this.options.maxFiles)))
      await rm(old.path);
  }
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

/** Local time and chance: two rotations within a second do not meet. */
function suffix(now: Date): string {
  const date = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `${date}_${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}_${randomBytes(4).toString('hex')}`;
}
