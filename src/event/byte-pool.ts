/**
 * Memory of chunks, used again. Fresh buffers for each would be freed only by the garbage collector, which a stream of them makes
 * run for their sake alone; used again they cost nothing.
 */

/** Sizes are rounded up to this: what is asked for is much the same from chunk to chunk. */
const GRAIN = 64 * 1024;
/** Smaller ones come from the allocator: they are many, and short-lived. */
const SMALLEST = 16 * 1024;
/** Bytes that lie idle at most. */
const MAX_IDLE = 4 * 1024 * 1024;

export class BytePool {
  private readonly idle = new Map<number, Buffer[]>();
  private idleBytes = 0;

  /** A buffer of at least `size` bytes; its contents are anything. */
  take(size: number): Buffer {
    if (size < SMALLEST) return Buffer.allocUnsafeSlow(size);
    const capacity = Math.ceil(size / GRAIN) * GRAIN;
    const found = this.idle.get(capacity)?.pop();
    if (found === undefined) return Buffer.allocUnsafeSlow(capacity);
    this.idleBytes -= capacity;
    return found;
  }

  /** Hands a buffer back: nobody reads it any more. */
  give(buffer: Buffer): void {
    const { length } = buffer;
    if (length < SMALLEST || this.idleBytes + length > MAX_IDLE) return;
    const list = this.idle.get(length);
    if (list === undefined) this.idle.set(length, [buffer]);
    else list.push(buffer);
    this.idleBytes += length;
  }
}

/** The one that chunks are encoded into. */
export const chunkBytes = new BytePool();
