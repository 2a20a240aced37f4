/** docker_logs: the logs of Docker's containers, as its json-file driver writes them. */
import { resolve } from 'node:path';
import { boolean, csv, defineInput, string } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { loadEncoding } from '../shared/tail/encoding.ts';
import { compilePattern, joinBraces } from '../shared/tail/glob.ts';
import { containerFormat, containerJoinOptions } from '../shared/tail/join-options.ts';
import { followOptions, followSettings } from '../shared/tail/options.ts';
import { TailInput } from '../shared/tail/tail.ts';
import { compileLabels } from './docker_logs/container.ts';
import { Containers } from './docker_logs/containers.ts';

export default defineInput({
  name: 'docker_logs',
  summary: "Follows the logs of Docker's containers and says of each record which container it is of",
  defaultTag: 'docker.<name>',
  options: {
    path: csv()
      .default('/var/lib/docker/containers/*/*-json.log')
      .describe(
        'The logs, as the json-file driver of Docker writes them; what is known of a container lies beside its log.',
      ),
    read_from_head: boolean()
      .default('false')
      .describe(
        'At the very first start, read logs from their head instead of their end. Those of later containers are always read from their head.',
      ),
    metadata_key: string()
      .default('container')
      .describe(
        'Key under which records have the id, name, image and labels of their container; `off` for none.',
      ),
    labels: csv()
      .default('com.docker.compose.project, com.docker.compose.service')
      .describe('Labels of the container that records have; names, `*` stands for any text. `off` for none.'),
    path_key: string().optional().describe('Key under which the path of the log is added to each record.'),
    offset_key: string()
      .optional()
      .describe('Key under which the offset of the line in its log is added, in bytes.'),
    ...containerJoinOptions,
    ...followOptions,
  },
  example: `pipeline:
  inputs:
    - name: docker_logs
      tag: docker.<name>
      labels: com.docker.compose.*, team
  outputs:
    - name: stdout
      match: docker.*`,
  check(options) {
    const problems: OptionProblem[] = [];
    if (options.path.length === 0) problems.push({ key: 'path', message: 'names no file' });
    if (options.metadata_key === 'log')
      problems.push({
        key: 'metadata_key',
        message: 'is where the text of the container stands; choose another',
      });
    return problems;
  },
  tags: (_options, tag) => [tag.replaceAll(/<(?:name|id|image)>/g, '*')],
  async create(options, context) {
    const { cwd, tag, log } = context;
    const patterns = joinBraces(options.path).map((text) => compilePattern(text, cwd));
    const format = containerFormat(['docker'], options.multiline_flush * 1000, context);
    const labels = options.labels.filter((label) => label !== 'off');
    const key = options.metadata_key === 'off' ? undefined : options.metadata_key;
    const containers = new Containers(compileLabels(labels), key, log);
    return new TailInput(
      {
        ...followSettings(options, cwd),
        patterns,
        tagOf: (path) => containers.tagOf(tag, resolve(cwd, path)),
        attend: (path) => containers.attend(path),
        readFromHead: options.read_from_head,
        key: 'log',
        formatOf: () => format,
        maxRecord: options.multiline_buffer_limit,
        pathKey: options.path_key,
        offsetKey: options.offset_key,
        skipEmptyLines: false,
        encoding: await loadEncoding(undefined, undefined),
      },
      context,
    );
  },
});
