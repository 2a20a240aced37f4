/** Moves what is still needed out of segments that are mostly settled, so that they can go. */
import type { Chunk } from '../../event/chunk.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Segment, StoredChunk } from './stored-chunk.ts';
import type { Writer } from './writer.ts';

/** A sealed segment of which less than this share is still needed is compacted. */
const COMPACT_BELOW = 0.5;
/** Bytes of records that are moved, and held in memory, at once. */
const GROUP_BYTES = 4 * 1024 * 1024;
/** What could not be moved out of a segment is not tried again earlier. Milliseconds. */
const AGAIN_MS = 60_000;

export interface CompactorOptions {
  segments: () => Iterable<Segment>;
  /** Reads a chunk; undefined when it is damaged. */
  read: (stored: StoredChunk) => Promise<Chunk | undefined>;
  writer: Writer;
  log: Logger;
}

export class Compactor {
  private readonly options: CompactorOptions;
  private running: Promise<void> | undefined;
  private stopped = false;

  constructor(options: CompactorOptions) {
    this.options = options;
  }

  /** Compacts one segment, if there is one to compact. Never throws. */
  run(): Promise<void> {
    this.running ??= this.pass().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** Nothing is moved any more when this resolves. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private candidate(): Segment | undefined {
    const now = performance.now();
    for (const segment of this.options.segments()) {
      const { sealed, living, livingBytes, size, compactAfter } = segment;
      if (sealed && living.size > 0 && livingBytes < size * COMPACT_BELOW && now >= compactAfter)
        return segment;
    }
    return undefined;
  }

  private async pass(): Promise<void> {
    if (this.stopped || this.options.writer.isFailing) return;
    const segment = this.candidate();
    if (segment === undefined) return;
    try {
      await this.empty(segment);
    } catch (error) {
      this.options.log.warn(
        { file: segment.file, error },
        'A segment of the disk buffer cannot be compacted',
      );
    }
    segment.compactAfter = performance.now() + AGAIN_MS;
  }

  private async empty(segment: Segment): Promise<void> {
    const { writer } = this.options;
    let bytes = 0;
    for (const stored of segment.living) {
      if (this.stopped || writer.isFailing) break;
      if (await this.move(stored)) bytes += stored.description.bytes;
      if (bytes < GROUP_BYTES) continue;
      bytes = 0;
      if (!(await writer.flush())) break;
    }
    await writer.flush();
  }

  /** Returns whether the chunk is on its way. */
  private async move(stored: StoredChunk): Promise<boolean> {
    if (stored.state !== 'durable' || stored.chunk !== undefined) return false;
    const chunk = await this.options.read(stored);
    if (chunk === undefined) return false;
    if (stored.settled) {
      chunk.free();
      return false;
    }
    stored.chunk = chunk;
    stored.onDurable = () => chunk.free();
    this.options.writer.put(stored, 'lazy');
    return true;
  }
}
