/**
 * Writes chunks to the active segment in groups and syncs them together (DELIVERY.md, rule 14): within a second, at once if someone
 * waits. What every output has by the time that it would be written is not written at all.
 *
 * After a failed sync nothing of that file is assumed: what was not durable is written anew to another segment.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { encodePayload } from './chunk-codec.ts';
import { encodeHead } from './frame.ts';
import { segmentName, SEGMENT_HEADER_BYTES, SegmentWriter } from './segment-file.ts';
import { newSegment, placeBytes } from './stored-chunk.ts';
import type { Place, Segment, StoredChunk } from './stored-chunk.ts';
import { directorySynced } from './sync-directory.ts';

/** How long a chunk may wait for being written: `now` if someone waits for it, `soon` if it exists nowhere else. */
export type Urgency = 'now' | 'soon' | 'lazy';

export interface WriterOptions {
  directory: string;
  /** `full` syncs every group of appends. */
  sync: 'normal' | 'full';
  checksum: boolean;
  /** Number of the first segment. */
  firstNumber: number;
  /** Bytes after which a segment is sealed. */
  segmentBytes: number;
  /** A segment was begun. */
  onSegment: (segment: Segment) => void;
  /** A chunk lies somewhere; it may have lain somewhere else before. */
  onPlaced: (stored: StoredChunk, place: Place) => void;
  onSealed: (segment: Segment) => void;
  /** Writing or syncing failed (with an error), or works again (without). */
  onState: (error: unknown) => void;
  /** Something became durable. */
  onDurable: (stored: StoredChunk) => void;
}

/** Bytes that are written with one call. */
const GROUP_BYTES = 4 * 1024 * 1024;
/** What a record takes beside its bytes. */
const ROW_BYTES = 24;
const SYNC_MS = 1000;
const RETRY_MS = 1000;

export class Writer {
  /** Bytes that are taken in and not durable. */
  pendingBytes = 0;
  private readonly options: WriterOptions;
  private active: { segment: Segment; writer: SegmentWriter } | undefined;
  private nextNumber: number;
  private waiting: StoredChunk[] = [];
  private unsynced: StoredChunk[] = [];
  private underWay: readonly StoredChunk[] = [];
  private failing = false;
  private running: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** When what waits is to be durable, monotonic milliseconds. */
  private dueAt = Number.POSITIVE_INFINITY;
  private closed = false;
  /** Where a group is put together, so that it is one write; kept for the next. */
  private memory = Buffer.alloc(0);

  constructor(options: WriterOptions) {
    this.options = options;
    this.nextNumber = options.firstNumber;
  }

  /** Takes a chunk in, or another place for it. */
  put(stored: StoredChunk, urgency: Urgency): void {
    this.waiting.push(stored);
    this.pendingBytes += stored.description.bytes;
    this.hasten(urgency);
  }

  /** What waits is written with that urgency. */
  hasten(urgency: Urgency): void {
    if (this.failing) return;
    this.due(urgency === 'lazy' ? SYNC_MS : 0);
  }

  /** True while the disk takes nothing. */
  get isFailing(): boolean {
    return this.failing;
  }

  /** Those whose frames are being written at this moment. */
  get writing(): readonly StoredChunk[] {
    return this.underWay;
  }

  /** Resolves when everything is durable or gone; false when the disk does not take it. */
  async flush(): Promise<boolean> {
    // A group that is being written is in neither list.
    while (this.running !== undefined || this.waiting.length + this.unsynced.length > 0) {
      if (this.closed) return false;
      await (this.running ?? this.start());
      if (this.failing) return false;
    }
    return true;
  }

  /** Flushes and closes; what cannot be written is given up. */
  async close(): Promise<void> {
    await this.flush();
    this.closed = true;
    clearTimeout(this.timer);
    await this.running;
    await this.seal().catch(() => undefined);
    this.memory = Buffer.alloc(0);
  }

  private due(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.dueAt || this.closed) return;
    this.dueAt = at;
    if (this.running === undefined) this.arm();
  }

  private arm(): void {
    clearTimeout(this.timer);
    if (this.dueAt === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => void this.start(), Math.max(0, this.dueAt - performance.now()));
  }

  private start(): Promise<void> {
    clearTimeout(this.timer);
    this.dueAt = Number.POSITIVE_INFINITY;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      if (this.closed) return;
      if (this.failing) this.due(RETRY_MS);
      this.arm();
    });
    return this.running;
  }

  private async run(): Promise<void> {
    try {
      for (let group = this.takeGroup(); group.length > 0; group = this.takeGroup()) {
        await this.write(group);
        if (this.options.sync === 'full') await this.syncActive();
      }
      // This run was started because a sync was wanted or because its time has come.
      await this.syncActive();
      if (this.failing) {
        this.failing = false;
        this.options.onState(undefined);
      }
    } catch (error) {
      this.fail(error);
      // What is in the file can become durable though nothing more fits.
      await this.syncActive().catch((failure: unknown) => this.fail(failure));
    }
  }

  private fail(error: unknown): void {
    this.failing = true;
    this.options.onState(error);
  }

  /** What is written with one call: chunks that some output still needs. */
  private takeGroup(): StoredChunk[] {
    const group: StoredChunk[] = [];
    let bytes = 0;
    let taken = 0;
    for (const stored of this.waiting) {
      if (bytes >= GROUP_BYTES) break;
      taken++;
      if (stored.settled) this.abandon(stored);
      else {
        group.push(stored);
        bytes += stored.description.bytes + ROW_BYTES * stored.description.records;
      }
    }
    this.waiting.splice(0, taken);
    return group;
  }

  private abandon(stored: StoredChunk): void {
    this.pendingBytes -= stored.description.bytes;
    stored.chunk = undefined;
  }

  private async write(taken: readonly StoredChunk[]): Promise<void> {
    let group = taken;
    try {
      const { segment, writer } = await this.segment();
      // What was settled meanwhile may have given its memory back. From here to the copy nothing else runs.
      group = taken.filter((stored) => {
        if (stored.settled) this.abandon(stored);
        return !stored.settled;
      });
      const parts: Buffer[] = [];
      const places: Place[] = [];
      let offset = writer.size;
      this.underWay = group;
      for (const stored of group) {
        const { place, buffers } = this.encode(stored, segment, offset);
        if (stored.state === 'waiting') stored.state = 'writing';
        for (const buffer of buffers) parts.push(buffer);
        places.push(place);
        offset += placeBytes(place);
      }
      // The copy lets go of the chunks' memory: it is given back as soon as every output has everything, written or not.
      await writer.append(this.gather(parts, offset - writer.size));
      segment.size = writer.size;
      for (const [index, stored] of group.entries()) {
        this.options.onPlaced(stored, places[index] as Place);
        this.unsynced.push(stored);
      }
    } catch (error) {
      this.waiting = [...group, ...this.waiting];
      throw error;
    } finally {
      this.underWay = [];
    }
  }

  private gather(parts: readonly Buffer[], bytes: number): Buffer {
    let memory = this.memory;
    if (memory.length < bytes) {
      memory = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(2 * memory.length, GROUP_BYTES)));
      if (bytes <= 2 * GROUP_BYTES) this.memory = memory;
    }
    let at = 0;
    for (const part of parts) at += part.copy(memory, at);
    return memory.subarray(0, bytes);
  }

  private encode(stored: StoredChunk, segment: Segment, offset: number): { place: Place; buffers: Buffer[] } {
    const { chunk, description, id } = stored;
    if (chunk === undefined) throw new Error(`Writing chunk ${id} to disk: its memory is gone.`);
    const { parts, metadata } = encodePayload(chunk);
    let payloadBytes = 0;
    let crc = 0;
    for (const part of parts) {
      payloadBytes += part.length;
      if (this.options.checksum) crc = crc32(part, crc);
    }
    description.metadata = metadata;
    const payloadCrc = this.options.checksum ? crc : undefined;
    const head = encodeHead(
      id,
      { ...description, targets: stored.targets() },
      { bytes: payloadBytes, crc: payloadCrc },
    );
    return {
      place: { segment, offset, headBytes: head.length, payloadBytes, payloadCrc },
      buffers: [head, ...parts],
    };
  }

  /** The segment that is appended to; a new one when the last is full. */
  private async segment(): Promise<{ segment: Segment; writer: SegmentWriter }> {
    if (this.active !== undefined && this.active.segment.size >= this.options.segmentBytes) {
      await this.syncActive();
      await this.seal();
    }
    this.active ??= await this.begin();
    return this.active;
  }

  private async begin(): Promise<{ segment: Segment; writer: SegmentWriter }> {
    const number = this.nextNumber++;
    const file = join(this.options.directory, segmentName(number));
    const writer = await SegmentWriter.create(file);
    try {
      await directorySynced(this.options.directory);
    } catch (error) {
      await writer.discard().catch(() => undefined);
      throw error;
    }
    const segment = newSegment(number, file, SEGMENT_HEADER_BYTES);
    this.options.onSegment(segment);
    return { segment, writer };
  }

  private async seal(): Promise<void> {
    const { active } = this;
    if (active === undefined) return;
    this.active = undefined;
    try {
      await active.writer.close();
    } finally {
      active.segment.sealed = true;
      this.options.onSealed(active.segment);
    }
  }

  private async syncActive(): Promise<void> {
    if (this.active === undefined || this.unsynced.length === 0) return;
    const group = this.unsynced;
    try {
      await this.active.writer.sync();
    } catch (error) {
      // The kernel may have dropped the dirty pages and forgotten the error: nothing of this file can be assumed.
      this.unsynced = [];
      this.waiting = [...group, ...this.waiting];
      await this.seal().catch(() => undefined);
      throw error;
    }
    this.unsynced = [];
    for (const stored of group) {
      this.pendingBytes -= stored.description.bytes;
      stored.chunk = undefined;
      this.options.onDurable(stored);
    }
  }
}
