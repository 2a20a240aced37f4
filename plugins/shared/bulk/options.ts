/** The options that all outputs share that speak the bulk protocol. */
import { boolean, csv, enumOf, integer, secret, size, string } from '../../../src/plugin.ts';
import type { OptionProblem, OptionValues, OutputTraits } from '../../../src/plugin.ts';
import { accessorProblems } from '../accessor-problems.ts';
import { awsAuthOptions, checkAws, fromAwsAuthOptions } from '../aws/index.ts';
import { hostOption } from '../destination.ts';
import { checkHttpDestination, httpConnectionOptions } from '../http-destination.ts';
import type { BulkOutputOptions } from './output.ts';
import { indexProblem } from './index-name.ts';
import { parseHost } from './nodes.ts';
import type { HostPort } from './nodes.ts';

const PORT = 9200;

export const bulkOptions = {
  host: hostOption,
  port: integer({ min: 1, max: 65_535 }).default(PORT).describe('Port.'),
  hosts: csv()
    .default([])
    .describe(
      'Several hosts of one cluster instead of host, as `name[:port], …`: requests go to them in turn, and past one that fails.',
    ),
  ...httpConnectionOptions,
  path: string().optional().describe('Put before `/_bulk`, for a proxy that serves the store below a path.'),
  http_user: string().optional().describe('User of basic authentication.'),
  http_passwd: secret().optional().describe('Password of basic authentication.'),
  index: string()
    .default('fluent-bit')
    .describe(
      "Index or data stream. May hold `%Y.%m.%d` and the like, filled in by the event's time, and record accessors.",
    ),
  logstash_format: boolean()
    .default(false)
    .describe('Names the index `<prefix><separator><date>`, a new one each day, instead of index.'),
  logstash_prefix: string().default('logstash').describe('Its prefix; may hold record accessors.'),
  logstash_prefix_separator: string().default('-').describe('Between prefix and date.'),
  logstash_prefix_key: string()
    .optional()
    .describe('Record accessor: the prefix of records that have this field.'),
  logstash_dateformat: string().default('%Y.%m.%d').describe('Its date.'),
  current_time_index: boolean()
    .default(false)
    .describe(
      'Takes the date of the index from the clock instead of the event. A record that is sent again after midnight is then there twice.',
    ),
  write_operation: enumOf('create', 'index', 'update', 'upsert')
    .default('create')
    .describe('What to do with a document; data streams only take create. update and upsert need id_key.'),
  id: enumOf('origin', 'none')
    .optional()
    .describe(
      'Where ids come from: `origin` makes them of source and position, so that a record is there once however often it is sent; `none` leaves them to the store. Default: `origin`, and `none` with aws_service_name aoss, whose time series take no ids.',
    ),
  id_key: string()
    .optional()
    .describe('Record accessor: this text or number is the id. Records without it have that of `id`.'),
  generate_id: boolean()
    .default(false)
    .describe(
      'The same as `id: origin`. (Fluent Bit makes the id of what a record says, so that of two equal ones the store has one.)',
    ),
  type: string().default('_doc').describe('Type of documents, for stores before version 8.'),
  suppress_type_name: boolean()
    .default(true)
    .describe(
      'Sends no type. Fluent Bit sends it by default, which Elasticsearch 8 and OpenSearch 2 and later refuse.',
    ),
  pipeline: string().optional().describe('Ingest pipeline that documents go through.'),
  time_key: string()
    .default('@timestamp')
    .describe("Key of the event's time; a record that has it keeps its own."),
  time_key_format: string()
    .default('%Y-%m-%dT%H:%M:%S')
    .describe('Its format, UTC; fraction and `Z` are put behind it unless it has `%L` or `%N`.'),
  time_key_nanos: boolean().default(false).describe('Nine digits of the second instead of three.'),
  include_tag_key: boolean().default(false).describe('Puts the tag into the document.'),
  tag_key: string().default('flb-key').describe('Key of the tag.'),
  replace_dots: boolean()
    .default(false)
    .describe('Writes `_` for dots in keys. Takes a decoding of every record.'),
  on_mapping_conflict: enumOf('off', 'stringify')
    .default('off')
    .describe(
      'What becomes of a record with a field of another type than the index has: a dead letter, or it is sent once more with the field as text under `_conflict`.',
    ),
  compress: enumOf('gzip').optional().describe('Compresses the bodies.'),
  bulk_max_size: size()
    .default('5M')
    .describe(
      'No body is larger, uncompressed. The least that a hosted store takes is 10 MiB; larger bodies are hardly faster.',
    ),
  buffer_size: size()
    .default('16M')
    .describe(
      "Most that is kept of an answer; `false`: 64M. Fluent Bit's 512k is too little for what a store can say about one request.",
    ),
  trace_output: boolean().default(false).describe('Logs the beginning of every body.'),
  trace_error: boolean().default(false).describe('Logs the first record that is rejected in a request.'),
  aws_auth: boolean()
    .default(false)
    .describe(
      'Signs requests for AWS (Amazon OpenSearch Service and Serverless). Set port to 443 and tls to on.',
    ),
  ...awsAuthOptions,
  aws_service_name: string().default('es').describe('Name in signatures: `es`, or `aoss` for Serverless.'),
};

export type BulkOptionValues = OptionValues<typeof bulkOptions>;

/** The options that say where a bulk output writes to. */
export const BULK_TARGET = ['host', 'port', 'hosts', 'path', 'index', 'logstash_prefix'];

/** Share of a body that the records' own bytes take, about: the rest are action lines and times. */
const RECORD_SHARE = 0.5;
/** More records than this say too much in one answer. */
const MAX_RECORDS = 20_000;
const WORKERS = 2;
const KEPT_UNLESS_BOUNDED = 64_000_000;

export function bulkTraits(options: BulkOptionValues): OutputTraits {
  return {
    limits: { bytes: Math.max(1, Math.floor(options.bulk_max_size * RECORD_SHARE)), records: MAX_RECORDS },
    workers: WORKERS,
  };
}

/** The hosts, all with a port. */
export function hostsOf({
  host,
  hosts,
  port,
}: Pick<BulkOptionValues, 'host' | 'hosts' | 'port'>): HostPort[] {
  if (hosts.length === 0) return [{ host, port }];
  return hosts.flatMap((text) => parseHost(text, port) ?? []);
}

/** Bytes that are kept of an answer. */
export function keptBytes({ buffer_size: bytes }: BulkOptionValues): number {
  return bytes === 0 ? KEPT_UNLESS_BOUNDED : bytes;
}

/** What {@link BulkOutput} is made of. */
export function bulkOutputOptions(options: BulkOptionValues): BulkOutputOptions {
  const fallback = options.aws_auth && options.aws_service_name === 'aoss' ? 'none' : 'origin';
  return { ...options, id: options.generate_id ? 'origin' : (options.id ?? fallback) };
}

const CHOSEN =
  'lets whoever writes the records choose the index: begin the name with fixed text where not all of them are trusted';

/** The name begins with what comes from a record. */
function isFieldFirst(name: string): boolean {
  return /^\$(?!TAG)/.test(name);
}

export function checkBulk(options: BulkOptionValues): OptionProblem[] {
  const problems: OptionProblem[] = [
    ...checkHttpDestination(options),
    ...checkAws(fromAwsAuthOptions(options), 'aws_'),
    ...accessorProblems('id_key', options.id_key),
    ...accessorProblems('logstash_prefix_key', options.logstash_prefix_key),
  ];
  const problem = (key: string, message: string | undefined): void => {
    if (message !== undefined) problems.push({ key, message });
  };
  options.hosts.forEach((text, index) => {
    if (parseHost(text, options.port) === undefined)
      problems.push({
        key: 'hosts',
        index,
        message: 'is not a host: write name[:port], without scheme and path',
      });
  });
  if (options.logstash_format) problem('logstash_prefix', indexProblem(options.logstash_prefix));
  else problem('index', indexProblem(options.index));
  for (const [key, chosen] of [
    ['index', !options.logstash_format && isFieldFirst(options.index)],
    ['logstash_prefix', options.logstash_format && isFieldFirst(options.logstash_prefix)],
    ['logstash_prefix_key', options.logstash_format && options.logstash_prefix_key !== undefined],
  ] as const) {
    if (chosen) problems.push({ key, level: 'warning', message: CHOSEN });
  }
  if (options.path !== undefined && /[\s?#\u0000-\u001f\u007f-\uffff]/.test(options.path))
    problem('path', 'holds a character that the path of a URL cannot have: write it percent-encoded');
  if (/^(?:update|upsert)$/.test(options.write_operation) && options.id_key === undefined)
    problem('write_operation', 'needs id_key: without an id there is nothing to update');
  if (options.generate_id && options.id === 'none') problem('generate_id', 'and id: none exclude each other');
  if (options.bulk_max_size < 1000) problem('bulk_max_size', 'is less than 1000 bytes: no record would fit');
  if (options.include_tag_key && options.tag_key === options.time_key)
    problem('tag_key', 'is the same as time_key: a document has each key once');
  if (options.aws_auth && options.http_user !== undefined)
    problem('http_user', 'and aws_auth exclude each other: a request has one Authorization');
  if (options.aws_auth && !options.tls)
    problems.push({
      key: 'aws_auth',
      level: 'warning',
      message: 'without tls: AWS takes no unencrypted requests',
    });
  return problems;
}
