/**
 * Which files are followed: finds them, keeps them apart by identity, notices when they are renamed, replaced or deleted, and
 * opens what is new at once, whether or not anybody has time to read: a descriptor that is held cannot be rotated away.
 */
import { closeSync, fstatSync, readSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { Source } from '../../../src/plugin.ts';
import type { Logger, SourceIdentity, SourceStore } from '../../../src/plugin.ts';
import { admit } from './admission.ts';
import type { Refusal } from './admission.ts';
import { expand, matchesPath } from './glob.ts';
import type { Expansion, Pattern } from './glob.ts';
import { fingerprintOf, keyOf } from './identity.ts';
import { findAgain } from './resume.ts';
import type { FoundSource } from './resume.ts';
import { openForReading, TailFile } from './tail-file.ts';
import { DirectoryWatch } from './watch.ts';

export interface FollowOptions {
  patterns: readonly Pattern[];
  excluded: (path: string) => boolean;
  tagOf: (path: string) => string | undefined;
  allowedRoots: readonly string[];
  readFromHead: boolean;
  /** Milliseconds; 0: any age. */
  ignoreOlderMs: number;
  /** Milliseconds between scans where every directory is watched. */
  rescanMs: number;
  inotify: boolean;
  /** Longer lines are cut. Bytes. */
  maxLine: number;
  store: SourceStore | undefined;
  log: Logger;
}

export interface FollowEvents {
  /** A file has something to read, or may have. */
  onReady: (file: TailFile) => void;
  onOpened: () => void;
  onRotated: () => void;
  onRefused: (reason: Refusal) => void;
  onLost: (reason: 'truncated' | 'source_gone', bytes: number) => void;
}

/** Between scans where directories cannot be watched. */
const POLL_MS = 1000;
/** How long a name that came and went at once explains a sibling that appeared. */
const RECENT_MS = 5000;

interface Candidate {
  path: string;
  pattern: Pattern;
  descriptor: number;
  stats: BigIntStats;
  realPath: string;
}

export class Follower {
  /** All followed files, by identity. */
  readonly files = new Map<string, TailFile>();
  private readonly options: FollowOptions;
  private readonly events: FollowEvents;
  private readonly watch: DirectoryWatch;
  /** The generation that is at a path now. */
  private readonly atPath = new Map<string, TailFile>();
  private readonly atRealPath = new Map<string, TailFile>();
  /** Refused paths, so that each is told once. */
  private readonly refused = new Map<string, Refusal>();
  /** Matching names that came or went lately: monotonic milliseconds. */
  private readonly recent = new Map<string, number>();
  private directories = new Set<string>();
  private readonly startedAt = Date.now();
  private first = true;
  private scanDue = 0;
  private closed = false;

  constructor(options: FollowOptions, events: FollowEvents) {
    this.options = options;
    this.events = events;
    this.watch = new DirectoryWatch(
      {
        onName: (directory, name) => this.nameChanged(directory, name),
        onChange: (directory, name) => this.bytesChanged(join(directory, name)),
      },
      options.log,
    );
  }

  /** Finds remembered files again, then looks for new ones. */
  async start(): Promise<void> {
    const expansion = this.expandAll();
    this.watchDirectories(expansion);
    await this.resume();
    this.scan();
    this.options.store?.claim();
    this.first = false;
  }

  close(): void {
    this.closed = true;
    this.watch.close();
    for (const file of this.files.values()) {
      this.options.store?.describe(file.source, undefined);
      file.close();
    }
  }

  /** Milliseconds until {@link scan} wants to be called again. */
  get scanInMs(): number {
    return Math.max(0, this.scanDue - performance.now());
  }

  private expandAll(): Expansion {
    const all: Expansion = { paths: new Set(), directories: new Set(), complete: true };
    for (const pattern of this.options.patterns) expand(pattern, all);
    return all;
  }

  private watchDirectories(expansion: Expansion): void {
    if (!this.options.inotify) return;
    this.directories = new Set(expansion.directories);
    // A link's target changes in a directory of its own.
    for (const file of this.files.values()) {
      if (file.rotatedAt === undefined) this.directories.add(dirname(file.realPath));
    }
    this.watch.watchOnly(this.directories);
  }

  private async resume(): Promise<void> {
    const { store, log } = this.options;
    const gone: Source[] = [];
    const found: FoundSource[] = [];
    for (const stored of store?.load() ?? []) {
      const result = await findAgain(stored);
      if (result === 'unreadable') continue;
      if (result !== 'gone') {
        found.push(result);
        continue;
      }
      const lost = stored.size - stored.position;
      if (lost > 0) {
        this.events.onLost('source_gone', lost);
        log.warn({ file: stored.identity.path, bytes: lost }, 'A file went while nobody read it; its rest is lost');
      }
      gone.push(stored.source);
    }
    if (gone.length > 0) store?.remove(gone);
    // Oldest first, so that generations of one path are read in order.
    found.sort((a, b) => Number(a.stats.mtimeNs - b.stats.mtimeNs));
    for (const each of found) this.resumeFile(each);
  }

  private resumeFile({ stored, path, stats, descriptor, compressed }: FoundSource): void {
    const pattern = this.patternOf(path);
    const key = keyOf(stats);
    const { source, identity } = stored;
    // After a reload the source is alive: what it handed over is under way and need not be read again.
    const offset = source.emitted;
    if (pattern === undefined && !compressed && stats.size <= BigInt(offset)) {
      // Rotated and read to its end: remembered, so that it is not taken for a new file, but not followed.
      closeSync(descriptor);
      return;
    }
    const file = new TailFile({
      path,
      realPath: path,
      key,
      tag: this.options.tagOf(this.shown(identity.path)) ?? '',
      shown: this.shown(identity.path),
      source,
      identity: { ...identity, path, device: String(stats.dev) },
      offset,
      size: compressed ? stored.size : Number(stats.size),
      compressed,
      descriptor,
    });
    file.skipping = !compressed && stoppedWithinLine(descriptor, offset, this.options.maxLine);
    if (pattern === undefined || path !== identity.path) {
      file.rotatedAt = pattern === undefined ? performance.now() : undefined;
      this.options.store?.identify(source, file.identity);
    }
    this.track(file, pattern !== undefined);
  }

  private patternOf(path: string): Pattern | undefined {
    return this.options.excluded(path)
      ? undefined
      : this.options.patterns.find((pattern) => matchesPath(pattern, path));
  }

  /** The path as records and tags show it: relative where the pattern is. */
  private shown(path: string): string {
    const pattern = this.options.patterns.find((each) => matchesPath(each, path)) ?? this.options.patterns[0];
    return pattern === undefined ? path : pattern.show(path);
  }

  private track(file: TailFile, current: boolean): void {
    this.files.set(file.key, file);
    this.options.store?.describe(file.source, (position) => file.describe(position));
    if (current) {
      const before = this.atPath.get(file.path);
      if (before !== undefined && before !== file) file.predecessor = before;
      this.atPath.set(file.path, file);
      this.atRealPath.set(file.realPath, file);
    }
    this.events.onOpened();
    this.events.onReady(file);
  }

  /** Looks at everything: the start, a directory that changed, and the safety net. */
  scan(): void {
    if (this.closed) return;
    const expansion = this.expandAll();
    const candidates: Candidate[] = [];
    for (const path of expansion.paths) this.look(path, candidates);
    for (const path of this.atPath.keys()) {
      if (!expansion.paths.has(path) && expansion.complete) this.look(path, candidates);
    }
    this.adopt(candidates);
    for (const file of this.files.values()) this.noticeGrowth(file);
    this.watchDirectories(expansion);
    const watched = this.options.inotify && this.watch.complete;
    this.scanDue = performance.now() + (watched ? this.options.rescanMs : Math.min(POLL_MS, this.options.rescanMs));
  }

  private noticeGrowth(file: TailFile): void {
    if (file.caughtUpAt === undefined || file.broken || file.compressed) return;
    const size = file.isOpen ? sizeOf(file) : statSync(file.path, { throwIfNoEntry: false })?.size;
    if (size !== undefined && size !== file.offset) this.ready(file);
  }

  private ready(file: TailFile): void {
    file.caughtUpAt = undefined;
    this.events.onReady(file);
  }

  private bytesChanged(path: string): void {
    const file = this.atPath.get(path) ?? this.atRealPath.get(path);
    if (file !== undefined) this.ready(file);
    else if (this.patternOf(path) !== undefined) this.lookAt(path);
  }

  private nameChanged(directory: string, name: string | undefined): void {
    if (this.closed) return;
    if (name === undefined) {
      this.scanDue = 0;
      this.wakeUp();
      return;
    }
    const path = join(directory, name);
    if (this.patternOf(path) !== undefined) {
      this.recent.set(path, performance.now());
      this.lookAt(path);
    } else if (this.atRealPath.has(path)) {
      // The target of a link was replaced: look at the links.
      for (const [link, file] of this.atPath) if (file.realPath === path) this.lookAt(link);
    } else {
      this.lookForRotated(directory, name);
    }
    // A directory that a pattern passes through may have come.
    if (this.options.patterns.some((pattern) => pattern.segments.length > 1 || !this.directories.has(pattern.base))) {
      this.scanDue = 0;
      this.wakeUp();
    }
  }

  private wakeUp(): void {
    const [any] = this.files.values();
    if (any !== undefined) this.events.onReady(any);
    else this.scan();
  }

  private lookAt(path: string): void {
    const candidates: Candidate[] = [];
    this.look(path, candidates);
    this.adopt(candidates);
  }

  /**
   * A name outside of the patterns appeared. If it is a followed file, it was rotated there. If nobody knows it, it was born since
   * we watch, and a matching name came and went just now, it was rotated before we could open it.
   */
  private lookForRotated(directory: string, name: string): void {
    const path = join(directory, name);
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || !stats.isFile()) return;
    const known = this.files.get(keyOf(stats));
    if (known !== undefined) {
      this.moved(known, path);
      return;
    }
    const now = performance.now();
    for (const [original, at] of this.recent) {
      if (now - at > RECENT_MS) {
        this.recent.delete(original);
        continue;
      }
      const pattern = this.patternOf(original);
      const suffixed = dirname(original) === directory && name.startsWith(basename(original));
      // Where birth times are not kept they equal the change time, and say nothing.
      const born = stats.birthtimeMs >= BigInt(this.startedAt) && stats.birthtimeNs < stats.ctimeNs;
      if (pattern === undefined || !suffixed || !born) continue;
      const admitted = admit(path, pattern.wild ? pattern.base : undefined, this.options.allowedRoots);
      if ('refused' in admitted) continue;
      this.adopt([{ path: original, pattern, ...admitted }], path);
      return;
    }
  }

  /** A followed file has another name now. */
  private moved(file: TailFile, path: string): void {
    if (file.path === path) return;
    if (this.atPath.get(file.path) === file) this.atPath.delete(file.path);
    file.path = path;
    file.deleted = false;
    file.identity = { ...file.identity, path };
    this.options.store?.identify(file.source, file.identity);
    if (this.patternOf(path) === undefined) {
      if (file.rotatedAt === undefined) this.events.onRotated();
      file.rotatedAt ??= performance.now();
    } else {
      file.rotatedAt = undefined;
      this.atPath.set(path, file);
    }
    this.ready(file);
  }

  /** Looks at one path that matches: new, the same, replaced, or gone. */
  private look(path: string, candidates: Candidate[]): void {
    const pattern = this.patternOf(path);
    if (pattern === undefined) return;
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    const before = this.atPath.get(path);
    const key = stats === undefined ? undefined : keyOf(stats);
    if (before !== undefined && before.key !== key) this.displaced(before);
    if (stats === undefined || key === undefined) {
      this.refused.delete(path);
      return;
    }
    const known = this.files.get(key);
    if (known !== undefined) {
      if (known !== before) this.moved(known, path);
      return;
    }
    if (this.tooOld(stats)) return;
    if (this.options.tagOf(pattern.show(path)) === undefined) {
      this.refuse(path, 'no_tag', 'tag_regex does not match it');
      return;
    }
    const admitted = admit(path, pattern.wild ? pattern.base : undefined, this.options.allowedRoots);
    if ('refused' in admitted) {
      this.refuse(path, admitted.refused, admitted.reason);
      return;
    }
    // Between stat and open it may have become another one, even one that is followed.
    if (this.files.has(keyOf(admitted.stats)) || candidates.some((each) => keyOf(each.stats) === keyOf(admitted.stats))) {
      closeSync(admitted.descriptor);
      return;
    }
    candidates.push({ path, pattern, ...admitted });
  }

  private tooOld(stats: BigIntStats): boolean {
    const { ignoreOlderMs } = this.options;
    return ignoreOlderMs > 0 && Number(stats.mtimeMs) < Date.now() - ignoreOlderMs;
  }

  private refuse(path: string, refusal: Refusal, reason: string): void {
    if (this.refused.get(path) === refusal || refusal === 'gone') return;
    this.refused.set(path, refusal);
    this.events.onRefused(refusal);
    this.options.log.warn({ file: path, reason }, 'A path that matches is not read');
  }

  /** The file at its path is another one, or none: the followed one was renamed or deleted. */
  private displaced(file: TailFile): void {
    if (this.atPath.get(file.path) === file) {
      this.atPath.delete(file.path);
      // The next generation of the path waits for this one.
      this.lastAt.set(file.path, file);
    }
    if (file.rotatedAt === undefined) {
      file.rotatedAt = performance.now();
      this.events.onRotated();
    }
    file.deleted = !file.isOpen || linksOf(file) === 0;
    this.ready(file);
  }

  /** The last generation that was displaced from a path. */
  private readonly lastAt = new Map<string, TailFile>();

  /** Begins to follow files that nobody knew; `nowAt` where they are already rotated. */
  private adopt(candidates: readonly Candidate[], nowAt?: string): void {
    if (candidates.length === 0) return;
    const { store, log } = this.options;
    const ordered = candidates.toSorted((a, b) => Number(a.stats.mtimeNs - b.stats.mtimeNs));
    const found = ordered.map((candidate) => this.firstSight(candidate, nowAt));
    let sources: Source[];
    try {
      sources = store?.add(found) ?? found.map(({ start }) => new Source(randomUUID(), start));
    } catch (error) {
      // Unknown after a restart, such a file is read from its start: doubled, not lost.
      log.error({ error, files: found.length }, 'New files cannot be remembered; they are read all the same');
      sources = found.map(({ start }) => new Source(randomUUID(), start));
    }
    ordered.forEach((candidate, index) => {
      const { identity } = found[index] as { identity: SourceIdentity };
      const source = sources[index] as Source;
      const file = new TailFile({
        path: nowAt ?? candidate.path,
        realPath: nowAt ?? candidate.realPath,
        key: keyOf(candidate.stats),
        tag: this.options.tagOf(candidate.pattern.show(candidate.path)) ?? '',
        shown: candidate.pattern.show(candidate.path),
        source,
        identity,
        // The store may know better where it begins than the first sight.
        offset: source.emitted,
        size: Number(candidate.stats.size),
        compressed: isCompressed(candidate.path, candidate.descriptor),
        descriptor: candidate.descriptor,
      });
      file.predecessor = this.lastAt.get(candidate.path);
      if (nowAt === undefined) this.lastAt.delete(candidate.path);
      else {
        file.rotatedAt = performance.now();
        this.lastAt.set(candidate.path, file);
        this.events.onRotated();
      }
      this.track(file, nowAt === undefined);
      this.watchTarget(file);
    });
  }

  private watchTarget(file: TailFile): void {
    const directory = dirname(file.realPath);
    if (!this.options.inotify || this.first || this.directories.has(directory)) return;
    this.directories.add(directory);
    this.watch.watchOnly(this.directories);
  }

  /** Identity and start offset of a file that nobody knew (rule 2). */
  private firstSight({ path, stats, descriptor }: Candidate, nowAt = path): { identity: SourceIdentity; start: number } {
    const { store, readFromHead } = this.options;
    const size = Number(stats.size);
    const identity: SourceIdentity = {
      path: nowAt,
      device: String(stats.dev),
      inode: String(stats.ino),
      ...fingerprintOf(descriptor, size),
    };
    const legacy = store?.legacy.find((each) => each.inode === identity.inode && basename(each.path) === basename(path));
    if (legacy !== undefined && legacy.offset <= size) return { identity, start: legacy.offset };
    // Only the very first time; later an unknown file is a new one.
    const skip = this.first && !readFromHead && (store === undefined || store.fresh);
    return { identity, start: skip ? size : 0 };
  }

  /** The file became another one in place (truncated, or rewritten): it is read from its head as a new generation. */
  restart(file: TailFile): void {
    const { store, log } = this.options;
    const size = sizeOf(file) ?? 0;
    const lost = Math.max(0, file.size - file.offset);
    if (lost > 0) this.events.onLost('truncated', lost);
    log.warn({ file: file.path, offset: file.offset, bytes_lost: lost }, 'A file was truncated; it is read from its head');
    const identity = { ...file.identity, ...fingerprintOf(file.bytes.descriptor, size) };
    const old = file.source;
    store?.describe(old, undefined);
    let source: Source;
    try {
      source = store?.add([{ identity, start: 0 }])[0] ?? new Source(randomUUID(), 0);
      store?.remove([old]);
    } catch (error) {
      log.error({ error, file: file.path }, 'A truncated file cannot be remembered; it is read all the same');
      source = new Source(randomUUID(), 0);
    }
    file.source = source;
    file.identity = identity;
    file.offset = 0;
    file.size = size;
    file.guard = Buffer.alloc(0);
    file.skipping = false;
    file.encoding = undefined;
    store?.describe(source, (position) => file.describe(position));
    this.ready(file);
  }

  /** Lets go of a file that is rotated away, read and settled. */
  forget(file: TailFile): void {
    this.options.store?.describe(file.source, undefined);
    if (file.deleted || linksOf(file) === 0) this.options.store?.remove([file.source]);
    file.close();
    this.files.delete(file.key);
    if (this.atPath.get(file.path) === file) this.atPath.delete(file.path);
    if (this.atRealPath.get(file.realPath) === file) this.atRealPath.delete(file.realPath);
    for (const [path, last] of this.lastAt) if (last === file) this.lastAt.delete(path);
  }

  /** Opens a file again that was closed to save descriptors. False when it is not there any more. */
  reopen(file: TailFile): boolean {
    for (const path of [file.path, file.realPath]) {
      let descriptor: number;
      try {
        descriptor = openForReading(path);
      } catch {
        continue;
      }
      const stats = fstatSync(descriptor, { bigint: true });
      if (keyOf(stats) === file.key) {
        file.useDescriptor(descriptor);
        return true;
      }
      closeSync(descriptor);
    }
    return false;
  }
}

function sizeOf(file: TailFile): number | undefined {
  return file.isOpen ? fstatSync(file.bytes.descriptor).size : undefined;
}

/** Names that the file has; 0 when it is deleted. */
function linksOf(file: TailFile): number {
  return file.isOpen ? fstatSync(file.bytes.descriptor).nlink : 1;
}

function isCompressed(path: string, descriptor: number): boolean {
  if (!path.endsWith('.gz')) return false;
  const magic = Buffer.alloc(2);
  readSync(descriptor, magic, 0, 2, 0);
  return magic[0] === 0x1f && magic[1] === 0x8b;
}

/** True when reading stopped inside an over-long line whose rest was being passed over: no line end in a line's length before the offset. */
function stoppedWithinLine(descriptor: number, offset: number, maxLine: number): boolean {
  if (offset < maxLine) return false;
  // A cut may lie some bytes before the limit, at the border of a character.
  const before = Buffer.alloc(maxLine - 4);
  const count = readSync(descriptor, before, 0, before.length, offset - before.length);
  return count === before.length && !before.includes(10);
}
