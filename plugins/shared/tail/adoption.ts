/** Beginning to follow files that nobody knew: whether they may be opened, what they are known by, and where reading starts. */
import type { BigIntStats } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { Source } from '../../../src/plugin.ts';
import type { SourceIdentity } from '../../../src/plugin.ts';
import { admit } from './admission.ts';
import type { Refusal } from './admission.ts';
import type { FileTable } from './file-table.ts';
import type { FinishedFiles } from './finished.ts';
import { patternOf } from './follow-options.ts';
import type { FollowEvents, FollowOptions } from './follow-options.ts';
import type { Pattern } from './glob.ts';
import { gzipFingerprint, isGzip } from './gzip.ts';
import { FINGERPRINT_BYTES, fingerprintOf, keyOf } from './identity.ts';
import type { Fingerprint } from './identity.ts';
import { discard, TailFile } from './tail-file.ts';

export interface Candidate {
  /** By which it is followed. */
  path: string;
  pattern: Pattern;
  descriptor: number;
  stats: BigIntStats;
  realPath: string;
  compressed: boolean;
  /** It is not at `path` any more. */
  rotated: boolean;
}

export class Adoption {
  /** True until the first look is over: only then a file may be an old one whose content is not wanted (rule 2). */
  first = true;
  private readonly options: FollowOptions;
  private readonly events: FollowEvents;
  private readonly table: FileTable;
  private readonly finished: FinishedFiles;
  private readonly track: (file: TailFile, descriptor: number, path: string | undefined) => void;
  private readonly fresh: boolean;
  /** Refused paths, so that each is told once. */
  private readonly refused = new Map<string, Refusal>();

  /** `track` takes a new file among the followed ones; `path` leads to it, if it is not rotated away already. */
  constructor(parts: {
    options: FollowOptions;
    events: FollowEvents;
    table: FileTable;
    finished: FinishedFiles;
    track: (file: TailFile, descriptor: number, path: string | undefined) => void;
  }) {
    this.options = parts.options;
    this.events = parts.events;
    this.table = parts.table;
    this.finished = parts.finished;
    this.track = parts.track;
    this.fresh = parts.options.store?.fresh ?? true;
  }

  /** Counts a path that is not read, and says so once. */
  refuse(path: string, refusal: Refusal, reason: string): void {
    if (this.refused.get(path) === refusal || refusal === 'gone') return;
    this.refused.set(path, refusal);
    this.events.onRefused(refusal);
    this.options.log.warn({ file: path, reason }, 'A path that matches is not read');
  }

  refusalOf(path: string): Refusal | undefined {
    return this.refused.get(path);
  }

  /** The path is another file, or none: what was said of it is over. */
  forgive(path: string): void {
    this.refused.delete(path);
  }

  /** Opens a file at a path that matches; undefined where it is not to be read. */
  open(path: string): Candidate | undefined {
    const pattern = patternOf(this.options, path);
    if (pattern === undefined) return undefined;
    const admitted = admit(path, pattern.wild ? pattern.base : undefined, this.options.allowedRoots);
    if ('refused' in admitted) {
      this.refuse(path, admitted.refused, admitted.reason);
      return undefined;
    }
    const compressed = isGzip(path, admitted.descriptor);
    if (compressed && this.isKnownContent(path, admitted.descriptor)) {
      discard(admitted.descriptor);
      return undefined;
    }
    return { path, pattern, ...admitted, compressed, rotated: false };
  }

  /** Whether what a compressed file was made of is being read, or was. */
  private isKnownContent(path: string, descriptor: number): boolean {
    const { fingerprint } = gzipFingerprint(descriptor, FINGERPRINT_BYTES);
    const plain = path.replace(/\.gz$/, '');
    for (const { identity, realPath, path: origin } of this.table.files.values()) {
      if (identity.fingerprint === fingerprint && (realPath === plain || origin === plain)) return true;
    }
    return this.finished.hasContent(fingerprint, path);
  }

  /** Follows a generation of `original` that nobody had seen, where it is now. */
  adoptRotated(original: string, path: string, stats: BigIntStats): void {
    const key = keyOf(stats);
    const pattern = patternOf(this.options, original);
    // One that matches a pattern itself is found by it.
    if (pattern === undefined || patternOf(this.options, path) !== undefined) return;
    if (this.table.files.has(key) || this.finished.has(key, path)) return;
    const admitted = admit(path, pattern.wild ? dirname(path) : undefined, this.options.allowedRoots);
    if ('refused' in admitted) return;
    const compressed = isGzip(path, admitted.descriptor);
    const { fingerprint } = contentOf(admitted.descriptor, Number(admitted.stats.size), compressed);
    // A copy of what is followed anyway: somebody is about to truncate the original, or is compressing it.
    if (this.isCopy(fingerprint, original) || (path.endsWith('.gz') && !compressed))
      discard(admitted.descriptor);
    else this.adopt([{ path: original, pattern, ...admitted, compressed, rotated: true }]);
  }

  private isCopy(fingerprint: string, original: string): boolean {
    for (const { path, identity } of this.table.files.values()) {
      if (path === original && identity.fingerprint === fingerprint) return true;
    }
    return false;
  }

  /** Begins to follow opened files; their sources are stored together before anything of them is read. */
  adopt(opened: readonly (Candidate | undefined)[]): void {
    const candidates = this.unknownOf(opened);
    if (candidates.length === 0) return;
    const found = candidates.map((candidate) => this.firstSight(candidate));
    const sources =
      this.options.store?.add(found) ?? found.map(({ start }) => new Source(randomUUID(), start));
    candidates.forEach(({ path, pattern, realPath, stats, compressed, rotated, descriptor }, index) => {
      const { identity, size } = found[index] as { identity: SourceIdentity; size: number };
      const source = sources[index] as Source;
      const shown = pattern.show(path);
      const file = new TailFile({
        path,
        realPath,
        key: keyOf(stats),
        tag: this.options.tagOf(shown) ?? '',
        shown,
        source,
        identity,
        // The store may know better where it begins than the first sight.
        offset: source.emitted,
        size,
        mtimeMs: Number(stats.mtimeMs),
        compressed,
      });
      file.predecessor = this.table.lastAt.get(path);
      if (rotated) this.events.onRotated();
      else this.table.lastAt.delete(path);
      this.forgive(path);
      this.track(file, descriptor, rotated ? undefined : path);
    });
  }

  /** Between the look and the opening a path may have become another file, even one that is followed. */
  private unknownOf(opened: readonly (Candidate | undefined)[]): Candidate[] {
    const candidates = new Map<string, Candidate>();
    for (const candidate of opened) {
      if (candidate === undefined) continue;
      const key = keyOf(candidate.stats);
      const known = this.table.files.get(key);
      if (known === undefined && !candidates.has(key)) {
        candidates.set(key, candidate);
        continue;
      }
      discard(candidate.descriptor);
      if (known !== undefined && !candidate.rotated) this.table.name(candidate.path, known);
    }
    return [...candidates.values()];
  }

  /** Identity and start offset of a file that nobody knew (rule 2). */
  private firstSight(candidate: Candidate): { identity: SourceIdentity; start: number; size: number } {
    const { path, realPath, stats, descriptor, compressed, rotated } = candidate;
    const bytes = Number(stats.size);
    const identity: SourceIdentity = {
      path,
      realPath,
      device: String(stats.dev),
      inode: String(stats.ino),
      ...contentOf(descriptor, bytes, compressed),
    };
    const size = compressed ? 0 : bytes;
    const legacy = this.first && !compressed ? this.legacyOf(identity.inode, path) : undefined;
    if (legacy !== undefined && legacy <= bytes) return { identity, start: legacy, size };
    // Only the very first time; later an unknown file is a new one.
    const skip = this.first && this.fresh && !this.options.readFromHead && !rotated && !compressed;
    return { identity, start: skip ? bytes : 0, size };
  }

  /** Where Fluent Bit stopped reading a file. */
  private legacyOf(inode: string, path: string): number | undefined {
    return this.options.store?.legacy.find(
      (each) => each.inode === inode && basename(each.path) === basename(path),
    )?.offset;
  }
}

function contentOf(descriptor: number, size: number, compressed: boolean): Fingerprint {
  return compressed ? gzipFingerprint(descriptor, FINGERPRINT_BYTES) : fingerprintOf(descriptor, size);
}
