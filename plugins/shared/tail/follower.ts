/**
 * Which files are followed: finds them, keeps them apart by identity, notices when they are renamed, replaced or deleted, and
 * opens what is new at once, whether or not anybody has time to read: a descriptor that is held cannot be rotated away.
 */
import { fstatSync, lstatSync, statSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Adoption } from './adoption.ts';
import { Descriptors } from './descriptors.ts';
import { Endings } from './endings.ts';
import { FileTable, realPathOf } from './file-table.ts';
import { FinishedFiles } from './finished.ts';
import { patternOf } from './follow-options.ts';
import type { FollowEvents, FollowOptions } from './follow-options.ts';
import { expand } from './glob.ts';
import type { Expansion } from './glob.ts';
import { keyOf } from './identity.ts';
import { Links } from './links.ts';
import { findMissed, SLACK_MS } from './missed.ts';
import { NameEvents, oldestFirst } from './name-events.ts';
import { resumeFile, resumeSources } from './resumption.ts';
import type { Resumption } from './resumption.ts';
import { Siblings, statOf } from './siblings.ts';
import { discard, openForReading } from './tail-file.ts';
import type { TailFile } from './tail-file.ts';
import { DirectoryWatch } from './watch.ts';

/** Between scans where directories cannot be watched, or something has to be looked at again. */
const POLL_MS = 1000;
/** Scans that events ask for are at least this far apart. */
const SCAN_GAP_MS = 100;
/** Files that are looked at before others have a turn. */
const SLICE = 256;
/** Directories looked at in a second, to see whether they are still the ones that are watched. */
const VERIFIED = 256;

export class Follower {
  readonly descriptors: Descriptors;
  /** How files end: replaced in place, read to their end, or lost. */
  readonly endings: Endings;
  private readonly options: FollowOptions;
  private readonly events: FollowEvents;
  private readonly watch: DirectoryWatch;
  private readonly table: FileTable;
  private readonly finished: FinishedFiles;
  private readonly adoption: Adoption;
  private readonly names: NameEvents;
  private readonly links = new Links();
  /** Sizes of compressed files that may still be written. */
  private readonly growing = new Map<string, bigint>();
  private directories = new Set<string>();
  private readonly startedAt = Date.now();
  /** Something happened during the start. */
  private disturbed = false;
  private lookedAt: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private verifying: NodeJS.Timeout | undefined;
  private dueAt = Number.POSITIVE_INFINITY;
  private scannedAt = Number.NEGATIVE_INFINITY;
  private purgedAt = 0;
  private scanning: Promise<void> | undefined;
  private closed = false;

  constructor(options: FollowOptions, events: FollowEvents) {
    this.options = options;
    this.events = events;
    this.descriptors = new Descriptors(options.maxOpen);
    this.table = new FileTable(options.store, events);
    this.finished = new FinishedFiles(options.store);
    const { table, finished } = this;
    this.adoption = new Adoption({ options, events, table, finished, track: this.track });
    this.names = new NameEvents({
      options,
      table,
      finished,
      adoption: this.adoption,
      links: this.links,
      startedAt: this.startedAt,
      guarded: (action) => this.guarded(action),
      lookAt: (path) => this.lookAt(path),
      isPassed: (path) => this.directories.has(path),
      scan: () => this.scanWithin(0),
    });
    this.endings = new Endings({ options, events, table, finished, descriptors: this.descriptors });
    this.lookedAt = options.store?.lastWritten;
    this.watch = new DirectoryWatch(
      {
        onName: (directory, name) => this.guarded(() => this.names.changed(directory, name)),
        onChange: (directory, name) => this.guarded(() => this.bytesChanged(join(directory, name))),
      },
      options.log,
    );
  }

  /** Finds remembered files again, then looks for new ones. */
  async start(): Promise<void> {
    this.expandAndWatch();
    const { adoption } = this;
    await resumeSources(this.resumption);
    await this.scan();
    this.table.chainGenerations();
    this.options.store?.claim();
    adoption.first = false;
    if (this.disturbed) this.scanWithin(0);
    if (this.files.size === 0 && !this.closed) {
      const path = this.options.patterns.map(({ text }) => text);
      this.options.log.info({ path }, 'There is no file to read yet; those that come are read');
    }
    if (this.closed || !this.options.inotify) return;
    // The end of a directory is told late, or not at all when a link to it was switched.
    this.verifying = setInterval(() => {
      if (this.watch.isOutdated(VERIFIED)) this.scanWithin(0);
    }, POLL_MS);
  }

  private get resumption(): Resumption {
    const { options, events, finished, adoption, track } = this;
    return { options, events, finished, adoption, track };
  }

  /** All followed files, by identity. */
  get files(): ReadonlyMap<string, TailFile> {
    return this.table.files;
  }

  /** False once it was let go. */
  isFollowed(file: TailFile): boolean {
    return this.files.get(file.key) === file;
  }

  /** True while there is something that can only be opened a moment later. */
  get isWaiting(): boolean {
    return this.growing.size > 0;
  }

  /** Looks for nothing any more; what is followed can still be read. */
  async stop(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    clearInterval(this.verifying);
    this.watch.close();
    await this.scanning;
    for (const file of this.files.values()) file.observeSize();
  }

  /** What the file system answers must not end the agent. */
  private guarded(action: () => void): void {
    if (this.closed) return;
    if (this.adoption.first) {
      this.disturbed = true;
      return;
    }
    try {
      action();
    } catch (error) {
      this.options.log.error({ error }, 'Looking at a file failed; it is tried again');
      this.scanWithin(POLL_MS);
    }
  }

  // ------------------------------------------------------------ scanning

  /** Sees to it that a scan begins within so many milliseconds. */
  private scanWithin(ms: number): void {
    if (this.closed) return;
    const now = performance.now();
    const at = Math.max(now + ms, this.scannedAt + SCAN_GAP_MS);
    if (at >= this.dueAt) return;
    clearTimeout(this.timer);
    this.dueAt = at;
    this.timer = setTimeout(() => {
      this.dueAt = Number.POSITIVE_INFINITY;
      void this.scan();
    }, at - now);
  }

  /** Looks at everything: at the start, when a directory changed, and as the safety net. Never rejects. */
  private scan(): Promise<void> {
    this.scanning ??= this.look()
      .catch((error: unknown) =>
        this.options.log.error({ error }, 'Looking for files failed; it is tried again'),
      )
      .finally(() => {
        this.scanning = undefined;
        this.scannedAt = performance.now();
        const { inotify, rescanMs } = this.options;
        const settled = inotify && this.watch.complete && this.growing.size === 0;
        this.scanWithin(settled ? rescanMs : Math.min(POLL_MS, rescanMs));
      });
    return this.scanning;
  }

  private async look(): Promise<void> {
    const since = this.lookedAt;
    const lookedAt = Date.now();
    const expansion = this.expandAndWatch();
    const unknown: { path: string; stats: BigIntStats }[] = [];
    const paths = [...expansion.paths];
    if (expansion.complete) {
      for (const path of this.table.atPath.keys()) if (!expansion.paths.has(path)) paths.push(path);
    }
    await this.inSlices(paths, (path) => {
      const stats = this.check(path);
      if (stats !== undefined) unknown.push({ path, stats });
    });
    // What was there before the start, and was not read then, is not wanted.
    if (since !== undefined)
      await this.lookForMissed(
        this.adoption.first ? since - SLACK_MS : Math.max(since - SLACK_MS, this.startedAt - 10),
      );
    // Oldest first: generations of one path are read in order (rule 4).
    unknown.sort(oldestFirst);
    for (let from = 0; from < unknown.length && !this.closed; from += SLICE) {
      if (from > 0) await new Promise(setImmediate);
      this.adoption.adopt(unknown.slice(from, from + SLICE).map(({ path }) => this.adoption.open(path)));
    }
    await this.inSlices([...this.files.values()], (file) => this.noticeGrowth(file));
    this.lookedAt = lookedAt;
    if (performance.now() - this.purgedAt >= this.options.rescanMs) {
      this.purgedAt = performance.now();
      await this.finished.purge();
    }
  }

  /** Calls `work` for each item; others have their turn in between. */
  private async inSlices<T>(items: readonly T[], work: (item: T) => void): Promise<void> {
    for (let index = 0; index < items.length; index++) {
      if (this.closed) return;
      if (index > 0 && index % SLICE === 0) await new Promise(setImmediate);
      work(items[index] as T);
    }
  }

  /** Lists the directories; again when one was not watched before, for names may have come before the watch. */
  private expandAndWatch(): Expansion {
    for (let attempt = 0; ; attempt++) {
      const all: Expansion = { paths: new Set(), directories: new Set(), complete: true };
      for (const pattern of this.options.patterns) expand(pattern, all);
      if (!this.options.inotify || this.closed) return all;
      this.directories = all.directories;
      // A link's target changes in a directory of its own.
      for (const { names, realPath } of this.files.values())
        if (names.size > 0) this.directories.add(dirname(realPath));
      if (!this.watch.watchOnly(this.directories) || attempt >= 2) return all;
    }
  }

  /** A file that was read to its end is read again if it is not as it was then. */
  noticeGrowth(file: TailFile): void {
    if (file.caughtUpAt === undefined || file.broken) {
      if (file.isOpen) file.observeSize();
      return;
    }
    if (file.compressed) {
      if (file.isOpen && file.bytes.hasMore()) this.table.ready(file);
      return;
    }
    const stats = file.isOpen
      ? fstatSync(file.bytes.descriptor)
      : statSync(file.realPath, { throwIfNoEntry: false });
    if (stats === undefined || !file.isChanged(stats)) return;
    this.table.ready(file);
    this.hold(file);
  }

  /** What is to be read of a file that was closed can be deleted before its turn comes: opened now, it is not lost then. */
  private hold(file: TailFile): void {
    try {
      if (!file.isOpen && !file.compressed && this.descriptors.hasRoom) this.open(file);
    } catch {
      // Whoever reads it will say so.
    }
    if (file.isOpen) {
      file.observeSize();
      return;
    }
    // Too many wait: should it go, it is known at least how much is lost.
    const stats = statOf(file.realPath);
    if (stats !== undefined && keyOf(stats) === file.key) file.observeSize(Number(stats.size));
  }

  private async lookForMissed(since: number): Promise<void> {
    const followed = new Map([...this.table.atPath].map(([path, { realPath }]) => [realPath, path]));
    for (const [path, { realPath, names }] of this.table.lastAt)
      if (names.size === 0 && realPath !== path) followed.set(path, path);
    for (const { identity } of this.adoption.first ? (this.options.store?.load() ?? []) : [])
      followed.set(identity.path, identity.path);
    const missed = findMissed(followed, since, { siblings: new Siblings(), compressed: this.adoption.first });
    missed.sort(oldestFirst);
    await this.inSlices(missed, ({ original, path, stats }) =>
      this.adoption.adoptRotated(original, path, stats),
    );
  }

  // ------------------------------------------------------------ events

  private bytesChanged(path: string): void {
    const file = this.table.atPath.get(path) ?? this.table.atRealPath.get(path);
    if (file === undefined) {
      const refusal = this.adoption.refusalOf(path);
      // What it is refused for does not change with its bytes.
      if (refusal !== undefined && refusal !== 'unreadable') return;
      if (patternOf(this.options, path) !== undefined) this.names.changed(dirname(path), basename(path));
      return;
    }
    if (!file.hasMore) this.table.ready(file);
    this.hold(file);
  }

  // ------------------------------------------------------------ paths

  private lookAt(path: string): void {
    if (this.check(path) !== undefined) this.adoption.adopt([this.adoption.open(path)]);
  }

  /** Looks at one path that matches: the same file, another one, or none. Answers with the numbers of one that nobody knows. */
  private check(path: string): BigIntStats | undefined {
    const pattern = patternOf(this.options, path);
    if (pattern === undefined) return undefined;
    const stats = statOf(path);
    const before = this.table.atPath.get(path);
    const key = stats === undefined ? undefined : keyOf(stats);
    if (before !== undefined && before.key !== key) this.table.displaced(path, before);
    if (stats === undefined || key === undefined) {
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined) this.links.delete(path);
      this.adoption.forgive(path);
      this.growing.delete(path);
      return undefined;
    }
    const known = this.files.get(key);
    if (known !== undefined) {
      if (known !== before) {
        this.table.name(path, known);
        this.links.follow(path, realPathOf(path));
      }
      return undefined;
    }
    if (this.finished.has(key, path)) {
      if (!path.endsWith('.gz')) this.revive(path, key);
      return undefined;
    }
    if (this.tooOld(stats)) return undefined;
    if (this.options.tagOf(pattern.show(path)) === undefined) {
      this.adoption.refuse(path, 'no_tag', 'tag_regex does not match it');
      return undefined;
    }
    return this.isGrowing(path, stats) ? undefined : stats;
  }

  /** A file that was rotated away and read has a matching name again. */
  private revive(path: string, key: string): void {
    const stored = this.finished.take(key);
    if (stored === undefined) return;
    let descriptor: number | undefined;
    try {
      descriptor = openForReading(path);
      const stats = fstatSync(descriptor, { bigint: true });
      if (keyOf(stats) === key) {
        resumeFile(this.resumption, { stored, path, stats, descriptor, compressed: false });
        const file = this.files.get(key);
        if (file !== undefined && !file.names.has(path)) this.table.name(path, file);
        return;
      }
    } catch {
      // Gone again.
    }
    discard(descriptor);
    this.finished.add(key, stored);
  }

  /** A compressed file can only be read once it is whole: when it did not change for a moment. */
  private isGrowing(path: string, stats: BigIntStats): boolean {
    if (!path.endsWith('.gz')) return false;
    const age = Date.now() - Number(stats.ctimeMs);
    // Not even begun: it is looked at again when it is written to.
    if (stats.size < 2n) {
      this.growing.delete(path);
      return true;
    }
    if (this.growing.get(path) === stats.size || age > POLL_MS || age < 0) {
      this.growing.delete(path);
      return false;
    }
    this.growing.set(path, stats.size);
    this.scanWithin(POLL_MS);
    return true;
  }

  private tooOld(stats: BigIntStats): boolean {
    const { ignoreOlderMs } = this.options;
    return ignoreOlderMs > 0 && Number(stats.mtimeMs) < Date.now() - ignoreOlderMs;
  }

  // ------------------------------------------------------------ files

  /** Takes an opened file among the followed ones; `path` leads to it, if it is not rotated away already. */
  private readonly track = (file: TailFile, descriptor: number, path: string | undefined): void => {
    file.useDescriptor(descriptor);
    this.options.store?.describe(file.source, (position) => file.describe(position));
    this.table.add(file, path);
    if (path !== undefined) this.links.follow(path, file.realPath);
    this.events.onOpened();
    this.descriptors.use(file);
    const directory = dirname(file.realPath);
    if (this.options.inotify && path !== undefined && !this.directories.has(directory)) {
      this.directories.add(directory);
      this.watch.add(directory);
    }
  };

  /** Sees to it that a file is open. False when it is not there any more; throws where it is and cannot be opened now. */
  open(file: TailFile): boolean {
    if (!file.isOpen) {
      const places = [file.realPath, ...file.names];
      const again =
        reopen(file, places) ||
        reopen(file, new Siblings().withInode(dirname(file.realPath), file.identity.inode));
      if (!again) return false;
      this.events.onOpened();
    }
    this.descriptors.use(file);
    return true;
  }
}

/** Opens a file that was closed at one of these places, if it is there. Throws what the system says where it is and cannot be opened. */
function reopen(file: TailFile, places: Iterable<string>): boolean {
  for (const place of places) {
    let descriptor: number | undefined;
    try {
      descriptor = openForReading(place);
      if (keyOf(fstatSync(descriptor, { bigint: true })) === file.key) {
        file.useDescriptor(descriptor);
        return true;
      }
    } catch (error) {
      const stats = statOf(place);
      // Such as when no descriptor is left.
      if (descriptor === undefined && stats !== undefined && keyOf(stats) === file.key) throw error;
      // Gone from there.
    }
    discard(descriptor);
  }
  return false;
}
