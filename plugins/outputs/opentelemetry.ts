/** The `opentelemetry` output: sends records as OTLP logs, by HTTP (protobuf or JSON) or gRPC, one request per attempt. */
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import {
  allDelivered,
  boolean,
  defineOutput,
  enumOf,
  ignored,
  integer,
  kv,
  loadOtlp,
  many,
  prefix,
  secret,
  string,
} from '../../src/plugin.ts';
import type { ExportResult, OptionProblem, Otlp, Outcome, Slice } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import {
  checkHttpDestination,
  httpDestinationOptions,
  openHttpClient,
  uriProblems,
} from '../shared/http-destination.ts';
import { authorization, checkHeaders, mergeHeaders } from '../shared/http-headers.ts';
import { Rarely } from '../shared/rarely.ts';
import { readGrpcAnswer, readHttpAnswer } from './opentelemetry/answers.ts';
import { Groups } from './opentelemetry/groups.ts';
import { Mapping } from './opentelemetry/mapping.ts';

const ONLY_AWS = 'it belongs to aws_auth, which is not there yet';
const ONLY_LOGS = 'only logs flow here';
const FLUENT_BIT_NEITHER = 'Fluent Bit does not read it either: resource and scope come from the input';

/** A server of gRPC takes 4 MiB a message unless it is told; a record may become twice as long. Bytes of JSON. */
const ATTEMPT_BYTES = 2_000_000;

const compressors = { gzip: promisify(gzip), zstd: promisify(zstdCompress) };

export default defineOutput({
  name: 'opentelemetry',
  summary: 'Sends records as OTLP logs, by HTTP or gRPC',
  options: {
    ...httpDestinationOptions,
    logs_uri: string().default('/v1/logs').describe('Path and query of requests by HTTP.'),
    encoding: enumOf('protobuf', 'json')
      .default('protobuf')
      .describe('Encoding of requests by HTTP; gRPC is always protobuf.'),
    grpc: boolean().default(false).describe('Sends by gRPC; unencrypted where `tls` is off.'),
    grpc_logs_uri: string()
      .default('/opentelemetry.proto.collector.logs.v1.LogsService/Export')
      .describe('Path of requests by gRPC.'),
    http2: enumOf('off', 'on', 'force', 'false', 'true')
      .default('off')
      .describe('HTTP/2 where TLS agrees on it (`on`), or always (`force`); `grpc` forces it.'),
    compress: enumOf('gzip', 'zstd').optional().describe('Compresses requests, those by gRPC too.'),
    batch_size: integer({ min: 1 }).default(1000).describe('Records of a request, at most.'),
    header: kv()
      .default([])
      .describe(
        '`NAME VALUE`, may be given several times; replaces a header that the output would send itself.',
      ),
    http_user: string().optional().describe('User of basic authentication.'),
    http_passwd: secret().optional().describe('Password of basic authentication.'),
    log_response_payload: boolean()
      .default(true)
      .describe("Shows the first words of the destination's answer in messages."),
    on_partial_success: enumOf('dead_letter', 'accept')
      .default('dead_letter')
      .describe(
        'For requests of which the destination refuses some records without saying which, and which OTLP forbids to send again: all of their records become dead letters, or all count as delivered. The number that it refused is counted and logged in both cases.',
      ),
    logs_body_key: many()
      .optional()
      .describe(
        'Record accessor of the value that is the body; of several the first that finds one. Without any the body is the whole record. Default: `$log`, then `$message`; for records that came by OTLP only `$log`, where its input puts a body that is no map.',
      ),
    logs_body_key_attributes: boolean()
      .default(true)
      .describe(
        'Makes attributes of the other keys of a record whose body was found. Off as in Fluent Bit they are lost.',
      ),
    logs_metadata_key: string()
      .default('otlp')
      .describe('Key of the metadata that an OTLP input made of a log record.'),
    logs_observed_timestamp_metadata_key: string()
      .default('$ObservedTimestamp')
      .describe('Accessor into the metadata: time of observation, Unix nanoseconds.'),
    logs_timestamp_metadata_key: string()
      .default('$Timestamp')
      .describe("Accessor into the metadata: time, Unix nanoseconds; else the event's."),
    logs_severity_text_metadata_key: string()
      .default('$SeverityText')
      .describe('Accessor into the metadata: text of the severity.'),
    logs_severity_number_metadata_key: string()
      .default('$SeverityNumber')
      .describe('Accessor into the metadata: number of the severity, 1 to 24.'),
    logs_trace_flags_metadata_key: string()
      .default('$TraceFlags')
      .describe('Accessor into the metadata: flags.'),
    logs_span_id_metadata_key: string()
      .default('$SpanId')
      .describe('Accessor into the metadata: span id, hexadecimal.'),
    logs_trace_id_metadata_key: string()
      .default('$TraceId')
      .describe('Accessor into the metadata: trace id, hexadecimal.'),
    logs_attributes_metadata_key: string()
      .default('$Attributes')
      .describe('Accessor into the metadata: map of attributes.'),
    logs_severity_text_message_key: string()
      .default('$SeverityText')
      .describe('Accessor into the record: text of the severity, where the metadata has none.'),
    logs_severity_number_message_key: string()
      .default('$SeverityNumber')
      .describe('Accessor into the record: number of the severity, where the metadata has none.'),
    logs_span_id_message_key: string()
      .default('$SpanId')
      .describe('Accessor into the record: span id, where the metadata has none.'),
    logs_trace_id_message_key: string()
      .default('$TraceId')
      .describe('Accessor into the record: trace id, where the metadata has none.'),
    logs_instrumentation_scope_metadata_key: ignored(FLUENT_BIT_NEITHER),
    logs_resource_metadata_key: ignored(FLUENT_BIT_NEITHER),
    logs_max_resources: ignored('a request has as many as its records need; Fluent Bit drops what is over'),
    logs_max_scopes: ignored('a request has as many as its records need; Fluent Bit drops what is over'),
    add_label: ignored(`labels are of metrics, and ${ONLY_LOGS}`),
    metrics_uri: ignored(ONLY_LOGS),
    grpc_metrics_uri: ignored(ONLY_LOGS),
    traces_uri: ignored(ONLY_LOGS),
    grpc_traces_uri: ignored(ONLY_LOGS),
    profiles_uri: ignored(ONLY_LOGS),
    grpc_profiles_uri: ignored(ONLY_LOGS),
    aws_auth: boolean().default(false).describe('Not there yet.'),
    aws_service: ignored(ONLY_AWS),
    aws_region: ignored(ONLY_AWS),
    aws_sts_endpoint: ignored(ONLY_AWS),
    aws_role_arn: ignored(ONLY_AWS),
    aws_external_id: ignored(ONLY_AWS),
    aws_profile: ignored(ONLY_AWS),
    'oauth2.*': prefix().describe('Not there yet.'),
  },
  traits: ({ batch_size: records }) => ({ workers: 2, limits: { records, bytes: ATTEMPT_BYTES } }),
  target: ['host', 'port', 'logs_uri', 'grpc'],
  example: `pipeline:
  outputs:
    - name: opentelemetry
      match: '*'
      host: collector.example.com
      port: 4318
      tls: on
      compress: gzip
      header: x-tenant shop
`,
  check(options) {
    const problems: OptionProblem[] = [
      ...checkHttpDestination(options),
      ...checkHeaders(options.header),
      ...uriProblems('logs_uri', options.logs_uri),
      ...uriProblems('grpc_logs_uri', options.grpc_logs_uri),
    ];
    if (options.aws_auth)
      problems.push({ key: 'aws_auth', message: 'is not there yet: send through a signing proxy' });
    if (options['oauth2.*'].some(([key, value]) => key === 'enable' && /^(?:on|true|yes)$/i.test(value))) {
      problems.push({
        key: 'oauth2.*',
        message: 'is not there yet: use a header authorization, or a proxy that adds the token',
      });
    }
    if (options.grpc && options.encoding === 'json')
      problems.push({ key: 'encoding', message: 'is of requests by HTTP: with grpc it is protobuf' });
    if (options.proxy !== undefined && alwaysHttp2(options) && !options.tls) {
      problems.push({
        key: 'proxy',
        message: 'carries no unencrypted HTTP/2: set tls to on, or grpc and http2 to off',
      });
    }
    for (const [index, accessor] of (options.logs_body_key ?? []).entries())
      for (const problem of accessorProblems('logs_body_key', accessor)) problems.push({ ...problem, index });
    for (const key of ACCESSOR_KEYS) problems.push(...accessorProblems(key, options[key]));
    return problems;
  },
  async create(options, context) {
    const otlp = await loadOtlp();
    const { grpc, encoding, compress, log_response_payload: showText } = options;
    const client = await openHttpClient(options, context, {
      http2: alwaysHttp2(options) ? 'only' : isOn(options.http2) ? 'offer' : undefined,
    });
    if (client.proxyShown !== undefined && alwaysHttp2(options) && !options.tls) {
      throw new Error(
        `${client.place}: a proxy carries no unencrypted HTTP/2. Set tls to on, or net.proxy_env_ignore to on.`,
      );
    }
    const mapping = new Mapping({
      bodyKeys: options.logs_body_key,
      restIsAttributes: options.logs_body_key_attributes,
      metadataKey: options.logs_metadata_key,
      keys: {
        observedTimestamp: options.logs_observed_timestamp_metadata_key,
        timestamp: options.logs_timestamp_metadata_key,
        severityText: [options.logs_severity_text_metadata_key, options.logs_severity_text_message_key],
        severityNumber: [options.logs_severity_number_metadata_key, options.logs_severity_number_message_key],
        traceFlags: options.logs_trace_flags_metadata_key,
        spanId: [options.logs_span_id_metadata_key, options.logs_span_id_message_key],
        traceId: [options.logs_trace_id_metadata_key, options.logs_trace_id_message_key],
        attributes: options.logs_attributes_metadata_key,
      },
    });
    const uri = grpc ? options.grpc_logs_uri : options.logs_uri;
    const path = uri.startsWith('/') ? uri : `/${uri}`;
    const place = `${client.place}${path.replace(/\?.*/s, '')}`;
    const headers = mergeHeaders(
      {
        'user-agent': `Tailrace/${context.agentVersion}`,
        ...authorization(options.http_user, options.http_passwd, undefined),
        ...(grpc
          ? { 'content-type': 'application/grpc', te: 'trailers' }
          : { 'content-type': encoding === 'json' ? 'application/json' : 'application/x-protobuf' }),
        ...(compress === undefined ? {} : { [grpc ? 'grpc-encoding' : 'content-encoding']: compress }),
      },
      options.header,
      false,
    );
    const readAnswer = grpc ? readGrpcAnswer : readHttpAnswer;
    const refusedInPart = context.metrics
      .counter(
        'tailrace_output_partial_rejected_records_total',
        'Records that destinations refused in requests that they took in part, without saying which.',
      )
      .labels({ output: context.name });
    const refusals = new Rarely();
    const warnings = new Rarely();

    const outcomeOf = ({ rejected, message }: ExportResult, records: number): Outcome => {
      if (rejected === 0) {
        if (message !== '' && warnings.happened() > 0)
          context.log.warn({ message }, 'The destination took all records, with a warning');
        return allDelivered;
      }
      refusedInPart.value += rejected;
      const requests = refusals.happened();
      if (requests > 0) {
        context.log.warn(
          { rejected, records, requests, reason: message },
          'The destination refused some records of a request and does not say which',
        );
      }
      if (options.on_partial_success === 'accept' && rejected < records) return allDelivered;
      const reason = `${place} refused ${rejected} of the ${records} records of the request${message === '' ? '' : `: ${message}`}`;
      return { rejected: Array.from({ length: records }, (_, index) => ({ index, reason })) };
    };

    return {
      async deliver(slices, signal) {
        const { resources, records } = groupsOf(slices, mapping, otlp);
        const plain =
          encoding === 'json' && !grpc
            ? Buffer.from(otlp.encodeJsonLogs(resources))
            : otlp.encodeProtoLogs(resources);
        const body = compress === undefined ? plain : await compressors[compress](plain);
        const response = await client.request({
          method: 'POST',
          path,
          headers,
          body: grpc ? framed(body, compress !== undefined) : body,
          signal,
        });
        return outcomeOf(readAnswer(response, { otlp, place, showText }), records);
      },
      close: () => client.close(),
    };
  },
});

const ACCESSOR_KEYS = [
  'logs_observed_timestamp_metadata_key',
  'logs_timestamp_metadata_key',
  'logs_severity_text_metadata_key',
  'logs_severity_number_metadata_key',
  'logs_trace_flags_metadata_key',
  'logs_span_id_metadata_key',
  'logs_trace_id_metadata_key',
  'logs_attributes_metadata_key',
  'logs_severity_text_message_key',
  'logs_severity_number_message_key',
  'logs_span_id_message_key',
  'logs_trace_id_message_key',
] as const;

const isOn = (http2: string): boolean => http2 === 'on' || http2 === 'true';

const alwaysHttp2 = ({ grpc, http2 }: { grpc: boolean; http2: string }): boolean => grpc || http2 === 'force';

function groupsOf(
  slices: readonly Slice[],
  mapping: Mapping,
  otlp: Otlp,
): { resources: Groups['resources']; records: number } {
  const groups = new Groups();
  let records = 0;
  for (const slice of slices) {
    for (let index = 0; index < slice.length; index++) {
      const metadata = slice.metadata(index);
      const record = mapping.recordOf({
        record: otlp.parseTyped(slice.json(index)),
        metadata,
        seconds: slice.seconds(index),
        nanos: slice.nanos(index),
      });
      groups.add(record, mapping.otlpOf(metadata) === undefined ? undefined : metadata);
    }
    records += slice.length;
  }
  return { resources: groups.resources, records };
}

/** A message of gRPC: whether it is compressed, and its length, in front. */
function framed(message: Buffer, compressed: boolean): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed ? 1 : 0;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
