/**
 * kubernetes: adds to the records of containers what the API knows of their pods, makes fields of what they log as JSON, and does as
 * the annotations of pods say, as far as the administrator allows it.
 *
 * Without metadata in time a record goes on without it. Nothing is asked for more than once: a batch whose container is known passes
 * at once, and one whose container is not waits, with those behind it.
 */
import { defineFilter } from '../../src/plugin.ts';
import type { Filter, FilterContext } from '../../src/plugin.ts';
import { checkPodDirectory, openPodDirectory } from '../shared/kubernetes/api/index.ts';
import { LogMerger } from '../shared/kubernetes/merge-log.ts';
import { AnnotationPolicy } from '../shared/kubernetes/policy.ts';
import type { PodDirectory } from '../shared/kubernetes/pods.ts';
import { WithoutMetadata } from '../shared/kubernetes/without-metadata.ts';
import { Containers } from './kubernetes/containers.ts';
import { DummyFilter } from './kubernetes/dummy.ts';
import { JournalFilter } from './kubernetes/journal.ts';
import { NameReader } from './kubernetes/names.ts';
import { checkOptions, kubernetesOptions, wantsNamespaces } from './kubernetes/options.ts';
import type { KubernetesOptions } from './kubernetes/options.ts';
import { noDirectory, PreloadDirectory } from './kubernetes/preload.ts';
import { TagFilter } from './kubernetes/tag-filter.ts';

export default defineFilter({
  name: 'kubernetes',
  summary: 'Adds metadata of pods and namespaces to the logs of containers',
  options: kubernetesOptions,
  parserOptions: ['merge_parser', 'regex_parser'],
  anyParser: (options) => options['k8s-logging.parser'] && options['k8s-logging.parsers'] === undefined,
  example: `filters:
  - name: kubernetes
    match: kube.*
    merge_log: on
    keep_log: off
    k8s-logging.parser: on
    k8s-logging.namespaces: team-a, team-b`,
  check: (options) => [...checkOptions(options), ...(asksApi(options) ? checkPodDirectory(options) : [])],
  async create(options, context) {
    const merger = options.merge_log ? createMerger(options, context) : undefined;
    if (options.dummy_meta) return new DummyFilter(merger);
    const directory = await openDirectory(options, context);
    return createFilter(options, context, directory, merger);
  },
});

function createMerger(options: KubernetesOptions, context: FilterContext): LogMerger {
  const settings = {
    parser: options.merge_parser === undefined ? undefined : context.parser(options.merge_parser),
    key: options.merge_log_key,
    trim: options.merge_log_trim,
    keep: options.keep_log,
  };
  return new LogMerger(settings, context);
}

function createFilter(
  options: KubernetesOptions,
  context: FilterContext,
  directory: PodDirectory,
  merger: LogMerger | undefined,
): Filter {
  const reader = new NameReader({
    prefix: options.kube_tag_prefix,
    parser: options.regex_parser === undefined ? undefined : context.parser(options.regex_parser),
    isJournal: options.use_journal,
  });
  const containers = new Containers({
    directory,
    policy: new AnnotationPolicy(options, context, ['parser', 'exclude']),
    read: options.use_journal ? (text) => reader.from(text) : (tag) => reader.fromTag(tag),
    pods: podParts(options),
    namespaces: wantsNamespaces(options)
      ? { labels: options.namespace_labels, annotations: options.namespace_annotations }
      : undefined,
    waitMs: options.kube_meta_wait * 1000,
  });
  const parts = { containers, directory, merger, without: new WithoutMetadata(context) };
  return options.use_journal ? new JournalFilter(parts) : new TagFilter({ ...parts, reader, context });
}

function podParts(options: KubernetesOptions): ConstructorParameters<typeof Containers>[0]['pods'] {
  if (options.namespace_metadata_only) return undefined;
  if (options.use_tag_for_meta) return 'names';
  return {
    labels: options.labels,
    annotations: options.annotations,
    ownerReferences: options.owner_references,
  };
}

function asksApi(options: KubernetesOptions): boolean {
  return !options.dummy_meta && !options.use_tag_for_meta;
}

async function openDirectory(options: KubernetesOptions, context: FilterContext): Promise<PodDirectory> {
  const api = asksApi(options) ? await openPodDirectory(options, context) : noDirectory;
  const files = options.kube_meta_preload_cache_dir;
  return files === undefined
    ? api
    : new PreloadDirectory({ directory: files, behind: api, log: context.log });
}
