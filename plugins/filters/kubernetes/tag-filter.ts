/** Logs of files: the tag says which container a batch is of. */
import type { Batch, Filter, FilterContext } from '../../../src/plugin.ts';
import type { LogMerger } from '../../shared/kubernetes/merge-log.ts';
import type { PodDirectory } from '../../shared/kubernetes/pods.ts';
import type { WithoutMetadata } from '../../shared/kubernetes/without-metadata.ts';
import { Rarely } from '../../shared/rarely.ts';
import type { Containers, Prepared } from '../../shared/kubernetes/containers.ts';
import { enrich, exclude } from '../../shared/kubernetes/enrich.ts';
import type { NameReader } from './names.ts';

export interface FilterParts {
  containers: Containers;
  directory: PodDirectory;
  merger: LogMerger | undefined;
  without: WithoutMetadata;
}

export class TagFilter implements Filter {
  private readonly parts: FilterParts & { reader: NameReader; context: FilterContext };
  private readonly wrongPrefix = new Rarely();

  constructor(parts: FilterParts & { reader: NameReader; context: FilterContext }) {
    this.parts = parts;
  }

  process(batch: Batch, tag: string): void | Promise<void> {
    if (batch.length === 0) return undefined;
    const prepared = this.parts.containers.of(tag);
    if (prepared instanceof Promise) return prepared.then((known) => this.apply(batch, tag, known));
    return this.apply(batch, tag, prepared);
  }

  hurry(): void {
    this.parts.directory.hurry?.();
  }

  async close(): Promise<void> {
    this.parts.containers.close();
    await this.parts.directory.close();
  }

  private apply(batch: Batch, tag: string, prepared: Prepared | undefined): void {
    const { merger, without, reader } = this.parts;
    if (!reader.hasPrefix(tag)) this.warnOfPrefix(tag);
    if (prepared === undefined) {
      without.mark(batch, 'tag', { tag });
      return;
    }
    exclude(batch, prepared.policy);
    for (let index = 0; index < batch.length; index++) enrich(batch, index, merger, prepared);
    if (prepared.missing !== undefined) {
      const { pod, namespace } = prepared.names;
      without.mark(batch, prepared.missing, { tag, namespace, pod });
    }
  }

  private warnOfPrefix(tag: string): void {
    const times = this.wrongPrefix.happened();
    if (times === 0) return;
    this.parts.context.log.warn(
      { tag, times },
      'A tag does not begin with kube_tag_prefix, which is taken off by its length: the name of the pod may be cut. Set it to what stands in front of the name of the file',
    );
  }
}
