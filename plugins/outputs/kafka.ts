/** The `kafka` output: writes records to topics, as an idempotent producer. */
import { boolean, csv, defineOutput, enumOf, ignored, string } from '../../src/plugin.ts';
import type { Output } from '../../src/plugin.ts';
import { accessorProblems } from '../shared/accessor-problems.ts';
import { reportVerification } from '../shared/destination.ts';
import { jsonDateKey } from '../shared/json-date-options.ts';
import { KafkaClient } from '../shared/kafka/client.ts';
import { checkTopics, kafkaOptions, readKafkaOptions, settingsOf } from '../shared/kafka/options.ts';
import { tlsOf } from '../shared/kafka/settings.ts';
import { KafkaOutput } from './kafka/output.ts';

const ONLY_AVRO = 'it belongs to the format avro, which is not there yet';
const NOT_YET: ReadonlySet<string> = new Set(['avro', 'otlp_json', 'otlp_proto']);

export default defineOutput({
  name: 'kafka',
  summary: 'Writes records to topics of Apache Kafka',
  options: {
    ...kafkaOptions,
    topics: csv()
      .default('fluent-bit')
      .describe('Topics, separated by commas. The first takes what topic_key does not send elsewhere.'),
    topic_key: string()
      .optional()
      .describe(
        'Field, or record accessor, whose text is the topic of its record, where it is one of topics.',
      ),
    dynamic_topic: boolean()
      .default(false)
      .describe(
        'topic_key may name any topic. A record that names one that the brokers do not know becomes a dead letter after a few attempts.',
      ),
    format: enumOf('json', 'msgpack', 'gelf', 'raw', 'avro', 'otlp_json', 'otlp_proto')
      .default('json')
      .describe('Format of the message: json, msgpack, gelf or raw; the others are not there yet.'),
    message_key: string()
      .optional()
      .describe('Key of all messages: they go to one partition, and stay in order.'),
    message_key_field: string()
      .optional()
      .describe(
        'Field, or record accessor, whose value is the key of its message: records with the same key go to the same partition (as Java chooses it) and stay in order. A record without the field has message_key. Messages without a key go to the partitions in turn, an attempt to each.',
      ),
    timestamp_key: string()
      .default('@timestamp')
      .describe("Key of the event's time in the formats json and msgpack; false for none."),
    timestamp_format: enumOf('double', 'iso8601', 'iso8601_ns')
      .default('double')
      .describe(
        'How it is written there. The time of the message itself is that of the event, to the millisecond.',
      ),
    raw_log_key: string()
      .default('log')
      .describe('Field, or record accessor, that is the message in the format raw.'),
    record_headers: boolean()
      .default(true)
      .describe(
        'Adds the headers tailrace-tag, tailrace-time and tailrace-origin to messages: tag, time with nanoseconds, and what tells a second copy of a record from the first.',
      ),
    compression: enumOf('none', 'gzip', 'snappy', 'lz4', 'zstd')
      .default('none')
      .describe('Compresses batches; also as rdkafka.compression.codec.'),
    gelf_timestamp_key: string().default('timestamp').describe('Key of the GELF timestamp.'),
    gelf_host_key: string().default('host').describe('Key of the GELF host.'),
    gelf_short_message_key: string().default('short_message').describe('Key of the GELF short message.'),
    gelf_full_message_key: string().default('full_message').describe('Key of the GELF full message.'),
    gelf_level_key: string().default('level').describe('Key of the GELF level.'),
    group_id: ignored('a producer is in no group'),
    queue_full_retries: ignored('records wait in the buffer of the pipeline, never in that of a library'),
    otlp_logs_partition_by_resource: ignored('it belongs to the OTLP formats, which are not there yet'),
    schema_str: ignored(ONLY_AVRO),
    schema_id: ignored(ONLY_AVRO),
    schema_registry_url: ignored(ONLY_AVRO),
    schema_registry_subject: ignored(ONLY_AVRO),
    schema_registry_version: ignored(ONLY_AVRO),
    schema_registry_http_user: ignored(ONLY_AVRO),
    schema_registry_http_passwd: ignored(ONLY_AVRO),
    schema_registry_bearer_token: ignored(ONLY_AVRO),
    schema_registry_framing: ignored(ONLY_AVRO),
  },
  traits: () => ({ workers: 1, order: 'tag' }),
  target: ['brokers', 'topics'],
  example: `pipeline:
  outputs:
    - name: kafka
      match: '*'
      brokers: kafka-1.example.com:9093, kafka-2.example.com:9093
      topics: logs
      message_key_field: $kubernetes['pod_name']
      compression: zstd
      tls: on
      sasl.mechanism: SCRAM-SHA-512
      sasl.username: shipper
      sasl.password: \${KAFKA_PASSWORD}
`,
  check(options) {
    const { problems } = readKafkaOptions(options, 'producer', { compression: options.compression });
    problems.push(...checkTopics(options.topics));
    if (NOT_YET.has(options.format)) {
      problems.push({
        key: 'format',
        message: `${options.format} is not there yet: write json, msgpack, gelf or raw`,
      });
    }
    for (const key of ['topic_key', 'message_key_field', 'raw_log_key'] as const)
      if (options[key]?.startsWith('$') === true) problems.push(...accessorProblems(key, options[key]));
    if (options.dynamic_topic && options.topic_key === undefined)
      problems.push({ key: 'dynamic_topic', message: 'needs topic_key: it says where the topic stands' });
    return problems;
  },
  async create(options, context): Promise<Output> {
    const settings = settingsOf(options, 'producer', { compression: options.compression });
    const tls = tlsOf(options, settings);
    reportVerification(
      {
        ...options,
        tls: tls !== undefined,
        'tls.verify': tls?.verify ?? true,
        'tls.verify_hostname': tls?.verifyHostname ?? true,
      },
      context,
    );
    const { format } = options;
    return KafkaOutput.create(
      await KafkaClient.create(settings, tls),
      {
        topics: options.topics,
        topicKey: options.topic_key,
        dynamicTopic: options.dynamic_topic,
        messageKey: options.message_key,
        messageKeyField: options.message_key_field,
        headers: options.record_headers,
        // The check has refused the others.
        format: format === 'msgpack' || format === 'gelf' || format === 'raw' ? format : 'json',
        timestampKey: jsonDateKey(options.timestamp_key),
        timestampFormat: options.timestamp_format,
        rawKey: options.raw_log_key,
        gelf: {
          timestamp: options.gelf_timestamp_key,
          host: options.gelf_host_key,
          shortMessage: options.gelf_short_message_key,
          fullMessage: options.gelf_full_message_key,
          level: options.gelf_level_key,
        },
      },
      context,
    );
  },
});
