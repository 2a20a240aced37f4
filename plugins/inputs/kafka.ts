/** The `kafka` input: reads topics as a member of a consumer group. */
import { boolean, csv, defineInput, enumOf, ignored, integer, size, string } from '../../src/plugin.ts';
import { KafkaClient } from '../shared/kafka/client.ts';
import { checkTopics, kafkaOptions, readKafkaOptions, settingsOf } from '../shared/kafka/options.ts';
import type { KafkaSettings } from '../shared/kafka/settings.ts';
import { tlsOf } from '../shared/kafka/settings.ts';
import { KafkaInput } from './kafka/input.ts';

export default defineInput({
  name: 'kafka',
  summary: 'Reads topics of Apache Kafka, as a member of a consumer group',
  options: {
    ...kafkaOptions,
    topics: csv().describe('Topics to read, separated by commas.'),
    group_id: string()
      .default('fluent-bit')
      .describe('Consumer group: its members share the partitions, and go on where the group has got to.'),
    format: enumOf('none', 'json')
      .default('none')
      .describe(
        'json: payloads are JSON; one that is not goes on as text and is counted. none: they are text.',
      ),
    record: enumOf('message', 'payload')
      .default('message')
      .describe(
        'message: records have topic, partition, offset, error, key and payload, as in Fluent Bit. payload: the payload, a JSON map, is the record, with the time that the header tailrace-time says.',
      ),
    tag_from_header: boolean()
      .default(false)
      .describe('Takes the tag from the header tailrace-tag, where a message has one that can be a tag.'),
    origin_key: string()
      .optional()
      .describe(
        'Key that takes where the record came from: what the header tailrace-origin says, else cluster, topic, partition and offset. As id_key of a store it removes second copies.',
      ),
    poll_ms: integer({ min: 0 })
      .default(500)
      .describe('Milliseconds that a broker waits for records before it answers that there are none.'),
    buffer_max_size: size().default('4M').describe('Bytes of an answer, compressed as they are.'),
    poll_timeout_ms: ignored('there is no polling: an answer comes as soon as there are records'),
    enable_auto_commit: ignored('offsets are committed once their records are safe, and only then'),
  },
  tags: ({ tag_from_header: fromHeader }, configured) => (fromHeader ? 'any' : [configured]),
  example: `pipeline:
  inputs:
    - name: kafka
      tag: kafka
      brokers: kafka-1.example.com:9093, kafka-2.example.com:9093
      topics: logs
      group_id: aggregator
      record: payload
      tag_from_header: on
      tls: on
      sasl.mechanism: SCRAM-SHA-512
      sasl.username: aggregator
      sasl.password: \${KAFKA_PASSWORD}
`,
  check(options) {
    const { settings, problems } = readKafkaOptions(options, 'consumer', own(options));
    problems.push(...checkTopics(options.topics));
    if (!/^\S+$/.test(options.group_id))
      problems.push({ key: 'group_id', message: 'holds a space: a group id is one word' });
    if (settings.heartbeatMs >= settings.sessionTimeoutMs) {
      problems.push({
        key: 'rdkafka.*',
        message: `has a heartbeat every ${settings.heartbeatMs} ms and a session of ${settings.sessionTimeoutMs} ms: a session must hold several heartbeats`,
      });
    }
    return problems;
  },
  async create(options, context) {
    const settings = settingsOf(options, 'consumer', own(options));
    return new KafkaInput(
      await KafkaClient.create(settings, tlsOf(options, settings)),
      {
        groupId: options.group_id,
        topics: options.topics,
        json: options.format === 'json',
        shape: options.record,
        tag: context.tag,
        tagFromHeader: options.tag_from_header,
        originKey: options.origin_key,
      },
      context,
    );
  },
});

function own(options: { poll_ms: number; buffer_max_size: number }): Partial<KafkaSettings> {
  return {
    autoCreateTopics: false,
    fetchWaitMs: options.poll_ms,
    fetchBytes: options.buffer_max_size,
  };
}
