/** Reads chunks back from segments. Descriptors are kept for a few segments: a queue reads one after the other. */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import type { Chunk } from '../../event/chunk.ts';
import { PayloadBuffers } from './chunk-codec.ts';
import type { Segment, StoredChunk } from './stored-chunk.ts';

const MAX_OPEN = 8;

/** The payload is not what was written. */
export class DamagedPayloadError extends Error {
  override name = 'DamagedPayloadError';
}

export class Reader {
  /** By file, the one that was used last at the end. */
  private readonly handles = new Map<string, Promise<FileHandle>>();

  /** Reads a chunk that is on disk. Throws DamagedPayloadError, and what the file system throws. */
  async read({ description, place }: StoredChunk, arrivedAt: number): Promise<Chunk> {
    if (place === undefined) throw new Error('Reading a chunk from disk: it was never written.');
    const { segment, offset, headBytes, payloadCrc } = place;
    const handle = await this.handle(segment.file);
    const buffers = new PayloadBuffers(description);
    try {
      let crc = 0;
      let at = offset + headBytes;
      for (const part of buffers.parts) {
        await readAll(handle, part, at);
        at += part.length;
        if (payloadCrc !== undefined) crc = crc32(part, crc);
      }
      if (payloadCrc !== undefined && crc !== payloadCrc)
        throw new DamagedPayloadError('the payload does not fit its checksum');
    } catch (error) {
      buffers.free();
      throw error;
    }
    return buffers.chunk(arrivedAt);
  }

  private handle(file: string): Promise<FileHandle> {
    const known = this.handles.get(file);
    const handle = known ?? open(file, 'r');
    this.handles.delete(file);
    this.handles.set(file, handle);
    if (known === undefined) handle.catch(() => this.handles.delete(file));
    for (const old of this.handles.keys()) {
      if (this.handles.size <= MAX_OPEN) break;
      this.letGo(old);
    }
    return handle;
  }

  private letGo(file: string): void {
    const handle = this.handles.get(file);
    this.handles.delete(file);
    // A read that is under way keeps the descriptor until it is over.
    void handle?.then((opened) => opened.close()).catch(() => undefined);
  }

  /** The segment's file goes. */
  forget(segment: Segment): void {
    this.letGo(segment.file);
  }

  close(): void {
    for (const file of this.handles.keys()) this.letGo(file);
  }
}

async function readAll(handle: FileHandle, into: Buffer, position: number): Promise<void> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) throw new DamagedPayloadError('the file ends within the frame');
    filled += bytesRead;
  }
}
