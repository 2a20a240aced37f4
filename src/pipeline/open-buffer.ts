/** Opens the buffer of a pipeline where the configuration wants it. */
import { existsSync } from 'node:fs';
import { join, resolve as absolute } from 'node:path';
import { DiskStore } from '../buffer/disk/store.ts';
import type { PipelineDefinition } from '../config/definition.ts';
import { lockDirectory } from '../state/lock.ts';
import type { DirectoryLock } from '../state/lock.ts';
import { ChunkBuffer } from './chunk-buffer.ts';
import type { ChunkBufferOptions } from './chunk-buffer.ts';

/** Of the memory limit, what may be kept for what is read back from disk. */
const RESERVED_SHARE = 0.25;

/** Where the disk buffer is; undefined where there is no place for one. */
export function bufferDirectory(
  { service }: PipelineDefinition,
  stateDirectory: string | undefined,
): string | undefined {
  const { path } = service.storage;
  if (path !== undefined) return absolute(path);
  return stateDirectory === undefined ? undefined : join(stateDirectory, 'buffer');
}

/** Throws when an input wants a disk buffer and there is no place for one. */
export function requireDisk({ inputs, service }: PipelineDefinition, directory: string | undefined): void {
  if (directory !== undefined) return;
  const fallback = service.storage.filesystem ? 'filesystem' : 'memory';
  const wanting = inputs.find(({ storageType }) => (storageType ?? fallback) === 'filesystem');
  if (wanting === undefined) return;
  throw new Error(
    `Input ${wanting.name} has storage.type: filesystem, and there is no place for a disk buffer, for state_path is off: name a directory with storage.path.`,
  );
}

export interface OpenOptions extends Omit<ChunkBufferOptions, 'open'> {
  definition: PipelineDefinition;
  /** Undefined: no disk. */
  directory: string | undefined;
  /** Nothing else keeps other agents away from the directory. */
  lock: boolean;
}

/** Throws StateLockedError, BufferVersionError, and what the file system throws. */
export function openBuffer(options: OpenOptions): {
  buffer: ChunkBuffer;
  lock: DirectoryLock | undefined;
} {
  const { definition, directory, memory, log, metrics } = options;
  const { sync, checksum, backlogMemory } = definition.service.storage;
  requireDisk(definition, directory);
  if (directory === undefined)
    return { buffer: new ChunkBuffer({ ...options, open: undefined }), lock: undefined };
  memory.reserved = Math.min(backlogMemory, memory.limit * RESERVED_SHARE);
  const lock = options.lock ? lockDirectory(directory) : undefined;
  try {
    const buffer = new ChunkBuffer({
      ...options,
      open: () => new DiskStore({ directory, sync, checksum, log, metrics }),
    });
    // What an earlier run has left is looked at before anything is read; else the disk is opened when it is first needed.
    if (options.lock || existsSync(directory)) buffer.openDisk();
    return { buffer, lock };
  } catch (error) {
    lock?.close();
    throw error;
  }
}
