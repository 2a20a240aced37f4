/** Records that go on without metadata of their pod: flagged in their own metadata, never in the record, and counted. */
import type { Batch, Metrics, PluginContext } from '../../../src/plugin.ts';
import { Rarely } from '../rarely.ts';

/**
 * Why they have none. `absent`: the API knows no such pod. `unknown`: it could not be asked in time. `tag`: the tag, or the journal's
 * entry, does not say which pod.
 */
export type Missing = 'absent' | 'unknown' | 'tag';

/** The key of the flag in the metadata of a record. */
export const MISSING_KEY = 'kubernetes_metadata';

const MESSAGES: Readonly<Record<Missing, string>> = {
  absent: 'The Kubernetes API does not know the pod of some records; they go on without its metadata',
  unknown: 'The Kubernetes API did not answer in time; records go on without metadata of their pods',
  tag: 'It cannot be told which pod some records are of; they go on without metadata. Compare kube_tag_prefix and regex_parser with the tag',
};

export class WithoutMetadata {
  private readonly context: PluginContext;
  private readonly counted: ReturnType<Metrics['counter']>;
  private readonly rarely: Record<Missing, Rarely> = {
    absent: new Rarely(),
    unknown: new Rarely(),
    tag: new Rarely(),
  };

  constructor(context: PluginContext) {
    this.context = context;
    this.counted = context.metrics.counter(
      'tailrace_kubernetes_records_without_metadata_total',
      'Records that went on without metadata of their pod, by reason: the API does not know it (absent), could not be asked in time (unknown), or the tag does not name it (tag).',
    );
    for (const reason of Object.keys(this.rarely)) this.counted.labels({ name: context.name, reason });
  }

  /** Flags the records of a batch, or one of them, and counts them. `about` goes into the log. */
  mark(batch: Batch, reason: Missing, about: Record<string, unknown>, only?: number): void {
    const from = only ?? 0;
    const to = only === undefined ? batch.length : only + 1;
    if (from === to) return;
    batch.metadata ??= Array.from({ length: batch.length }, () => undefined);
    for (let index = from; index < to; index++) {
      batch.metadata[index] = { ...batch.metadata[index], [MISSING_KEY]: reason };
    }
    this.counted.labels({ name: this.context.name, reason }).value += to - from;
    const times = this.rarely[reason].happened();
    if (times > 0) this.context.log.warn({ ...about, times }, MESSAGES[reason]);
  }
}
