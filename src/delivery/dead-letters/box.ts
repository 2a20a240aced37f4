/** The letters of one output: a row of files of which the last is written to and the first ones go, bounded in size and age. */
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Range } from '../../event/ranges.ts';
import { append, makeFolder, removeRanges } from './disk.ts';
import { measure } from './lines.ts';
import { fileName, listFiles } from './names.ts';
import type { LetterFile } from './names.ts';

/** A file of its own begins at this size, or at a share of the limit. Bytes. */
const FILE_BYTES = 8_000_000;
/** A file holds letters of at most a day, or of this share of the greatest age, so that few go before their time. */
const SHARE = 8;
const DAY_MS = 86_400_000;

export interface BoxFile extends LetterFile {
  bytes: number;
  letters: number;
  /** Nothing is appended any more. */
  sealed: boolean;
}

export type EvictionReason = 'size' | 'age';

export interface BoxOptions {
  folder: string;
  /** Bytes of all files. */
  limit: number;
  /** Milliseconds; Infinity for no bound. */
  maxAgeMs: number;
  onEvicted: (reason: EvictionReason, letters: number, bytes: number) => void;
}

export class LetterBox {
  readonly folder: string;
  private list: BoxFile[] = [];
  private readonly options: BoxOptions;
  private readonly fileBytes: number;
  private readonly fileMs: number;

  /** Looks at what is there. Throws when the folder cannot be read. */
  constructor(options: BoxOptions) {
    this.options = options;
    this.folder = options.folder;
    this.fileBytes = Math.min(FILE_BYTES, Math.ceil(options.limit / SHARE));
    this.fileMs = Math.min(DAY_MS, options.maxAgeMs / SHARE);
    makeFolder(this.folder);
    const { files, unfinished } = listFiles(this.folder);
    for (const name of unfinished) rmSync(join(this.folder, name), { force: true });
    for (const file of files) {
      const { lines, bytes, torn } = this.measure(file.name);
      if (bytes === 0) rmSync(join(this.folder, file.name), { force: true });
      // Behind a torn line nothing can be appended.
      else this.list.push({ ...file, bytes, letters: lines, sealed: torn });
    }
    for (const file of this.list.slice(0, -1)) file.sealed = true;
  }

  private measure(name: string): ReturnType<typeof measure> {
    const descriptor = openSync(join(this.folder, name), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return measure(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  /** Oldest first. */
  get files(): readonly BoxFile[] {
    return this.list;
  }

  get bytes(): number {
    return this.list.reduce((sum, file) => sum + file.bytes, 0);
  }

  get letters(): number {
    return this.list.reduce((sum, file) => sum + file.letters, 0);
  }

  /** Appends lines with their ends, synced when the call returns. `now` is Unix milliseconds. Throws what writing throws. */
  write(lines: readonly string[], now: number): void {
    for (let at = 0; at < lines.length;) {
      const file = this.current(now);
      let used = file?.bytes ?? 0;
      const parts: Buffer[] = [];
      do {
        const bytes = Buffer.from(lines[at] as string);
        // A file takes one letter at least, however long.
        if (parts.length + used > 0 && used + bytes.length > this.fileBytes) break;
        parts.push(bytes);
        used += bytes.length;
        at++;
      } while (at < lines.length);
      if (parts.length === 0) (file as BoxFile).sealed = true;
      else this.append(file, Buffer.concat(parts), parts.length, now);
    }
  }

  private append(file: BoxFile | undefined, bytes: Buffer, letters: number, now: number): void {
    this.evictBySize(this.options.limit - bytes.length);
    const sequence = (this.list.at(-1)?.sequence ?? 0) + 1;
    const target = file ?? {
      name: fileName(now, sequence),
      since: now,
      sequence,
      bytes: 0,
      letters: 0,
      sealed: false,
    };
    try {
      if (file === undefined) makeFolder(this.folder);
      append(this.folder, target.name, bytes, target.bytes, file === undefined);
    } catch (error) {
      // What its end looks like now is not known.
      target.sealed = true;
      if (file === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      // Somebody removed the file by hand.
      this.remove(file);
      this.append(undefined, bytes, letters, now);
      return;
    }
    target.bytes += bytes.length;
    target.letters += letters;
    if (file === undefined) this.list.push(target);
  }

  /** The file that can be appended to. */
  private current(now: number): BoxFile | undefined {
    const last = this.list.at(-1);
    if (last === undefined || last.sealed) return undefined;
    if (last.bytes < this.fileBytes && Math.abs(now - last.since) < this.fileMs) return last;
    last.sealed = true;
    return undefined;
  }

  /** From now on nothing is appended to the files that are there. */
  seal(): readonly BoxFile[] {
    for (const file of this.list) file.sealed = true;
    return [...this.list];
  }

  /** The oldest files go until the rest has at most `bytes`; never the one that is written to. */
  evictBySize(bytes = this.options.limit): void {
    for (let file = this.list[0]; file !== undefined && this.bytes > bytes; file = this.list[0]) {
      if (!file.sealed) return;
      this.evict(file, 'size');
    }
  }

  /** Files whose first letter is too old. */
  aged(now: number): readonly BoxFile[] {
    // One that is not written to for long holds no newer letters either.
    this.current(now);
    return this.list.filter((file) => file.sealed && now - file.since > this.options.maxAgeMs);
  }

  evict(file: BoxFile, reason: EvictionReason): void {
    const { letters, bytes } = file;
    this.remove(file);
    this.options.onEvicted(reason, letters, bytes);
  }

  /** Takes letters out of a sealed file; nothing happens when the file went in the meantime. Throws what writing throws. */
  take(file: BoxFile, ranges: readonly Range[], letters: number): void {
    if (!this.list.includes(file) || letters === 0) return;
    const bytes = ranges.reduce((sum, [start, stop]) => sum + stop - start, 0);
    if (bytes >= file.bytes) {
      this.remove(file);
      return;
    }
    removeRanges(this.folder, file.name, ranges);
    file.bytes -= bytes;
    file.letters -= letters;
  }

  private remove(file: BoxFile): void {
    rmSync(join(this.folder, file.name), { force: true });
    this.list = this.list.filter((each) => each !== file);
  }
}
