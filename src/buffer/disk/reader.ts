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

interface OpenFile {
  handle: Promise<FileHandle>;
  /** Reads that are under way: the descriptor stays until they are over. */
  users: number;
  retired: boolean;
}

export class Reader {
  /** By file, the one that was used last at the end. */
  private readonly files = new Map<string, OpenFile>();

  /** Reads a chunk that is on disk. Throws DamagedPayloadError, and what the file system throws. */
  async read({ description, place }: StoredChunk, arrivedAt: number): Promise<Chunk> {
    if (place === undefined) throw new Error('Reading a chunk from disk: it was never written.');
    const { segment, offset, headBytes, payloadCrc } = place;
    const file = this.take(segment.file);
    try {
      const handle = await file.handle.catch((error: unknown) => {
        if (this.files.get(segment.file) === file) this.files.delete(segment.file);
        throw isMissing(error) ? new DamagedPayloadError('the segment was deleted by somebody else') : error;
      });
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
        return buffers.chunk(arrivedAt);
      } catch (error) {
        buffers.free();
        throw error;
      }
    } finally {
      file.users--;
      this.closeIfUnused(file);
    }
  }

  private take(path: string): OpenFile {
    const file = this.files.get(path) ?? { handle: open(path, 'r'), users: 0, retired: false };
    file.users++;
    this.files.delete(path);
    this.files.set(path, file);
    for (const old of this.files.keys()) {
      if (this.files.size <= MAX_OPEN) break;
      this.letGo(old);
    }
    return file;
  }

  private letGo(path: string): void {
    const file = this.files.get(path);
    if (file === undefined) return;
    this.files.delete(path);
    file.retired = true;
    this.closeIfUnused(file);
  }

  private closeIfUnused({ handle, users, retired }: OpenFile): void {
    if (retired && users === 0) void handle.then((opened) => opened.close()).catch(() => undefined);
  }

  /** The segment's file goes. */
  forget(segment: Segment): void {
    this.letGo(segment.file);
  }

  close(): void {
    for (const path of this.files.keys()) this.letGo(path);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

async function readAll(handle: FileHandle, into: Buffer, position: number): Promise<void> {
  let filled = 0;
  while (filled < into.length) {
    const { bytesRead } = await handle.read(into, filled, into.length - filled, position + filled);
    if (bytesRead === 0) throw new DamagedPayloadError('the file ends within the frame');
    filled += bytesRead;
  }
}
