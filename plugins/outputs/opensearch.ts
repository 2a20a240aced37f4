/** The `opensearch` output: bulk requests to OpenSearch, and to Amazon's, signed. */
import { defineOutput } from '../../src/plugin.ts';
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
import { openOpensearch } from './opensearch/client.ts';

export default defineOutput({
  name: 'opensearch',
  summary: 'Writes records to OpenSearch by bulk requests',
  options: bulkOptions,
  traits: bulkTraits,
  target: BULK_TARGET,
  example: `pipeline:
  outputs:
    - name: opensearch
      match: '*'
      host: search-logs.eu-west-1.es.amazonaws.com
      port: 443
      tls: on
      aws_auth: on
      aws_region: eu-west-1
      logstash_format: on
      compress: gzip
`,
  check: checkBulk,
  async create(options, context) {
    const signing = options.aws_auth ? await openAwsSigning(options, context) : undefined;
    const nodes = await openNodes(hostsOf(options), options, context, signing);
    const sender = await openOpensearch({
      nodes,
      path: bulkPath(options),
      query: bulkQuery(options),
      headers: bulkHeaders(options, context.agentVersion),
      keepBytes: keptBytes(options),
    });
    return new BulkOutput(bulkOutputOptions(options), sender, context, signing);
  },
});
