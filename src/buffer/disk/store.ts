/**
 * The disk buffer (DELIVERY.md, rules 14 to 16): chunks of all tags in shared segments, each there once for all its outputs, and a log
 * of what each output has settled. A segment goes when the last output is done with it; one that is mostly settled is compacted.
 */
import { mkdirSync, statfsSync, unlinkSync } from 'node:fs';
import type { Chunk } from '../../event/chunk.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics, Series } from '../../telemetry/metrics.ts';
import { byteRange } from './chunk-codec.ts';
import type { FrameTarget } from './frame.ts';
import { ProgressLog } from './progress-log.ts';
import type { ProgressEntry } from './progress-log.ts';
import { quarantine } from './quarantine.ts';
import { DamagedPayloadError, Reader } from './reader.ts';
import { recover } from './recovery.ts';
import type { FoundDamage, Recovered } from './recovery.ts';
import { placeBytes, StoredChunk } from './stored-chunk.ts';
import type { Place, Segment } from './stored-chunk.ts';
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
/** A sealed segment of which less than this share is still needed is compacted. */
const COMPACT_BELOW = 0.5;
/** A progress log is written anew when it is larger than this and has doubled. Bytes. */
const PROGRESS_BYTES = 1024 * 1024;
/** How long what the volume has free is taken for true. Milliseconds. */
const FREE_MS = 1000;

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
  private progressBase: number;
  private progressFailing = false;
  private nextId: number;
  private readonly byOutput = new Map<string, number>();
  private overflowTotal = 0;
  private free = { at: Number.NEGATIVE_INFINITY, bytes: 0, total: 0 };
  private compacting: Segment | undefined;
  private failing = false;
  /** Ids of living frames of which an earlier copy lies in another segment. */
  private readonly moved: Set<number>;
  private readonly series: Record<
    'damagedFrames' | 'damagedRecords' | 'torn' | 'failures' | 'written',
    Series
  >;

  /** Opens a directory; the caller holds its lock. Throws BufferVersionError, and what the file system throws. */
  constructor(options: DiskStoreOptions) {
    const { directory, log, metrics, sync, checksum } = options;
    this.directory = directory;
    this.log = log;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.series = this.registerSeries(metrics);
    const recovered = recover(directory);
    this.origins = recovered.origins;
    this.moved = recovered.moved;
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
    this.progress = new ProgressLog(directory, this.snapshot());
    this.progressBase = this.progress.size;
    this.writer = new Writer({
      directory,
      sync,
      checksum,
      firstNumber: Math.max(0, ...this.segments.keys()) + 1,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES,
      onSegment: (segment) => this.segments.set(segment.number, segment),
      onPlaced: (stored, place) => this.placed(stored, place),
      onSealed: (segment) => this.dropIfDone(segment),
      onState: (error) => this.state(error),
      onDurable: (stored) => this.durable(stored),
    });
  }

  private registerSeries(metrics: Metrics): DiskStore['series'] {
    const gauge = (name: string, help: string, value: () => number): void => {
      metrics.gauge(name, help, (family) => {
        family.labels().value = value();
      });
    };
    gauge(
      'tailrace_storage_bytes',
      'Bytes of the disk buffer that some output still needs.',
      () => this.livingBytes,
    );
    gauge('tailrace_storage_file_bytes', 'Bytes of the files of the disk buffer.', () => this.fileBytes);
    gauge(
      'tailrace_storage_chunks',
      'Chunks in the disk buffer that some output still needs.',
      () => this.chunks,
    );
    gauge(
      'tailrace_storage_overflow_bytes',
      'Bytes that are there because memory was short.',
      () => this.overflowBytes,
    );
    gauge('tailrace_storage_failing', '1 while the disk takes nothing.', () =>
      this.writer.isFailing ? 1 : 0,
    );
    const counter = (name: string, help: string): Series => metrics.counter(name, help).labels();
    return {
      damagedFrames: counter(
        'tailrace_storage_damaged_frames_total',
        'Damaged places in the disk buffer that were skipped.',
      ),
      damagedRecords: counter(
        'tailrace_storage_damaged_records_total',
        'Records in damaged frames whose head could be read.',
      ),
      torn: counter(
        'tailrace_storage_torn_bytes_total',
        'Bytes of writes that a crash cut short; they were never acknowledged.',
      ),
      failures: counter('tailrace_storage_failures_total', 'Writes and syncs that failed; tried again.'),
      written: counter('tailrace_storage_written_bytes_total', 'Bytes of chunks written.'),
    };
  }

  // ---------------------------------------------------------------- what there is

  /** Chunks that some output still needs, in the order in which they arrived. */
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

  /** Takes a chunk in, with its records' bytes. Its memory must stay until `onDurable` is called or it is settled everywhere. */
  put(
    chunk: Chunk,
    targets: readonly FrameTarget[],
    options: { id: number; urgency: Urgency; overflow: boolean; onDurable: () => void },
  ): StoredChunk {
    const { tag, input, base, sourceId } = chunk;
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
        targets: [...targets],
      },
      'waiting',
    );
    stored.chunk = chunk;
    stored.onDurable = options.onDurable;
    this.writer.put(stored, options.urgency);
    this.count(stored, 1);
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

  /** Reads a chunk back. Undefined when it is damaged: counted, and its records are gone. Throws what the file system throws. */
  async read(stored: StoredChunk): Promise<Chunk | undefined> {
    const age = Math.max(0, Date.now() - stored.description.arrived);
    try {
      return await this.reader.read(stored, performance.now() - age);
    } catch (error) {
      if (!(error instanceof DamagedPayloadError) || stored.place === undefined) throw error;
      const { segment, offset, headBytes, payloadBytes } = stored.place;
      const damage = { offset, length: headBytes + payloadBytes, reason: error.message, torn: false };
      this.report({ ...damage, file: segment.file, copy: quarantine(this.directory, segment.file, damage) });
      this.series.damagedRecords.value += stored.description.records;
      return undefined;
    }
  }

  /** Records of a chunk are settled at an output. */
  settle(stored: StoredChunk, output: string, from: number, to: number): void {
    const done = stored.settle(output, from, to);
    if (done) this.byOutput.set(output, this.bytesFor(output) - stored.description.bytes);
    const settled = stored.settled;
    if (stored.state === 'written' || stored.state === 'durable') {
      this.progress.add(
        settled
          ? { id: stored.id, output: undefined, range: undefined }
          : { id: stored.id, output, range: done ? undefined : [from, to] },
      );
    }
    if (settled) this.gone(stored);
  }

  /** Writes what was settled; not synced. Never throws: what is not written is sent again after a crash. */
  writeProgress(): void {
    try {
      if (this.progress.size > PROGRESS_BYTES && this.progress.size > 2 * this.progressBase) {
        this.progress.rewrite(this.snapshot());
        this.progressBase = this.progress.size;
      } else {
        this.progress.write();
      }
      this.progressFailing = false;
    } catch (error) {
      this.series.failures.value++;
      if (!this.progressFailing) {
        this.log.error(
          { error },
          'What was delivered from the disk buffer cannot be written; a crash now would send it twice',
        );
      }
      this.progressFailing = true;
    }
  }

  /** Once a second: syncs what was settled, compacts. */
  async tick(): Promise<void> {
    this.writeProgress();
    if (!this.progressFailing) {
      try {
        this.progress.sync();
      } catch {
        this.series.failures.value++;
      }
    }
    await this.compact();
  }

  /** Resolves when all that was taken in is durable; false when the disk does not take it. */
  flush(): Promise<boolean> {
    return this.writer.flush();
  }

  /** Outputs go by other names: what was kept for the old ones is for the new ones. */
  rename(names: ReadonlyMap<string, string>): void {
    for (const stored of this.all()) {
      for (const [from, to] of names) stored.rename(from, to);
    }
    for (const [from, to] of names) {
      this.byOutput.set(to, this.bytesFor(to) + this.bytesFor(from));
      this.byOutput.delete(from);
    }
  }

  async close(): Promise<void> {
    await this.writer.close();
    this.writeProgress();
    try {
      this.progress.sync();
    } catch {
      this.series.failures.value++;
    }
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
    if (stored.state === 'durable') {
      // A compaction: the place that it has stays good until the new one is durable.
      this.leave(stored, stored.copy);
      stored.copy = place;
    } else {
      this.leave(stored, stored.place);
      stored.place = place;
    }
    if (stored.settled) {
      place.segment.settled.push(stored.id);
      this.progress.add({ id: stored.id, output: undefined, range: undefined });
      return;
    }
    place.segment.living.add(stored);
    place.segment.livingBytes += placeBytes(place);
    if (stored.state !== 'waiting') return;
    stored.state = 'written';
    // What was settled while it was being written may not be in its frame.
    for (const entry of settledEntries(stored)) this.progress.add(entry);
  }

  private durable(stored: StoredChunk): void {
    if (stored.state === 'written') {
      stored.state = 'durable';
    } else if (stored.copy !== undefined && stored.state === 'durable') {
      const old = stored.place;
      stored.place = stored.copy;
      stored.copy = undefined;
      this.moved.add(stored.id);
      this.leave(stored, old);
    }
    const { onDurable } = stored;
    stored.onDurable = undefined;
    onDurable?.();
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
    this.moved.delete(stored.id);
    if (stored.description.overflow) this.overflowTotal -= stored.description.bytes;
    this.leave(stored, stored.place);
    this.leave(stored, stored.copy);
    this.onRoom?.();
  }

  private dropIfDone(segment: Segment): void {
    if (!segment.sealed || segment.living.size > 0 || !this.segments.delete(segment.number)) return;
    this.reader.forget(segment);
    try {
      unlinkSync(segment.file);
    } catch (error) {
      this.log.warn(
        { file: segment.file, error },
        'A segment of the disk buffer that is done with cannot be deleted',
      );
    }
  }

  /** Moves what is still needed out of a segment that is mostly settled; one at a time. */
  private async compact(): Promise<void> {
    if (this.compacting !== undefined || this.writer.isFailing) return;
    const candidate = [...this.segments.values()].find(
      ({ sealed, livingBytes, size, living }) =>
        sealed && living.size > 0 && livingBytes < size * COMPACT_BELOW,
    );
    if (candidate === undefined) return;
    this.compacting = candidate;
    try {
      for (const stored of candidate.living) {
        if (stored.state !== 'durable' || stored.chunk !== undefined) continue;
        const chunk = await this.read(stored);
        if (chunk === undefined || stored.settled) {
          chunk?.free();
          continue;
        }
        stored.chunk = chunk;
        stored.onDurable = () => chunk.free();
        this.writer.put(stored, 'now');
        if (!(await this.writer.flush())) break;
      }
    } catch (error) {
      this.log.warn({ file: candidate.file, error }, 'A segment of the disk buffer cannot be compacted');
    } finally {
      this.compacting = undefined;
    }
  }

  private state(error: unknown): void {
    if (error === undefined) {
      this.failing = false;
      this.log.info({}, 'The disk buffer can be written again');
      this.onRoom?.();
      return;
    }
    this.series.failures.value++;
    if (!this.failing) {
      this.log.error(
        { directory: this.directory, error },
        'The disk buffer cannot be written; what it should take stays in memory, inputs wait, and it is tried again every second',
      );
    }
    this.failing = true;
  }

  private report({ file, offset, length, reason, torn, copy, head }: FoundDamage): void {
    if (torn) this.series.torn.value += length;
    else this.series.damagedFrames.value++;
    this.series.damagedRecords.value += head?.description.records ?? 0;
    this.log.warn(
      { file, offset, bytes: length, reason, records: head?.description.records, copy },
      torn
        ? 'The end of the disk buffer was torn by a crash and is cut off'
        : 'A part of the disk buffer is damaged and is skipped',
    );
  }

  /** All that a start has to know, as few entries as possible. */
  private *snapshot(): Iterable<ProgressEntry> {
    for (const { living, settled } of this.segments.values()) {
      for (const id of settled) {
        if (!this.moved.has(id)) yield { id, output: undefined, range: undefined };
      }
      for (const stored of living) yield* settledEntries(stored);
    }
  }
}

/** What a start has to know of a chunk that is needed on. */
function* settledEntries(stored: StoredChunk): Iterable<ProgressEntry> {
  for (const { output } of stored.description.targets) {
    for (const range of stored.settledFor(output)) yield { id: stored.id, output, range };
  }
}
