/** The `elasticsearch` output, `es` in Fluent Bit: bulk requests to Elasticsearch and to what speaks its protocol. */
import { defineOutput, secret, string } from '../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../src/plugin.ts';
import { openAwsSigning } from '../shared/bulk/aws.ts';
import { openNodes } from '../shared/bulk/nodes.ts';
import {
  BULK_TARGET,
  bulkOptions,
  bulkOutputOptions,
  bulkTraits,
  checkBulk,
  hostsOf,
  keptBytes,
} from '../shared/bulk/options.ts';
import { BulkOutput } from '../shared/bulk/output.ts';
import { bulkHeaders, bulkPath, bulkQuery } from '../shared/bulk/request.ts';
import { openElasticsearch } from './elasticsearch/client.ts';
import type { ElasticsearchOptions } from './elasticsearch/client.ts';
import { cloudHost } from './elasticsearch/cloud.ts';

const options = {
  ...bulkOptions,
  http_api_key: secret().optional().describe('API key, encoded, as Elasticsearch shows it when it is made.'),
  cloud_id: string()
    .optional()
    .describe('Id of a deployment of Elastic Cloud, instead of host and port; switches tls on.'),
  cloud_auth: secret().optional().describe('`USER:PASSWORD` for it.'),
  upstream: string().optional().describe('Not there yet: write hosts.'),
};

type Values = OptionValues<typeof options>;

export default defineOutput({
  name: 'elasticsearch',
  aliases: ['es'],
  summary: 'Writes records to Elasticsearch by bulk requests',
  options,
  traits: (written) => bulkTraits(written),
  target: [...BULK_TARGET, 'cloud_id'],
  example: `pipeline:
  outputs:
    - name: elasticsearch
      match: '*'
      hosts: es1.example.com, es2.example.com
      tls: on
      http_api_key: \${ES_API_KEY}
      index: logs-app-default
      compress: gzip
      on_mapping_conflict: stringify
`,
  check(written) {
    const problems = checkBulk(written);
    const { cloud_id: cloud, cloud_auth: auth } = written;
    if (cloud !== undefined && cloudHost(cloud) === undefined)
      problems.push({
        key: 'cloud_id',
        message: 'is not a cloud id: copy it from the deployment, NAME:TEXT',
      });
    if (cloud !== undefined && written.hosts.length > 0)
      problems.push({ key: 'hosts', message: 'and cloud_id exclude each other: each says where to write' });
    if (auth !== undefined && !auth.reveal().includes(':'))
      problems.push({ key: 'cloud_auth', message: 'is not USER:PASSWORD' });
    if (written.upstream !== undefined)
      problems.push({
        key: 'upstream',
        message: 'is not there yet: write the hosts as hosts: name:port, name:port',
      });
    return [...problems, ...checkCredentials(written)];
  },
  async create(written, context) {
    const cloud = written.cloud_id === undefined ? undefined : cloudHost(written.cloud_id);
    const settings = cloud === undefined ? written : { ...written, tls: true };
    const signing = settings.aws_auth ? await openAwsSigning(settings, context) : undefined;
    const nodes = await openNodes(
      cloud === undefined ? hostsOf(settings) : [cloud],
      settings,
      context,
      signing,
    );
    const sender = await openElasticsearch({
      nodes,
      auth: authOf(settings),
      path: bulkPath(settings),
      query: bulkQuery(settings),
      headers: bulkHeaders(settings, context.agentVersion),
      keepBytes: keptBytes(settings),
    });
    return new BulkOutput(bulkOutputOptions(settings), sender, context, signing);
  },
});

function checkCredentials(written: Values): OptionProblem[] {
  const given = (['http_user', 'http_api_key', 'cloud_auth'] as const).filter(
    (key) => written[key] !== undefined,
  );
  if (written.aws_auth && written.http_user === undefined && given.length > 0)
    return [
      {
        key: given[0] as string,
        message: 'and aws_auth exclude each other: a request has one Authorization',
      },
    ];
  if (given.length < 2) return [];
  return [
    {
      key: given[1] as string,
      message: `and ${given[0]} exclude each other: a request has one Authorization`,
    },
  ];
}

/** What the client makes the Authorization of; that of http_user stands in the headers. */
function authOf({ http_api_key: key, cloud_auth: cloud }: Values): ElasticsearchOptions['auth'] {
  if (key !== undefined) return { apiKey: key.reveal() };
  if (cloud === undefined) return undefined;
  const [, username = '', password = ''] = /^([^:]*):(.*)$/s.exec(cloud.reveal()) ?? [];
  return { username, password };
}
