/**
 * kubernetes_logs: the logs of the containers of a node, each record with what the API knows of its pod.
 *
 * It is the tail input and the kubernetes filter in one, and does what those cannot: a file is held open but not read until its pod is
 * known, so that nothing else waits for it; a pod stays known for as long as its files are followed; and a pod that writes too much can
 * be held to a quota.
 */
import { boolean, csv, defineInput, integer, translateRegex } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { checkPodDirectory, openPodDirectory, podDirectoryOptions } from '../shared/kubernetes/api/index.ts';
import { readContainerLog } from '../shared/kubernetes/log-path.ts';
import { mergeOptions, openMerger } from '../shared/kubernetes/merge-log.ts';
import { checkMetadata, metadataOptions, openContainers } from '../shared/kubernetes/metadata-options.ts';
import { policyOptions } from '../shared/kubernetes/policy.ts';
import { WithoutMetadata } from '../shared/kubernetes/without-metadata.ts';
import { loadEncoding } from '../shared/tail/encoding.ts';
import { compilePattern, joinBraces } from '../shared/tail/glob.ts';
import { containerFormat, containerJoinOptions } from '../shared/tail/join-options.ts';
import { followOptions, followSettings } from '../shared/tail/options.ts';
import { compileTag } from '../shared/tail/tags.ts';
import { chooseNamespaces } from './kubernetes_logs/choice.ts';
import { FirstLineFormats } from './kubernetes_logs/first-lines.ts';
import { KubernetesLogs } from './kubernetes_logs/input.ts';

/** What a tag can be made of: the name of the file. */
const FILE = String.raw`/(?<pod_name>[^/_]+)_(?<namespace_name>[^/_]+)_(?<container_name>[^/_]+)-(?<container_id>[0-9a-f]{64})\.log$`;

export default defineInput({
  name: 'kubernetes_logs',
  summary: 'Reads the logs of the containers of a Kubernetes node, with the metadata of their pods',
  defaultTag: 'kube.<namespace_name>.<pod_name>.<container_name>',
  options: {
    path: csv()
      .default('/var/log/containers/*.log')
      .describe('The links that the kubelet makes, named POD_NAMESPACE_CONTAINER-ID.log.'),
    namespaces: csv()
      .optional()
      .describe('Only logs of these namespaces are read; `*` stands for any characters. Default: all.'),
    exclude_namespaces: csv()
      .default('')
      .describe('Logs of these namespaces are not read; `*` stands for any characters.'),
    read_from_head: boolean()
      .default(true)
      .describe(
        'At the very first start, read files from their head instead of their end. Files that come later are always read from their head.',
      ),
    ...followOptions,
    ...containerJoinOptions,
    pod_rate_limit: integer({ min: 0 })
      .default(0)
      .describe(
        'Records that one pod may send a second. More are left out, counted, and summed up by a record every ten seconds. 0: no limit.',
      ),
    pod_rate_burst: integer({ min: 0 })
      .default(0)
      .describe('Records that a pod may send at once after a pause. 0: those of ten seconds.'),
    ...metadataOptions,
    ...mergeOptions,
    ...policyOptions,
    ...podDirectoryOptions,
  },
  parserOptions: ['merge_parser', 'k8s-logging.parsers'],
  anyParser: (options) => options['k8s-logging.parser'] && options['k8s-logging.parsers'] === undefined,
  target: ['path'],
  example: `inputs:
  - name: kubernetes_logs
    merge_log: on
    keep_log: off`,
  check(options) {
    const problems: OptionProblem[] = [...checkMetadata(options), ...checkPodDirectory(options)];
    if (options.path.length === 0) problems.push({ key: 'path', message: 'names no file' });
    return problems;
  },
  tags: (_options, tag) => [tag.replaceAll(/<\w+>/g, '*')],
  async create(options, context) {
    const { cwd } = context;
    const directory = await openPodDirectory(options, context);
    const containers = openContainers(options, context, {
      directory,
      read: readContainerLog,
      namesOnly: false,
      honoured: ['parser', 'exclude', 'multiline', 'sample', 'rate-limit'],
    });
    // What begins with a brace is Docker's, so that a line of it that quotes one of CRI is not taken for that.
    const format = containerFormat(['docker', 'cri'], options.multiline_flush * 1000, context);
    const { pod_rate_limit: rate, pod_rate_burst: burst } = options;
    return new KubernetesLogs(
      {
        ...followSettings(options, cwd),
        patterns: joinBraces(options.path).map((text) => compilePattern(text, cwd)),
        tagOf: chooseNamespaces(options, compileTag(context.tag, translateRegex(FILE), { starIsPath: true })),
        readFromHead: options.read_from_head,
        key: 'log',
        formatOf: () => format,
        maxRecord: options.multiline_buffer_limit,
        pathKey: undefined,
        offsetKey: undefined,
        skipEmptyLines: false,
        encoding: await loadEncoding(undefined, undefined),
      },
      {
        containers,
        directory,
        firstLines: new FirstLineFormats(format.join),
        merger: openMerger(options, context),
        without: new WithoutMetadata(context),
        limits: rate === 0 ? undefined : { rate, burst: burst === 0 ? rate * 10 : burst },
      },
      context,
    );
  },
});
