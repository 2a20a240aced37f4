/** The options of the kubernetes filter: Fluent Bit's, and ours. */
import { boolean, ignored, path, string } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../../src/plugin.ts';
import { podDirectoryOptions } from '../../shared/kubernetes/api/index.ts';
import { checkMetadata, metadataOptions, wantsNamespaces } from '../../shared/kubernetes/metadata-options.ts';
import { mergeOptions } from '../../shared/kubernetes/merge-log.ts';
import { policyOptions } from '../../shared/kubernetes/policy.ts';

const ASSOCIATION = 'it is part of the association of pods with AWS services, which is not there';

/** As an option: off as always, and a mistake when on, since records would lack what somebody waits for. */
function association(): ReturnType<typeof boolean> {
  return boolean()
    .default(false)
    .describe('Association of pods with AWS services: not there; on is an error of the configuration.');
}

export const kubernetesOptions = {
  kube_tag_prefix: string()
    .default('kube.var.log.containers.')
    .describe('What stands in the tag in front of the name of the log file; it is taken off by its length.'),
  regex_parser: string()
    .optional()
    .describe(
      'A regex parser for the rest of the tag, or for CONTAINER_NAME: its groups pod_name, namespace_name, container_name, docker_id and container_hash are used.',
    ),
  kube_meta_preload_cache_dir: path()
    .optional()
    .describe(
      'Directory with files NAMESPACE_POD.meta and NAMESPACE.namespace_meta, JSON as the API gives it; pods that have one are not asked for.',
    ),
  ...metadataOptions,
  use_journal: boolean()
    .default(false)
    .describe(
      'The records are those of a journal: the container is told by their field CONTAINER_NAME. Records without it pass as they are.',
    ),
  use_tag_for_meta: boolean().default(false).describe('Adds what the tag says alone, and asks nobody.'),
  dummy_meta: boolean()
    .default(false)
    .describe('For trying out: adds the time of day as `dummy`, whatever the tag is, and asks nobody.'),
  ...mergeOptions,
  ...policyOptions,
  ...podDirectoryOptions,
  cache_use_docker_id: ignored('pods of one name are always told apart by the ids of their containers'),
  kube_namespace_file: ignored('the pod of the agent itself is not asked for'),
  aws_use_pod_association: association().alias('use_pod_association'),
  aws_pod_association_host: ignored(ASSOCIATION),
  aws_pod_association_endpoint: ignored(ASSOCIATION),
  aws_pod_association_port: ignored(ASSOCIATION),
  aws_pod_service_map_ttl: ignored(ASSOCIATION),
  aws_pod_service_map_refresh_interval: ignored(ASSOCIATION),
  aws_pod_service_preload_cache_dir: ignored(ASSOCIATION),
  aws_pod_association_host_server_ca_file: ignored(ASSOCIATION),
  aws_pod_association_host_client_cert_file: ignored(ASSOCIATION),
  aws_pod_association_host_client_key_file: ignored(ASSOCIATION),
  aws_pod_association_host_tls_debug: ignored(ASSOCIATION),
  aws_pod_association_host_tls_verify: ignored(ASSOCIATION),
  set_platform: ignored(ASSOCIATION),
};

export type KubernetesOptions = OptionValues<typeof kubernetesOptions>;

export function checkOptions(options: KubernetesOptions): OptionProblem[] {
  const problems = checkMetadata(options, ['k8s-logging.parser']);
  if (options.aws_use_pod_association) {
    problems.push({
      key: 'aws_use_pod_association',
      message: 'asks for the association of pods with AWS services, which is not there: remove it',
    });
  }
  if (
    options.use_tag_for_meta &&
    wantsNamespaces(options) &&
    options.kube_meta_preload_cache_dir === undefined
  ) {
    problems.push({
      key: 'use_tag_for_meta',
      level: 'warning',
      message: 'asks nobody, so that there are no labels and annotations of namespaces',
    });
  }
  return problems;
}
