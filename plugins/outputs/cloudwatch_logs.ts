/** The `cloudwatch_logs` output: sends records to Amazon CloudWatch Logs. */
import { boolean, defineOutput, enumOf, ignored, integer, SinkPool, size, string } from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { awsDestinationOptions, checkAwsDestination, openAws } from '../shared/aws/index.ts';
import { Rarely } from '../shared/rarely.ts';
import { openApi } from './cloudwatch_logs/api.ts';
import { DeliveryAttempt } from './cloudwatch_logs/attempt.ts';
import { Creation } from './cloudwatch_logs/creation.ts';
import { MAX_EVENT_BYTES, RETENTION_DAYS } from './cloudwatch_logs/limits.ts';
import { valueOf, wholeRecord } from './cloudwatch_logs/messages.ts';
import { groupProblem, makeNames, streamProblem, templateProblem } from './cloudwatch_logs/names.ts';
import type { Fallback } from './cloudwatch_logs/names.ts';

const ONLY_METRICS =
  'Fluent Bit uses it for the records of its cpu and mem inputs, which are not there; records in the embedded metric format bring their own';
/** With 26 bytes for each record of 150 bytes this fills a request. */
const ATTEMPT_BYTES = 900_000;
const SMALLEST_EVENT = 1024;

const FALLBACKS: Readonly<Record<Fallback, string>> = {
  missing_field:
    'Records have no field that log_group_template or log_stream_template asks for; they go where they would without it',
  too_many_streams:
    'The templates make more streams than max_streams; further records go where they would without templates',
};

export default defineOutput({
  name: 'cloudwatch_logs',
  summary: 'Sends records to Amazon CloudWatch Logs',
  options: {
    log_group_name: string().describe('Log group; where log_group_template makes no name, this one.'),
    log_stream_name: string().optional().describe('Log stream. Either this or log_stream_prefix is needed.'),
    log_stream_prefix: string().optional().describe('The log stream is this and the tag behind it.'),
    log_group_template: string()
      .optional()
      .describe(
        "Template of the log group: `app-$kubernetes['namespace_name']`. A slash, or what a name cannot have, becomes `_` in what comes from the record or the tag.",
      ),
    log_stream_template: string()
      .optional()
      .describe("Template of the log stream: `$kubernetes['pod_name']`."),
    max_streams: integer({ min: 1 })
      .default(5000)
      .describe(
        'Streams that the templates can make, in use within an hour; further records go where they would without templates.',
      ),
    log_key: string()
      .optional()
      .describe(
        'Sends the value under this key alone: a text as it is, anything else as JSON. A record without it is refused. An empty text is sent as one blank.',
      ),
    log_format: string()
      .optional()
      .describe(
        'What the messages are, for CloudWatch: `json/emf` makes metrics of the embedded metric format.',
      ),
    auto_create_group: boolean()
      .default(false)
      .describe('Makes log groups that are not there. Streams are always made.'),
    log_group_class: enumOf('STANDARD', 'INFREQUENT_ACCESS', 'ESSENTIALS')
      .optional()
      .describe('Class of groups that are made. Default: STANDARD.'),
    log_retention_days: integer({ min: 0 })
      .default(0)
      .describe('Retention of groups that are made; 0: for ever.'),
    max_event_size: size()
      .default(MAX_EVENT_BYTES)
      .describe(
        'Larger messages are sent in numbered parts. CloudWatch takes 1048550 bytes; stores that only resemble it often 262118.',
      ),
    add_entity: boolean().default(false).describe('Not there yet.'),
    metric_namespace: ignored(ONLY_METRICS),
    metric_dimensions: ignored(ONLY_METRICS),
    ...awsDestinationOptions,
  },
  traits: (options) => ({
    limits: { bytes: ATTEMPT_BYTES },
    // Where all goes to one stream, only one request at a time keeps its order.
    ...(options.log_stream_name !== undefined &&
    options.log_stream_template === undefined &&
    options.log_group_template === undefined
      ? { order: 'all', workers: 1 }
      : { order: 'tag', workers: 2 }),
  }),
  target: [
    'region',
    'endpoint',
    'log_group_name',
    'log_stream_name',
    'log_stream_prefix',
    'log_group_template',
    'log_stream_template',
  ],
  example: `pipeline:
  outputs:
    - name: cloudwatch_logs
      match: 'kube.*'
      region: eu-central-1
      log_group_name: /cluster/other
      log_group_template: /cluster/$kubernetes['namespace_name']
      log_stream_prefix: node-1.
      log_stream_template: $kubernetes['pod_name'].$kubernetes['container_name']
      auto_create_group: on
      log_retention_days: 30
`,
  check(options) {
    const problems: OptionProblem[] = [...checkAwsDestination(options)];
    const add = (key: string, message: string | undefined, level: 'error' | 'warning' = 'error'): void => {
      if (message !== undefined) problems.push({ key, message, level });
    };
    add('log_group_name', groupProblem(options.log_group_name));
    const { log_stream_name: stream, log_stream_prefix: streamPrefix } = options;
    if (stream === undefined && streamPrefix === undefined)
      add('log_stream_name', 'is missing: set it, or log_stream_prefix');
    if (stream !== undefined && streamPrefix !== undefined)
      add('log_stream_prefix', 'and log_stream_name exclude each other');
    if (stream !== undefined) add('log_stream_name', streamProblem(stream));
    if (streamPrefix !== undefined && streamPrefix !== '')
      add('log_stream_prefix', streamProblem(streamPrefix));
    for (const key of ['log_group_template', 'log_stream_template'] as const) {
      const template = options[key];
      if (template !== undefined) add(key, templateProblem(template));
    }
    if (options.log_group_template?.startsWith('$') === true) {
      add(
        'log_group_template',
        'begins with a variable: whoever writes the records chooses the group; write a fixed text in front of it',
        'warning',
      );
    }
    const { log_retention_days: days, log_group_class: groupClass } = options;
    if (days !== 0 && !RETENTION_DAYS.includes(days))
      add('log_retention_days', `is none of the days that CloudWatch offers: ${RETENTION_DAYS.join(', ')}`);
    if (!options.auto_create_group) {
      if (days !== 0) add('log_retention_days', 'has no effect without auto_create_group', 'warning');
      if (groupClass !== undefined)
        add('log_group_class', 'has no effect without auto_create_group', 'warning');
    }
    if (options.max_event_size < SMALLEST_EVENT || options.max_event_size > MAX_EVENT_BYTES)
      add('max_event_size', `must be between ${SMALLEST_EVENT} and ${MAX_EVENT_BYTES} bytes`);
    if (options.log_format !== undefined && !/^[\u0021-\u007e]+$/.test(options.log_format))
      add('log_format', 'cannot be sent as a header: write json/emf');
    if (options.add_entity) add('add_entity', 'is not there yet: leave it out');
    return problems;
  },
  async create(options, context) {
    const { log, metrics } = context;
    const aws = await openAws(options, context, 'logs');
    const api = await openApi(aws, options.log_format);
    const fallbacks = metrics.counter(
      'tailrace_cloudwatch_logs_fallback_records_total',
      'Records that went where they would without templates.',
    );
    const counters = new Map<Fallback, { series: { value: number }; told: Rarely }>();
    for (const why of ['missing_field', 'too_many_streams'] as const) {
      const series = fallbacks.labels({ output: context.name, reason: why });
      counters.set(why, { series, told: new Rarely() });
    }
    const names = makeNames(
      {
        group: options.log_group_name,
        stream: options.log_stream_name,
        streamPrefix: options.log_stream_prefix,
        groupTemplate: options.log_group_template,
        streamTemplate: options.log_stream_template,
        maxStreams: options.max_streams,
      },
      (why) => {
        const counter = counters.get(why);
        if (counter === undefined) return;
        counter.series.value++;
        const records = counter.told.happened();
        if (records > 0) log.warn({ records }, FALLBACKS[why]);
      },
    );
    const tools = {
      api,
      creation: new Creation(
        api,
        {
          groups: options.auto_create_group,
          groupClass: options.log_group_class,
          retentionDays: options.log_retention_days,
          place: aws.place,
        },
        log,
      ),
      names,
      message: options.log_key === undefined ? wholeRecord : valueOf(options.log_key),
      maxEventBytes: options.max_event_size,
      noMessage: `The record has nothing under log_key ${options.log_key}.`,
      sinks: new SinkPool(),
    };
    const partial = new Rarely();
    return {
      async deliver(slices, signal) {
        signal.throwIfAborted();
        const outcome = await new DeliveryAttempt(tools, slices, signal).run();
        const { retry, reason } = outcome;
        if (retry !== undefined && retry.length > 0 && partial.happened() > 0)
          log.warn(
            { records: retry.length, error: reason },
            'Some records could not be sent; they are sent again',
          );
        return outcome;
      },
      async close() {
        api.close();
        await aws.close();
      },
    };
  },
});
