/** What the queue of an output that gathers objects has to know, and whom it tells. */
import type { Manifest, ManifestChunk } from '../../event/manifest.ts';
import type { Gathering, ObjectOutput } from '../../plugin.ts';
import type { Series } from '../../telemetry/metrics.ts';
import type { HeldChunk } from '../held-chunk.ts';
import type { QueueOptions } from '../queue-options.ts';

/** Where objects are staged: chunks on disk, and the manifests beside them. */
export interface ObjectShelf {
  /** What earlier runs left; empty where the disk was never used. Throws what the file system throws. */
  read(): FoundManifests;
  /** Makes chunks durable. False when the disk does not take one. */
  stage(chunks: readonly HeldChunk[]): Promise<boolean>;
  /** Resolves when it is durable. Rejects with what the file system says. */
  write(manifest: Manifest): Promise<void>;
  /**
   * The destination has the object; `delivered` says which chunks are settled by that, where not all are. Resolves when it is durable.
   * Rejects with what the file system says.
   */
  acknowledge(manifest: Manifest, delivered?: readonly ManifestChunk[]): Promise<void>;
  /** What was acknowledged by that sequence is settled: its manifest may go when that is durable too. Never rejects. */
  settled(sequence: number): Promise<void>;
}

export interface FoundManifests {
  open: readonly Manifest[];
  done: readonly Manifest[];
  /** The highest sequence that was given; 0 for none. */
  last: number;
}

export interface ObjectSeries {
  open: Series;
  closed: Series;
  uploaded: Series;
}

export interface GatheringOptions extends Omit<
  QueueOptions,
  'output' | 'limits' | 'flushMs' | 'extract' | 'mayLoad' | 'charge'
> {
  output: ObjectOutput;
  gather: Gathering;
  /** Accounts for the memory of uploads: bytes taken, or freed when negative. */
  charge: (bytes: number) => void;
  /** Undefined: there is no disk, and objects are gathered in memory. */
  shelf: ObjectShelf | undefined;
  /** Bytes that are gathered in memory where there is no disk. */
  memoryLimit: number;
  series: ObjectSeries;
}
