/** What the logs of all containers share. */
import type { Batch, InputContext } from '../../../src/plugin.ts';
import type { Containers } from '../../shared/kubernetes/containers.ts';
import type { LogMerger } from '../../shared/kubernetes/merge-log.ts';
import type { PodDirectory } from '../../shared/kubernetes/pods.ts';
import type { WithoutMetadata } from '../../shared/kubernetes/without-metadata.ts';
import type { FirstLineFormats } from './first-lines.ts';
import type { PodQuotas } from './quotas.ts';

/** What is known of pods, and what is made of it. */
export interface PodLogMetadata {
  containers: Containers;
  directory: PodDirectory;
  firstLines: FirstLineFormats;
  merger: LogMerger | undefined;
  without: WithoutMetadata;
}

export interface PodLogParts extends PodLogMetadata {
  quotas: PodQuotas;
  context: InputContext;
  /** Hands over a batch that a log makes by itself, with its tag. */
  emit(path: string, batch: Batch): Promise<void> | undefined;
  /** Counts what a rate limit left out. */
  count(namespace: string, records: number): void;
}
