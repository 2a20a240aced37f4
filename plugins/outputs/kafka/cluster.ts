/** The cluster as the output sees it: topics, leaders, and one request per leader. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterMetadata, Connection, Producer, produceV9 } from '@platformatic/kafka';
import { describeKafkaError, isUnknownTopic } from '../../shared/kafka/failure.ts';
import type { KafkaClient } from '../../shared/kafka/client.ts';

/** A topic as it is now. */
export interface Topic {
  partitions: number;
  /** Node of a partition's leader; undefined when it has none. */
  leader(partition: number): number | undefined;
}

/** A batch on its way to its leader. */
export interface Shipment {
  topic: string;
  partition: number;
  bytes: Buffer;
}

/** What the leader says of a batch. */
export interface Answer {
  code: number;
  message: string | undefined;
  /** The records that are at fault, where it names them. */
  records: readonly { index: number; message: string | undefined }[];
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

const PRODUCE_KEY = 0;
/** Kafka 2.4 and later; all that came later is for transactions. */
const PRODUCE_VERSION = 9;
const ALL_REPLICAS = -1;
const LEADER_ALONE = 1;
/** How often and how fast it is asked for a topic that is just being created. */
const CREATION_ASKS = 10;
const CREATION_PAUSE_MS = 100;

export class Cluster {
  private readonly client: KafkaClient;
  private readonly producer: Producer;
  /** Topics that were there once: they are not waited for. */
  private readonly seen = new Set<string>();

  constructor(client: KafkaClient) {
    this.client = client;
    this.producer = new client.library.Producer({ ...client.options });
  }

  /** The topic, asked for where it is not known; a new one may just be being created. Throws what the library throws. */
  async topic(name: string, signal: AbortSignal): Promise<Topic> {
    const wait = this.client.settings.autoCreateTopics && !this.seen.has(name);
    for (let asks = 1; ; asks++) {
      try {
        const metadata = await this.producer.metadata({ topics: [name] });
        this.seen.add(name);
        return topicOf(metadata, name);
      } catch (error) {
        if (!wait || asks === CREATION_ASKS || !isUnknownTopic(error)) throw error;
        await pause(CREATION_PAUSE_MS, undefined, { signal });
      }
    }
  }

  /** What was known of topics and leaders is stale. */
  forget(): void {
    this.producer.clearMetadata();
  }

  async newProducerId(): Promise<{ producerId: bigint; producerEpoch: number }> {
    return this.producer.initIdempotentProducer({});
  }

  /** A connection to a node; nothing was sent when it throws. */
  async connect(node: number): Promise<Connection> {
    const broker = this.producer.currentMetadata?.brokers.get(node);
    if (broker === undefined) throw new Error(`The brokers do not say where node ${node} is`);
    return this.producer.connections.get(broker);
  }

  /** Sends batches to their leader. Answers come in their order; throws when there is no answer. */
  async produce(connection: Connection, shipments: readonly Shipment[]): Promise<Answer[]> {
    const response = await this.exchange(connection, shipments);
    const byKey = new Map<string, Answer>();
    for (const { name, partitionResponses } of response.responses) {
      for (const { index, errorCode, errorMessage, recordErrors } of partitionResponses) {
        byKey.set(`${name}:${index}`, {
          code: errorCode,
          message: errorMessage ?? undefined,
          records: recordErrors.map(({ batchIndex, batchIndexErrorMessage }) => ({
            index: batchIndex,
            message: batchIndexErrorMessage ?? undefined,
          })),
        });
      }
    }
    return shipments.map(({ topic, partition }) => {
      const answer = byKey.get(`${topic}:${partition}`);
      if (answer === undefined)
        throw new Error(`The answer has nothing on partition ${partition} of ${topic}`);
      return answer;
    });
  }

  private exchange(connection: Connection, shipments: readonly Shipment[]): Promise<ProduceResponse> {
    const { library, settings } = this.client;
    const byTopic = new Map<string, Shipment[]>();
    for (const shipment of shipments) {
      const list = byTopic.get(shipment.topic);
      if (list === undefined) byTopic.set(shipment.topic, [shipment]);
      else list.push(shipment);
    }
    const request = library.Writer.create()
      .appendString(null)
      .appendInt16(settings.acks === 'all' ? ALL_REPLICAS : LEADER_ALONE)
      .appendInt32(settings.ackTimeoutMs)
      .appendArray([...byTopic], (topics, [topic, batches]) => {
        topics.appendString(topic).appendArray(batches, (partitions, { partition, bytes }) => {
          partitions
            .appendInt32(partition)
            .appendUnsignedVarInt(bytes.length + 1)
            .append(bytes);
        });
      })
      .appendTaggedFields();
    const { parseResponse } = library.produceV9;
    return new Promise((resolve, reject) => {
      connection.send(
        PRODUCE_KEY,
        PRODUCE_VERSION,
        () => request,
        parseResponse,
        true,
        true,
        (error: Error | null, response?: ProduceResponse) => {
          // Where a partition failed, the library throws an error that carries the whole answer.
          const answer = error === null ? response : (error as { response?: ProduceResponse }).response;
          if (answer?.responses === undefined) reject(error ?? new Error('There is no answer'));
          else resolve(answer);
        },
      );
    });
  }

  /** A clause about what the library threw. */
  describe(error: unknown): string {
    return describeKafkaError(error);
  }

  async close(): Promise<void> {
    await this.producer.close(true);
  }
}

function topicOf(metadata: ClusterMetadata, name: string): Topic {
  const found = metadata.topics.get(name);
  return {
    partitions: found?.partitionsCount ?? 0,
    leader(partition) {
      const leader = found?.partitions[partition]?.leader;
      return leader === undefined || leader < 0 || !metadata.brokers.has(leader) ? undefined : leader;
    },
  };
}
