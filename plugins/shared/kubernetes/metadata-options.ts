/** Which metadata records get and how long they wait for it: the options of the plugins that add it, and what is made of them. */
import { boolean, time } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues, PluginContext } from '../../../src/plugin.ts';
import type { Property } from './annotations.ts';
import { Containers } from './containers.ts';
import type { ContainersOptions } from './containers.ts';
import type { mergeOptions } from './merge-log.ts';
import { AnnotationPolicy } from './policy.ts';
import type { policyOptions } from './policy.ts';
import type { PodDirectory } from './pods.ts';

export const metadataOptions = {
  kube_meta_wait: time()
    .default('5s')
    .describe(
      'How long records wait for metadata; then they go on without it, flagged in their metadata and counted.',
    ),
  labels: boolean().default(true).describe('Adds the labels of the pod.'),
  annotations: boolean().default(true).describe('Adds the annotations of the pod.'),
  owner_references: boolean().default(false).describe('Adds the owner references of the pod.'),
  namespace_labels: boolean()
    .default(false)
    .describe('Adds the labels of the namespace, under `kubernetes_namespace`.'),
  namespace_annotations: boolean()
    .default(false)
    .describe('Adds the annotations of the namespace, under `kubernetes_namespace`.'),
  namespace_metadata_only: boolean()
    .default(false)
    .describe('Adds nothing about the pod, and does not ask for it.'),
};

type MetadataValues = OptionValues<typeof metadataOptions>;
type Values = MetadataValues & OptionValues<typeof mergeOptions> & OptionValues<typeof policyOptions>;

/** What has no effect without something else, for `check`. `merging`: further options that only say how logs are merged. */
export function checkMetadata(options: Values, merging: readonly (keyof Values)[] = []): OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (!options.merge_log) {
    const idle = (key: string): void => {
      problems.push({ key, level: 'warning', message: 'has no effect without merge_log: on' });
    };
    for (const key of merging) if (options[key] === true) idle(key);
    if (options.merge_parser !== undefined) idle('merge_parser');
    if (options.merge_log_key !== undefined) idle('merge_log_key');
    if (!options.keep_log) idle('keep_log');
  }
  if (options.namespace_metadata_only && !wantsNamespaces(options)) {
    problems.push({
      key: 'namespace_metadata_only',
      level: 'warning',
      message: 'leaves nothing to add: switch on namespace_labels or namespace_annotations',
    });
  }
  return problems;
}

export function wantsNamespaces(options: MetadataValues): boolean {
  return options.namespace_labels || options.namespace_annotations;
}

/** The containers that records are of, with what the options want of their pods. `read` says which one a text names. */
export function openContainers(
  options: Values,
  context: PluginContext,
  parts: {
    directory: PodDirectory;
    read: ContainersOptions['read'];
    /** Only names are wanted, and nobody is asked. */
    namesOnly: boolean;
    namesOfAbsent?: boolean;
    /** What pods may say that the plugin knows how to do. */
    honoured: readonly Property[];
  },
): Containers {
  const { labels, annotations, owner_references: ownerReferences } = options;
  const { directory, read, namesOnly, namesOfAbsent = false, honoured } = parts;
  const wanted = namesOnly ? 'names' : ({ labels, annotations, ownerReferences } as const);
  return new Containers({
    directory,
    policy: new AnnotationPolicy(options, context, honoured),
    read,
    pods: options.namespace_metadata_only ? undefined : wanted,
    namesOfAbsent,
    namespaces: wantsNamespaces(options)
      ? { labels: options.namespace_labels, annotations: options.namespace_annotations }
      : undefined,
    waitMs: options.kube_meta_wait * 1000,
  });
}
