/** The `loki` output: pushes log lines to Grafana Loki, as protobuf with snappy or as JSON. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import {
  boolean,
  compileAccessor,
  csv,
  defineOutput,
  enumOf,
  ignored,
  integer,
  kv,
  loadSnappy,
  parseAccessor,
  RetryableError,
  secret,
  SinkPool,
  size,
  string,
} from '../../src/plugin.ts';
import type { HttpResponse, OptionProblem, PathStep } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { checkHttpDestination, httpDestinationOptions, openHttpClient } from '../shared/http-destination.ts';
import { authorization, checkHeaders, mergeHeaders } from '../shared/http-headers.ts';
import { ANSWER_BYTES, IngestionRateError, readAnswer } from './loki/answer.ts';
import { compileField, FieldSyntaxError, labelMapFields } from './loki/fields.ts';
import type { FieldSource } from './loki/fields.ts';
import { labelGuard } from './loki/label-guard.ts';
import { compileLine } from './loki/line.ts';
import { writeJsonPush } from './loki/push-json.ts';
import { writeProtobufPush } from './loki/push-protobuf.ts';
import { compileRemoval } from './loki/removal.ts';
import { cutPushes, NoAnswerError, PARALLEL, pushBytes, sendPushes } from './loki/requests.ts';
import type { Push, PushResult } from './loki/requests.ts';
import { compilePlan } from './loki/streams.ts';
import type { Plan } from './loki/streams.ts';

const compressGzip = promisify(gzip);

/** A request is never made smaller than this for the sake of a rate limit. */
const LEAST_BYTES = 16 * 1024;
/** By what requests grow again with each that is taken. */
const GROWTH = 1.1;

export default defineOutput({
  name: 'loki',
  summary: 'Pushes log lines to Grafana Loki',
  options: {
    ...httpDestinationOptions,
    port: integer({ min: 1, max: 65_535 }).default(3100).describe('Port.'),
    uri: string().default('/loki/api/v1/push').describe('Path of the push API.'),
    format: enumOf('json', 'protobuf')
      .default('json')
      .describe(
        'Format of the requests: `json`, as Fluent Bit sends, or `protobuf` with snappy, a fifth of the bytes on the wire at the same cost: prefer it.',
      ),
    compress: enumOf('gzip').optional().describe('Compresses JSON requests; protobuf always has snappy.'),
    tenant_id: string().optional().describe('Tenant (X-Scope-OrgID). Default: none is sent.'),
    tenant_id_key: string()
      .optional()
      .describe(
        'Record accessor: its text is the tenant; records without it go to tenant_id. A request per tenant.',
      ),
    tenant_id_key_error_handling: ignored(
      'each tenant has its own outcome: what one refuses is sent again or kept as a dead letter, the others are not sent twice',
    ),
    labels: csv()
      .default([])
      .describe(
        "Labels: `name=value`, `name=$key['nested']` or `$key` for the key's own name. Without any label: `job=fluent-bit`. Keys that become labels leave the line.",
      ),
    label_keys: csv()
      .default([])
      .describe('Record accessors (`$key`) that are labels under their own names.'),
    label_map_path: string()
      .optional()
      .describe('A JSON file shaped like the records: where it has a text, that is the name of a label.'),
    auto_kubernetes_labels: boolean()
      .default(false)
      .describe('All labels in `kubernetes.labels` become labels.'),
    structured_metadata: csv()
      .default([])
      .describe('Structured metadata, written like labels: for what has many values (trace ids).'),
    structured_metadata_map_keys: csv()
      .default([])
      .describe('Record accessors of maps whose members are structured metadata.'),
    remove_keys: csv().default([]).describe('Keys and record accessors that the line is without.'),
    line_format: enumOf('json', 'key_value')
      .default('json')
      .describe('The line: the record as JSON, or `key="value"` pairs.'),
    drop_single_key: enumOf('off', 'on', 'raw', 'true', 'false', 'yes', 'no')
      .default('off')
      .describe('When a single key is left, the line is its value; `raw`: a text without quotes.'),
    http_user: string().optional().describe('User of basic authentication.'),
    http_passwd: secret().optional().describe('Password of basic authentication.'),
    bearer_token: secret().optional().describe('Token of bearer authentication.'),
    header: kv().default([]).describe('`NAME VALUE`, may be given several times; replaces own headers.'),
    buffer_size: ignored('answers are read up to a fixed size'),
    batch_size: size().default('1M').describe('Most bytes of records in one attempt.'),
    streams_per_request: integer({ min: 0 })
      .default(1)
      .describe(
        'Streams in one request; 0: no limit. Of a push with several streams Loki reports what its ingester refused (rate and stream limits, entries too far behind) only for the last one: beyond 1 such records can be lost in silence.',
      ),
    max_label_values: integer({ min: 0 })
      .default(1000)
      .describe(
        'Distinct values of a label within an hour or two; beyond, it is structured metadata from then on, which is logged and counted. 0: no limit.',
      ),
    max_label_value_length: size()
      .default(2048)
      .describe(
        'Bytes of a label value (Loki takes 2048); longer ones go to structured metadata. 0: no limit.',
      ),
    max_labels: integer({ min: 0 })
      .default(15)
      .describe('Labels of a stream (Loki takes 15); further ones go to structured metadata. 0: no limit.'),
  },
  traits: ({ batch_size: bytes }) => ({ workers: 2, limits: { bytes } }),
  target: ['host', 'port', 'uri', 'tenant_id'],
  example: `pipeline:
  outputs:
    - name: loki
      match: kube.*
      host: loki.example.com
      port: 443
      tls: on
      format: protobuf
      tenant_id: team-a
      labels: job=tailrace, namespace=$kubernetes['namespace_name'], app=$kubernetes['labels']['app']
      structured_metadata: pod=$kubernetes['pod_name'], trace_id=$trace_id
      remove_keys: kubernetes
`,
  check(options) {
    const problems: OptionProblem[] = [...checkHttpDestination(options), ...checkHeaders(options.header)];
    for (const key of ['labels', 'structured_metadata'] as const)
      problems.push(...fieldProblems(key, options[key]));
    for (const key of ['label_keys', 'structured_metadata_map_keys'] as const) {
      for (const item of options[key]) {
        if (item.startsWith('$')) problems.push(...accessorProblems(key, item));
        else problems.push({ key, message: `has "${item}", which is no record accessor: write $${item}` });
      }
    }
    for (const item of options.remove_keys) problems.push(...accessorProblems('remove_keys', item));
    problems.push(...accessorProblems('tenant_id_key', options.tenant_id_key));
    if (!/^[\u0021-\u007e]+$/.test(options.uri)) {
      problems.push({
        key: 'uri',
        message: 'holds a character that a URL cannot have: write it percent-encoded',
      });
    }
    if (options.tenant_id !== undefined && !/^[\u0021-\u007e]*$/.test(options.tenant_id)) {
      problems.push({ key: 'tenant_id', message: 'holds a character that a header cannot have' });
    }
    if (options.compress !== undefined && options.format === 'protobuf') {
      problems.push({
        key: 'compress',
        message: 'does not go with format protobuf, which has snappy: leave it out',
      });
    }
    if (options.http_user !== undefined && options.bearer_token !== undefined) {
      problems.push({
        key: 'bearer_token',
        message: 'and http_user exclude each other: a request has one Authorization',
      });
    }
    return problems;
  },
  async create(options, context) {
    const labels = [...options.labels, ...options.label_keys].map(compileField);
    if (options.label_map_path !== undefined) {
      labels.push(...readLabelMap(resolve(context.cwd, options.label_map_path)));
    }
    const metadata = options.structured_metadata.map(compileField);
    const mapPaths = options.structured_metadata_map_keys.map(parseAccessor);
    const removed: PathStep[][] = [
      ...[...labels, ...metadata].flatMap(({ path }) => (path === undefined ? [] : [[...path]])),
      ...mapPaths,
      ...options.remove_keys.map(parseAccessor),
    ];
    const drop = dropMode(options.drop_single_key);
    const isPlain = options.line_format === 'json' && drop === 'off' && removed.every(isTopLevel);
    const plan = compilePlan({
      labels,
      kubernetesLabels: options.auto_kubernetes_labels,
      metadata,
      metadataMaps: options.structured_metadata_map_keys.map(compileAccessor),
      tenant: options.tenant_id === '' ? undefined : options.tenant_id,
      tenantKey: options.tenant_id_key === undefined ? undefined : compileAccessor(options.tenant_id_key),
      writeLine: compileLine({
        format: options.line_format,
        dropSingleKey: drop,
        remove: compileRemoval(removed),
      }),
      cutKeys: isPlain ? removed.map(([key]) => String(key)) : undefined,
      guard: labelGuard(
        {
          values: options.max_label_values,
          valueLength: options.max_label_value_length,
          names: options.max_labels,
        },
        context,
      ),
    });
    const client = await openHttpClient(options, context);
    const protobuf = options.format === 'protobuf';
    const { compressSnappy } = await loadSnappy();
    const path = options.uri.startsWith('/') ? options.uri : `/${options.uri}`;
    const place = `${client.place}${path.replace(/\?.*/s, '')}`;
    const headers = mergeHeaders(
      {
        'user-agent': `Tailrace/${context.agentVersion}`,
        ...authorization(options.http_user, options.http_passwd, options.bearer_token),
        'content-type': protobuf ? 'application/x-protobuf' : 'application/json',
        ...(options.compress === undefined ? {} : { 'content-encoding': options.compress }),
      },
      options.header,
      true,
    );
    const [scratches, plains, bodies] = [new SinkPool(), new SinkPool(1), new SinkPool(PARALLEL)];
    /** Bytes of lines in a request: less while the rate limit refuses whole requests. */
    let requestBytes = Number.POSITIVE_INFINITY;

    const post = async (body: Buffer, push: Push, signal: AbortSignal): Promise<HttpResponse> => {
      try {
        return await client.request({
          method: 'POST',
          path,
          headers: push.tenant === undefined ? headers : { ...headers, 'x-scope-orgid': push.tenant },
          body: options.compress === undefined ? body : await compressGzip(body),
          keepBytes: ANSWER_BYTES,
          signal,
        });
      } catch (error) {
        throw error instanceof RetryableError ? new NoAnswerError(error.message, { cause: error }) : error;
      }
    };

    const send = async (push: Push, { entries }: Plan, signal: AbortSignal): Promise<PushResult> => {
      const sink = bodies.take();
      if (protobuf) {
        const plain = plains.take();
        writeProtobufPush(push.streams, entries, plain);
        compressSnappy(plain.bytes, sink);
        plains.give(plain);
      } else {
        writeJsonPush(push.streams, entries, sink);
      }
      const response = await post(sink.bytes, push, signal);
      // Not after an error: an aborted request may still be reading it.
      bodies.give(sink);
      try {
        const result = readAnswer(response, push, entries, place);
        requestBytes *= GROWTH;
        return result;
      } catch (error) {
        if (error instanceof IngestionRateError)
          requestBytes = Math.max(LEAST_BYTES, Math.min(requestBytes, pushBytes(push, entries)) / 2);
        throw error;
      }
    };

    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const scratch = scratches.take();
        const attempt = plan(slices, scratch);
        const pushes = cutPushes(attempt, options.streams_per_request, requestBytes);
        const outcome = await sendPushes(attempt, pushes, (push) => send(push, attempt, signal));
        scratches.give(scratch);
        return outcome;
      },
      close: () => client.close(),
    };
  },
});

function isTopLevel(path: readonly PathStep[]): boolean {
  return path.length === 1;
}

function dropMode(written: string): 'off' | 'on' | 'raw' {
  if (written === 'raw') return 'raw';
  return written === 'on' || written === 'true' || written === 'yes' ? 'on' : 'off';
}

function fieldProblems(key: string, items: readonly string[]): OptionProblem[] {
  return items.flatMap((item) => {
    try {
      compileField(item);
      return [];
    } catch (error) {
      if (error instanceof FieldSyntaxError)
        return [{ key, message: `has "${item}", which ${error.message}` }];
      throw error;
    }
  });
}

function readLabelMap(path: string): FieldSource[] {
  try {
    return labelMapFields(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new Error(`Reading the label map ${path}: it ${(error as Error).message}.`, { cause: error });
  }
}
