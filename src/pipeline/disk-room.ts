/** Whether the disk takes a chunk: the limits of what may lie there, and what happens when they are reached (DELIVERY.md, rule 16). */
import type { DiskStore, Refusal } from '../buffer/disk/store.ts';
import type { HeldChunk } from '../delivery/held-chunk.ts';
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** How an output's queue stands to the disk. */
export interface BufferedOutput {
  queue: DeliveryQueue;
  /** Name of the plugin. */
  plugin: string;
  /** Bytes that may wait on disk for it; Infinity without a limit. */
  diskLimit: number;
  whenFull: 'block' | 'drop_oldest';
}

/** What the configuration says of the disk. */
export interface DiskLimits {
  /** False: nothing goes to disk because memory is short. */
  overflow: boolean;
  /** Bytes. */
  overflowLimit: number;
  /** Bytes that stay free on the volume, or a share of it. */
  minFree: { bytes: number } | { share: number };
  /** Chunks of filesystem inputs in memory. */
  maxChunksUp: number;
  /** Bytes of chunks that are read back. */
  backlogMemory: number;
}

export interface DiskRoomOptions {
  log: Logger;
  metrics: Metrics;
  limits: () => DiskLimits;
  outputs: () => readonly BufferedOutput[];
}

/** How long the disk must have taken all before it counts as having room again. Milliseconds. */
const ROOM_AGAIN_MS = 5000;

const FULL = {
  failing: 'The disk buffer cannot be written: what it should take stays in memory',
  limit:
    'The disk buffer is full (storage.overflow.limit): chunks stay in memory, and inputs wait when that is full',
  output_limit:
    'An output has as much on disk as it may (storage.total_limit_size): its chunks stay in memory, and inputs wait when that is full',
  min_free:
    'The volume of the disk buffer has too little space left (storage.overflow.min_free): chunks stay in memory, and inputs wait when that is full',
} as const;

export class DiskRoom {
  private readonly options: DiskRoomOptions;
  private refusal: Refusal | 'output_limit' | undefined;
  private refusedAt = 0;

  constructor(options: DiskRoomOptions) {
    this.options = options;
    options.metrics.gauge(
      'tailrace_storage_full',
      '1 while the disk buffer takes nothing more, by reason: what should go there stays in memory, and inputs wait.',
      (family) => {
        for (const reason of ['limit', 'output_limit', 'min_free', 'failing']) {
          family.labels({ reason }).value = this.refusal === reason ? 1 : 0;
        }
      },
    );
    options.metrics.gauge(
      'tailrace_storage_overflow_limit_bytes',
      'Upper bound of tailrace_storage_overflow_bytes (storage.overflow.limit).',
      (family) => {
        family.labels().value = options.limits().overflowLimit;
      },
    );
  }

  /** Why nothing more goes to disk, a sentence; undefined while it does. */
  get problem(): string | undefined {
    return this.refusal === undefined ? undefined : `${FULL[this.refusal]}.`;
  }

  /** Nothing was refused for a while, or the disk itself says how it is: what it could not write may have been the last that came. */
  refresh(disk: DiskStore): void {
    if (this.refusal !== undefined || disk.isFailing)
      this.announce(disk.isFailing ? 'failing' : undefined, disk);
  }

  /** Whether the disk takes a chunk; drops the oldest of an output where its option says so. */
  make(held: HeldChunk, disk: DiskStore, overflow: boolean): boolean {
    const { bytes } = held.facts;
    let refusal = this.refusalFor(held, disk, overflow);
    if (refusal === 'limit' || refusal === 'output_limit') {
      const names = outputsOf(held);
      const droppers = this.options
        .outputs()
        .filter(({ queue, whenFull }) => whenFull === 'drop_oldest' && names.has(queue.stateName))
        .toSorted((a, b) => disk.bytesFor(b.queue.stateName) - disk.bytesFor(a.queue.stateName));
      for (const { queue, diskLimit } of droppers) {
        const over = disk.bytesFor(queue.stateName) + bytes - diskLimit;
        if (refusal === 'limit' || over > 0) queue.dropOldest(Math.max(bytes, over));
      }
      if (droppers.length > 0) refusal = this.refusalFor(held, disk, overflow);
    }
    this.announce(refusal, disk);
    return refusal === undefined;
  }

  private refusalFor(held: HeldChunk, disk: DiskStore, overflow: boolean): DiskRoom['refusal'] {
    const { limits, outputs } = this.options;
    const { overflowLimit, minFree } = limits();
    const { bytes } = held.facts;
    if (disk.isFailing) return 'failing';
    const free = disk.freeSpace();
    if ('share' in minFree ? free.share < minFree.share : free.bytes < minFree.bytes) return 'min_free';
    if (overflow && disk.overflowBytes + bytes > overflowLimit) return 'limit';
    const names = outputsOf(held);
    for (const { queue, diskLimit } of outputs()) {
      if (names.has(queue.stateName) && disk.bytesFor(queue.stateName) + bytes > diskLimit)
        return 'output_limit';
    }
    return undefined;
  }

  private announce(refusal: DiskRoom['refusal'], disk: DiskStore): void {
    const { log } = this.options;
    const now = performance.now();
    if (refusal === undefined) {
      // At the limit every chunk that goes makes room for another: that is no news.
      if (this.refusal === undefined || now - this.refusedAt < ROOM_AGAIN_MS) return;
      this.refusal = undefined;
      log.info({}, 'The disk buffer has room again');
      return;
    }
    this.refusedAt = now;
    if (refusal === this.refusal) return;
    this.refusal = refusal;
    if (refusal !== 'failing') {
      log.warn({ reason: refusal, directory: disk.directory, bytes: disk.livingBytes }, FULL[refusal]);
    }
  }
}

function outputsOf({ flights }: HeldChunk): Set<string> {
  return new Set([...flights].map(({ output }) => output));
}
