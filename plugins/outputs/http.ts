/** The `http` output: posts records to an HTTP endpoint, one request per attempt (per tag with `header_tag`, per record with `body_key`). */
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import {
  boolean,
  defineOutput,
  enumOf,
  ignored,
  kv,
  prefix,
  requireSuccess,
  secret,
  SinkPool,
  string,
} from '../../src/plugin.ts';
import type { OptionProblem, Rejection } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import {
  checkHttpDestination,
  httpDestinationOptions,
  openHttpClient,
  uriProblems,
} from '../shared/http-destination.ts';
import {
  authorization,
  checkHeaders,
  headerProblem,
  mergeHeaders,
  tagHeader,
} from '../shared/http-headers.ts';
import type { Headers } from '../shared/http-headers.ts';
import { jsonDateKey, jsonDateOptions } from '../shared/json-date-options.ts';
import { makeBodyFormat } from './http/body.ts';
import { cutParts, cutRecords, ownRequests, shifted } from './http/requests.ts';
import type { Part } from './http/requests.ts';
import { sendParts } from './http/send-parts.ts';

const ONLY_AWS = 'it belongs to aws_auth, which is not there yet';

const compressors = { gzip: promisify(gzip), zstd: promisify(zstdCompress) };

export default defineOutput({
  name: 'http',
  summary: 'Posts records to an HTTP endpoint',
  options: {
    ...httpDestinationOptions,
    uri: string().default('/').describe('Path and query of the request.'),
    http_method: enumOf('POST', 'PUT').default('POST').describe('Method of the request.'),
    format: enumOf('json', 'json_lines', 'json_stream', 'msgpack', 'gelf')
      .default('json')
      .describe('Format of the body.'),
    ...jsonDateOptions,
    compress: enumOf('gzip', 'zstd').optional().describe('Compresses the body.'),
    header: kv()
      .default([])
      .describe(
        '`NAME VALUE`, may be given several times; replaces a header that the output would send itself.',
      ),
    header_tag: string()
      .optional()
      .describe('Name of a header that takes the tag; then each tag has requests of its own.'),
    allow_duplicated_headers: boolean()
      .default(true)
      .describe('Sends a header that is given twice twice; else the last one counts.'),
    http_user: string().optional().describe('User of basic authentication.'),
    http_passwd: secret().optional().describe('Password of basic authentication.'),
    http_bearer_token: secret().optional().alias('bearer_token').describe('Token of bearer authentication.'),
    log_response_payload: boolean()
      .default(true)
      .describe("Shows the first words of the destination's answer in messages."),
    body_key: string()
      .optional()
      .describe('Record accessor: this text is the body, one request per record. Needs headers_key.'),
    headers_key: string().optional().describe('Record accessor: this map gives the headers. Needs body_key.'),
    gelf_timestamp_key: string().default('timestamp').describe('Key of the GELF timestamp.'),
    gelf_host_key: string().default('host').describe('Key of the GELF host.'),
    gelf_short_message_key: string().default('short_message').describe('Key of the GELF short message.'),
    gelf_full_message_key: string().default('full_message').describe('Key of the GELF full message.'),
    gelf_level_key: string().default('level').describe('Key of the GELF level.'),
    aws_auth: boolean().default(false).describe('Not there yet.'),
    aws_service: ignored(ONLY_AWS),
    aws_region: ignored(ONLY_AWS),
    aws_sts_endpoint: ignored(ONLY_AWS),
    aws_role_arn: ignored(ONLY_AWS),
    aws_external_id: ignored(ONLY_AWS),
    aws_profile: ignored(ONLY_AWS),
    'oauth2.*': prefix().describe('Not there yet.'),
  },
  traits: () => ({ workers: 2 }),
  target: ['host', 'port', 'uri'],
  example: `pipeline:
  outputs:
    - name: http
      match: '*'
      host: collector.example.com
      tls: on
      uri: /ingest
      format: json_lines
      compress: gzip
      http_bearer_token: \${INGEST_TOKEN}
`,
  check(options) {
    const problems: OptionProblem[] = [...checkHttpDestination(options), ...checkHeaders(options.header)];
    if (options.aws_auth)
      problems.push({
        key: 'aws_auth',
        message: 'is not there yet: send through a signing proxy, or use the output of the service',
      });
    if (options['oauth2.*'].some(([key, value]) => key === 'enable' && /^(?:on|true|yes)$/i.test(value))) {
      problems.push({
        key: 'oauth2.*',
        message: 'is not there yet: use http_bearer_token, or a proxy that adds the token',
      });
    }
    problems.push(...uriProblems('uri', options.uri));
    if (options.header_tag !== undefined) {
      const message = headerProblem(options.header_tag, '');
      if (message !== undefined) problems.push({ key: 'header_tag', message });
    }
    if ((options.body_key === undefined) !== (options.headers_key === undefined)) {
      const key = options.body_key === undefined ? 'headers_key' : 'body_key';
      problems.push({ key, message: 'stands alone: body_key and headers_key go together' });
    }
    for (const key of ['body_key', 'headers_key'] as const)
      problems.push(...accessorProblems(key, options[key]));
    if (options.http_user !== undefined && options.http_bearer_token !== undefined) {
      problems.push({
        key: 'http_user',
        message: 'and http_bearer_token exclude each other: a request has one Authorization',
      });
    }
    return problems;
  },
  async create(options, context) {
    const client = await openHttpClient(options, context);
    const format = await makeBodyFormat({
      format: options.format,
      dateKey: jsonDateKey(options.json_date_key),
      dateFormat: options.json_date_format,
      gelf: {
        timestamp: options.gelf_timestamp_key,
        host: options.gelf_host_key,
        shortMessage: options.gelf_short_message_key,
        fullMessage: options.gelf_full_message_key,
        level: options.gelf_level_key,
      },
    });
    const {
      compress,
      header_tag: headerTag,
      allow_duplicated_headers: allowDuplicates,
      body_key: bodyKey,
      headers_key: headersKey,
    } = options;
    const compressor = compress === undefined ? undefined : compressors[compress];
    const path = options.uri.startsWith('/') ? options.uri : `/${options.uri}`;
    const own: Headers = {
      'user-agent': `Tailrace/${context.agentVersion}`,
      ...authorization(options.http_user, options.http_passwd, options.http_bearer_token),
    };
    if (compress !== undefined) own['content-encoding'] = compress;
    const headers = mergeHeaders(
      { ...own, 'content-type': format.contentType },
      options.header,
      allowDuplicates,
    );
    const ownRequest =
      bodyKey === undefined || headersKey === undefined ? undefined : ownRequests(bodyKey, headersKey);
    const pool = new SinkPool();

    const post = async (
      body: Buffer,
      requestHeaders: Headers,
      tag: string,
      signal: AbortSignal,
    ): Promise<void> => {
      const response = await client.request({
        method: options.http_method,
        path,
        headers:
          headerTag === undefined
            ? requestHeaders
            : { ...requestHeaders, [headerTag.toLowerCase()]: tagHeader(tag) },
        body: compressor === undefined ? body : await compressor(body),
        signal,
      });
      requireSuccess(response, `${client.place}${path.replace(/\?.*/s, '')}`, options.log_response_payload);
    };

    /** One request for all records of a part. */
    const sendBatch = async (part: Part, signal: AbortSignal): Promise<Rejection[]> => {
      const sink = pool.take();
      const rejected = format.write(part.slices, sink);
      if (rejected.length < part.length) await post(sink.bytes, headers, tagOf(part), signal);
      // Not after an error: an aborted request may still be reading it.
      pool.give(sink);
      return shifted(rejected, part);
    };

    /** A record that is a request itself. */
    const sendRecord = async (part: Part, signal: AbortSignal): Promise<Rejection[]> => {
      const [slice] = part.slices;
      const request =
        slice === undefined ? 'There is no record.' : (ownRequest?.(slice, 0) ?? 'There is no body_key.');
      if (typeof request === 'string') return [{ index: part.index, reason: request }];
      const merged = mergeHeaders(
        mergeHeaders(own, request.headers, allowDuplicates),
        options.header,
        allowDuplicates,
      );
      await post(Buffer.from(request.body), merged, tagOf(part), signal);
      return [];
    };

    return {
      deliver(slices, signal) {
        if (ownRequest !== undefined)
          return sendParts(cutRecords(slices), (part) => sendRecord(part, signal));
        return sendParts(cutParts(slices, headerTag !== undefined), (part) => sendBatch(part, signal));
      },
      close: () => client.close(),
    };
  },
});

function tagOf(part: Part): string {
  return part.slices[0]?.tag ?? '';
}
