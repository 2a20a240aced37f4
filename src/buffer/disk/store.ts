/**
 * The disk buffer (DELIVERY.md, rules 14 to 16): chunks of all tags in shared segments, each there once for all its outputs, and a log
 * of what each output has settled. A segment goes when the last output is done with it; one that is mostly settled is compacted.
 */
import { statfsSync, unlinkSync } from 'node:fs';
import type { Chunk } from '../../event/chunk.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { byteRange } from './chunk-codec.ts';
import { Compactor } from './compactor.ts';
import type { FrameTarget } from './frame.ts';
import { Manifests, renameManifests } from './manifests.ts';
import { ProgressLog } from './progress-log.ts';
import type { ProgressEntry, Renamed } from './progress-log.ts';
import { quarantine } from './quarantine.ts';
import { DamagedPayloadError, Reader } from './reader.ts';
import { recover } from './recovery.ts';
import type { FoundDamage, Recovered } from './recovery.ts';
import { registerStoreSeries } from './store-series.ts';
import type { StoreSeries } from './store-series.ts';
import { placeBytes, SharedTargets, StoredChunk } from './stored-chunk.ts';
import type { Place, Segment } from './stored-chunk.ts';
import { makeDirectory } from './sync-directory.ts';
import { Writer } from './writer.ts';
import type { Urgency } from './writer.ts';

export { BufferVersionError } from './recovery.ts';
export { StoredChunk } from './stored-chunk.ts';
export type { Urgency } from './writer.ts';

export interface DiskStoreOptions {
  directory: string;
  sync: 'normal' | 'full';
  checksum: boolean;
  log: Logger;
  metrics: Metrics;
  /** Bytes; 16 MB. */
  segmentBytes?: number;
}

/** Why the disk takes nothing more. */
export type Refusal = 'limit' | 'min_free' | 'failing';

const SEGMENT_BYTES = 16 * 1024 * 1024;
/** A progress log is written anew when it is larger than this and has doubled. Bytes. */
const PROGRESS_BYTES = 1024 * 1024;
/** How long what the volume has free is taken for true. Milliseconds. */
const FREE_MS = 1000;

/** How long a failing disk is not said again. Milliseconds. */
const SAID_MS = 60_000;

export class DiskStore {
  readonly directory: string;
  /** By source and output, the ranges of bytes that the buffer held when it was opened: they count as read. */
  readonly origins: Recovered['origins'];
  /** Called when the disk takes something again, or some of it became free. */
  onRoom: (() => void) | undefined;
  private readonly log: Logger;
  private readonly segments = new Map<number, Segment>();
  private readonly writer: Writer;
  private readonly reader = new Reader();
  private readonly progress: ProgressLog;
  private progressBase = 0;
  private progressFailing = false;
  private nextId: number;
  private readonly byOutput = new Map<string, number>();
  private overflowTotal = 0;
  private free = { at: Number.NEGATIVE_INFINITY, bytes: 0, total: 0 };
  private failing = false;
  private saidFailing = false;
  /** Monotonic milliseconds. */
  private saidAt = Number.NEGATIVE_INFINITY;
  private closed = false;
  private readonly compactor: Compactor;
  private readonly targets = new SharedTargets();
  /** Taken in and not in any file. */
  private readonly waiting = new Set<StoredChunk>();
  /** Of which it was reported that they cannot be read. */
  private readonly damaged = new WeakSet<StoredChunk>();
  private readonly undeletable = new WeakSet<Segment>();
  /** Outputs that go by other names than some frames say. */
  private renames: Renamed[];
  private readonly series: StoreSeries;

  /** Opens a directory; the caller holds its lock. Throws BufferVersionError, and what the file system throws. */
  constructor(options: DiskStoreOptions) {
    const { directory, log, metrics, sync, checksum } = options;
    this.directory = directory;
    this.log = log;
    makeDirectory(directory);
    this.series = registerStoreSeries(metrics, this);
    const recovered = recover(directory);
    this.origins = recovered.origins;
    this.renames = recovered.renames;
    for (const segment of recovered.segments) {
      this.segments.set(segment.number, segment);
      for (const stored of segment.living) this.count(stored, 1);
    }
    for (const damage of recovered.damages) this.report(damage);
    if (recovered.damagedProgress > 0) {
      log.warn(
        { lines: recovered.damagedProgress },
        'Lines of the disk buffer that say what was delivered are damaged; those records are sent again',
      );
    }
    // A clock that was set back must not bring back an id that was given before.
    this.nextId = Math.max(recovered.nextId, Date.now() * 1000);
    this.progress = new ProgressLog(directory);
    this.writer = new Writer({
      directory,
      sync,
      checksum,
      firstNumber: recovered.nextNumber,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      onSegment: (segment) => this.segments.set(segment.number, segment),
      onPlaced: (stored, place) => this.placed(stored, place),
      onSealed: (segment) => this.dropIfDone(segment),
      onState: (error) => this.state(error),
      onDurable: (stored) => this.durable(stored),
    });
    // On a full disk the old log goes on counting until the new one can be written.
    this.writeProgress();
    this.compactor = new Compactor({
      segments: () => this.segments.values(),
      read: (stored) => this.read(stored),
      writer: this.writer,
      log,
    });
  }

  // ---------------------------------------------------------------- what there is

  /** Chunks in the files that some output still needs, in the order in which they arrived. */
  all(): StoredChunk[] {
    return [...this.segments.values()].flatMap(({ living }) => [...living]).toSorted((a, b) => a.id - b.id);
  }

  get chunks(): number {
    let chunks = 0;
    for (const { living } of this.segments.values()) chunks += living.size;
    return chunks;
  }

  get livingBytes(): number {
    let bytes = 0;
    for (const { livingBytes } of this.segments.values()) bytes += livingBytes;
    return bytes;
  }

  get fileBytes(): number {
    let bytes = this.progress.size;
    for (const { size } of this.segments.values()) bytes += size;
    return bytes;
  }

  get overflowBytes(): number {
    return this.overflowTotal;
  }

  /** Bytes of records that an output still needs. */
  bytesFor(output: string): number {
    return this.byOutput.get(output) ?? 0;
  }

  get isFailing(): boolean {
    return this.writer.isFailing;
  }

  /** Bytes that wait for being written or synced. */
  get pendingBytes(): number {
    return this.writer.pendingBytes;
  }

  /** What the volume has free, bytes and as a share of 1. */
  freeSpace(): { bytes: number; share: number } {
    const now = performance.now();
    if (now - this.free.at > FREE_MS) {
      try {
        const { bavail, blocks, bsize } = statfsSync(this.directory);
        this.free = { at: now, bytes: bavail * bsize, total: blocks * bsize };
      } catch {
        this.free.at = now;
      }
    }
    return { bytes: this.free.bytes, share: this.free.total === 0 ? 1 : this.free.bytes / this.free.total };
  }

  // ---------------------------------------------------------------- in and out

  /**
   * Takes a chunk in, with its records' bytes. Its memory must stay until `onDurable` is called or it is settled everywhere,
   * whichever is first; after the latter `onDurable` is not called any more.
   */
  put(
    chunk: Chunk,
    targets: readonly FrameTarget[],
    options: { id: number; urgency: Urgency; overflow: boolean; onDurable: () => void },
  ): StoredChunk {
    const { tag, input, base, sourceId } = chunk;
    this.nextId = Math.max(this.nextId, options.id + 1);
    const stored = new StoredChunk(
      options.id,
      {
        tag,
        input,
        records: chunk.length,
        bytes: chunk.bytes.length,
        metadata: 0,
        ...(sourceId === undefined ? {} : { source: sourceId, ...byteRange(chunk) }),
        base,
        arrived: Date.now() - Math.round(performance.now() - chunk.arrivedAt),
        overflow: options.overflow,
        targets: targets as FrameTarget[],
      },
      'waiting',
      this.targets.of(targets),
    );
    stored.chunk = chunk;
    stored.onDurable = options.onDurable;
    this.count(stored, 1);
    if (stored.settled) {
      this.gone(stored);
      return stored;
    }
    this.waiting.add(stored);
    this.writer.put(stored, options.urgency);
    return stored;
  }

  /** An id for a chunk: larger than all before. */
  takeId(): number {
    return this.nextId++;
  }

  /** What waits is written with that urgency. */
  hasten(urgency: Urgency): void {
    this.writer.hasten(urgency);
  }

  /** Reads a chunk back. Undefined when it is damaged, or its segment was deleted: counted once, and its records are gone. Throws
   * what the file system throws (too many open files, a read error): it may be tried again. */
  async read(stored: StoredChunk): Promise<Chunk | undefined> {
    const age = Math.max(0, Date.now() - stored.description.arrived);
    try {
      return await this.reader.read(stored, performance.now() - age);
    } catch (error) {
      if (!(error instanceof DamagedPayloadError) || stored.place === undefined) throw error;
      if (!this.damaged.has(stored)) this.reportUnreadable(stored, stored.place, error.message);
      return undefined;
    }
  }

  /** Records of a chunk are settled at an output. */
  settle(stored: StoredChunk, output: string, from: number, to: number): void {
    const done = stored.settle(output, from, to);
    if (done) this.byOutput.set(output, this.bytesFor(output) - stored.description.bytes);
    const settled = stored.settled;
    // What is not on its way to the file is written without what is settled.
    if (stored.state !== 'waiting' && stored.state !== 'gone') {
      this.progress.add(
        settled
          ? { id: stored.id, output: undefined, range: undefined }
          : { id: stored.id, output, range: done ? undefined : [from, to] },
      );
    }
    if (settled) this.gone(stored);
  }

  /** A chunk counts for the limit of what is there because outputs are slow or dead; a start knows that of what was moved since. */
  becomeOverflow({ description, state }: StoredChunk): void {
    if (description.overflow || state === 'gone') return;
    description.overflow = true;
    this.overflowTotal += description.bytes;
  }

  /** Writes what was settled; not synced. Never throws: what is not written is sent again after a crash. */
  writeProgress(): void {
    // A log that cannot even be begun is tried again once a second.
    if (this.closed || (this.progressFailing && this.progress.isStale)) return;
    this.saveProgress();
  }

  private saveProgress(): void {
    try {
      if (!this.rewriteProgress()) this.progress.write();
      this.progressFailing = false;
    } catch (error) {
      this.progressFailed(error);
    }
  }

  /** Returns whether the log was begun anew, and so says everything. Throws when nothing else would help. */
  private rewriteProgress(): boolean {
    const { isStale, size } = this.progress;
    if (!isStale && (size <= PROGRESS_BYTES || size <= 2 * this.progressBase)) return false;
    try {
      this.progress.rewrite(this.snapshot());
      this.progressBase = this.progress.size;
      return true;
    } catch (error) {
      if (isStale) throw error;
      // The old one goes on, until it has doubled once more.
      this.progressBase = size;
      return false;
    }
  }

  private progressFailed(error: unknown): void {
    this.series.failures.value++;
    if (!this.progressFailing) {
      this.log.error(
        { error },
        'What was delivered from the disk buffer cannot be written; a crash now would send it twice',
      );
    }
    this.progressFailing = true;
  }

  /** Once a second: syncs what was settled, compacts. */
  async tick(): Promise<void> {
    if (this.closed) return;
    this.saveProgress();
    await this.syncProgress();
    for (const segment of this.segments.values()) this.dropIfDone(segment);
    await this.compactor.run();
  }

  private async syncProgress(): Promise<void> {
    try {
      await this.progress.sync();
    } catch (error) {
      this.progressFailed(error);
    }
  }

  /** What was settled is durable. False when the disk does not take it, or not as a whole yet: then ask again later. */
  async progressSynced(): Promise<boolean> {
    if (this.closed) return false;
    this.saveProgress();
    await this.syncProgress();
    return !this.progressFailing && this.progress.isSynced;
  }

  /** The manifests of an output's objects, which are kept beside the segments. */
  manifests(output: string): Manifests {
    return new Manifests(this.directory, output);
  }

  /** Resolves when all that was taken in is durable; false when the disk does not take it. */
  flush(): Promise<boolean> {
    return this.writer.flush();
  }

  /** Outputs go by other names, one after the other: what was kept for the old ones is for the new ones. */
  rename(names: ReadonlyMap<string, string>): void {
    const chunks = [...this.all(), ...this.waiting];
    for (const [from, to] of names) {
      // First, so that a crash between the two is made good by the next start.
      this.renameManifests(from, to);
      const renamed = chunks.filter((stored) => stored.rename(from, to));
      if (renamed.length === 0) continue;
      // An output that has everything of a chunk does not count there.
      const open = renamed.filter((stored) => stored.openFor(to).length > 0);
      const bytes = open.reduce((sum, { description }) => sum + description.bytes, 0);
      this.byOutput.set(from, this.bytesFor(from) - bytes);
      this.byOutput.set(to, this.bytesFor(to) + bytes);
      const entry = { below: this.nextId, from, to };
      this.renames.push(entry);
      this.progress.add(entry);
    }
    this.writeProgress();
  }

  private renameManifests(from: string, to: string): void {
    try {
      renameManifests(this.directory, from, to);
    } catch (error) {
      this.log.error(
        { error, output: to },
        "The manifests of objects cannot be moved to an output's new name: their records may arrive twice",
      );
    }
  }

  /** Writes what can be written, and closes. After that nothing is written any more. */
  async close(): Promise<void> {
    if (this.closed) return;
    await this.compactor.stop();
    await this.writer.close();
    this.saveProgress();
    await this.syncProgress();
    this.closed = true;
    this.progress.close();
    this.reader.close();
  }

  // ---------------------------------------------------------------- bookkeeping

  private count(stored: StoredChunk, sign: 1 | -1): void {
    for (const output of stored.outputs()) {
      this.byOutput.set(output, this.bytesFor(output) + sign * stored.description.bytes);
    }
    if (stored.description.overflow) this.overflowTotal += sign * stored.description.bytes;
  }

  private placed(stored: StoredChunk, place: Place): void {
    this.series.written.value += placeBytes(place);
    this.waiting.delete(stored);
    if (stored.state === 'gone') {
      place.segment.settled.push(stored.id);
      return;
    }
    if (stored.state === 'durable') {
      // A compaction: the place that it has stays good until the new one is durable.
      this.dropCopy(stored);
      stored.copy = place;
      place.segment.incoming++;
      return;
    }
    this.leave(stored, stored.place);
    stored.place = place;
    place.segment.living.add(stored);
    place.segment.livingBytes += placeBytes(place);
    if (stored.state === 'writing') stored.state = 'written';
  }

  private durable(stored: StoredChunk): void {
    if (stored.state === 'gone') return;
    if (stored.state === 'written') {
      stored.state = 'durable';
    } else if (stored.copy !== undefined) {
      const { copy, place } = stored;
      stored.copy = undefined;
      stored.place = copy;
      copy.segment.incoming--;
      copy.segment.living.add(stored);
      copy.segment.livingBytes += placeBytes(copy);
      this.leave(stored, place);
    }
    const { onDurable } = stored;
    stored.onDurable = undefined;
    onDurable?.();
  }

  /** A copy that did not become durable is not needed any more. */
  private dropCopy(stored: StoredChunk): void {
    const { copy } = stored;
    if (copy === undefined) return;
    stored.copy = undefined;
    copy.segment.incoming--;
    copy.segment.settled.push(stored.id);
    this.dropIfDone(copy.segment);
  }

  /** A copy of a frame is not needed any more. */
  private leave(stored: StoredChunk, place: Place | undefined): void {
    if (place === undefined || !place.segment.living.delete(stored)) return;
    place.segment.livingBytes -= placeBytes(place);
    place.segment.settled.push(stored.id);
    this.dropIfDone(place.segment);
  }

  private gone(stored: StoredChunk): void {
    if (stored.state === 'gone') return;
    stored.state = 'gone';
    stored.chunk = undefined;
    stored.onDurable = undefined;
    this.waiting.delete(stored);
    if (stored.description.overflow) this.overflowTotal -= stored.description.bytes;
    this.leave(stored, stored.place);
    this.dropCopy(stored);
    this.onRoom?.();
  }

  private dropIfDone(segment: Segment): void {
    const { sealed, living, incoming, number, file } = segment;
    if (!sealed || living.size + incoming > 0 || !this.segments.has(number)) return;
    this.reader.forget(segment);
    try {
      unlinkSync(file);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
        // It stays known, so that its frames do not come back, and is tried again with every tick.
        if (!this.undeletable.has(segment))
          this.log.warn({ file, error }, 'A segment of the disk buffer that is done with cannot be deleted');
        this.undeletable.add(segment);
        return;
      }
    }
    this.segments.delete(number);
  }

  private state(error: unknown): void {
    const now = performance.now();
    if (error === undefined) {
      this.failing = false;
      if (this.saidFailing) this.log.info({}, 'The disk buffer can be written again');
      this.saidFailing = false;
      this.onRoom?.();
      return;
    }
    this.series.failures.value++;
    // On a full disk that is being drained every chunk that goes makes room for another: that is no news each time.
    if (!this.failing && now - this.saidAt > SAID_MS) {
      this.log.error(
        { directory: this.directory, error },
        'The disk buffer cannot be written; what it should take stays in memory, inputs wait, and it is tried again every second',
      );
      this.saidAt = now;
      this.saidFailing = true;
    }
    this.failing = true;
  }

  private reportUnreadable(stored: StoredChunk, place: Place, reason: string): void {
    this.damaged.add(stored);
    const { segment, offset } = place;
    const damage = { offset, length: placeBytes(place), reason, torn: false };
    const { path } = quarantine(this.directory, segment.file, damage);
    const lostRecords = stored.settled ? 0 : stored.description.records;
    this.report({ ...damage, file: segment.file, copy: path, lostRecords });
  }

  private report({ file, offset, length, reason, torn, copy, lostRecords }: FoundDamage): void {
    if (torn) this.series.torn.value += length;
    else this.series.damagedFrames.value++;
    this.series.damagedRecords.value += lostRecords;
    this.log.warn(
      { file, offset, bytes: length, reason, records: lostRecords, copy },
      torn
        ? 'The end of the disk buffer was torn by a crash and is cut off'
        : 'A part of the disk buffer is damaged and is skipped',
    );
  }

  /** All that a start has to know, as few entries as possible. */
  private *snapshot(): Iterable<ProgressEntry> {
    const living = new Set<number>();
    for (const segment of this.segments.values()) for (const { id } of segment.living) living.add(id);
    let oldest = this.nextId;
    for (const id of living) oldest = Math.min(oldest, id);
    for (const { id } of this.waiting) oldest = Math.min(oldest, id);
    this.renames = this.renames.filter(({ below }) => below > oldest);

    if (this.nextId > 0) yield { id: this.nextId - 1, output: undefined, range: [0, 0] };
    yield* this.renames;
    for (const segment of this.segments.values()) {
      for (const id of segment.settled) {
        // One that has a living copy elsewhere is needed on.
        if (!living.has(id)) yield { id, output: undefined, range: undefined };
      }
      for (const stored of segment.living) yield* settledEntries(stored);
    }
    for (const stored of this.writer.writing) {
      if (stored.state === 'gone') yield { id: stored.id, output: undefined, range: undefined };
      else if (stored.state === 'writing') yield* settledEntries(stored);
    }
  }
}

/** What a start has to know of a chunk that is needed on. */
function* settledEntries(stored: StoredChunk): Iterable<ProgressEntry> {
  for (const { output } of stored.description.targets) {
    for (const range of stored.settledFor(output)) yield { id: stored.id, output, range };
  }
}
