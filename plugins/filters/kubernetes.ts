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
import { openMerger } from '../shared/kubernetes/merge-log.ts';
import type { LogMerger } from '../shared/kubernetes/merge-log.ts';
import { openContainers } from '../shared/kubernetes/metadata-options.ts';
import type { PodDirectory } from '../shared/kubernetes/pods.ts';
import { WithoutMetadata } from '../shared/kubernetes/without-metadata.ts';
import { DummyFilter } from './kubernetes/dummy.ts';
import { JournalFilter } from './kubernetes/journal.ts';
import { NameReader } from './kubernetes/names.ts';
import { checkOptions, kubernetesOptions } from './kubernetes/options.ts';
import type { KubernetesOptions } from './kubernetes/options.ts';
import { noDirectory, PreloadDirectory } from './kubernetes/preload.ts';
import { TagFilter } from './kubernetes/tag-filter.ts';

export default defineFilter({
  name: 'kubernetes',
  summary: 'Adds metadata of pods and namespaces to the logs of containers',
  options: kubernetesOptions,
  parserOptions: ['merge_parser', 'regex_parser', 'k8s-logging.parsers'],
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
    const merger = openMerger(options, context);
    if (options.dummy_meta) return new DummyFilter(merger);
    const directory = await openDirectory(options, context);
    return createFilter(options, context, directory, merger);
  },
});

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
  const containers = openContainers(options, context, {
    directory,
    read: options.use_journal ? (text) => reader.from(text) : (tag) => reader.fromTag(tag),
    namesOnly: options.use_tag_for_meta,
    namesOfAbsent: options.use_kubelet,
    honoured: ['parser', 'exclude'],
  });
  const parts = { containers, directory, merger, without: new WithoutMetadata(context) };
  return options.use_journal ? new JournalFilter(parts) : new TagFilter({ ...parts, reader, context });
}

function asksApi(options: KubernetesOptions): boolean {
  return !options.dummy_meta && !options.use_tag_for_meta;
}

async function openDirectory(options: KubernetesOptions, context: FilterContext): Promise<PodDirectory> {
  const api = asksApi(options) ? await openPodDirectory(options, context) : noDirectory;
  const files = options.kube_meta_preload_cache_dir;
  return files === undefined
    ? api
    : new PreloadDirectory({ directory: files, lists: options.use_kubelet, behind: api, log: context.log });
}
