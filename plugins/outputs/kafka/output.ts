/** The kafka output itself: attempts one after the other, since the sequence numbers of a partition are in the order of sending. */
import { RetryableError, SinkPool } from '../../../src/plugin.ts';
import type { Outcome, Output, OutputContext, Slice } from '../../../src/plugin.ts';
import type { KafkaClient } from '../../shared/kafka/client.ts';
import { makeAddressing } from './addressing.ts';
import type { AddressingOptions } from './addressing.ts';
import { Cluster } from './cluster.ts';
import { compressor } from './compress.ts';
import { Delivery } from './delivery.ts';
import type { DeliveryOptions } from './delivery.ts';
import { BatchPool, CODECS } from './record-batch.ts';
import { Session } from './session.ts';
import { makeValues, separatorOf } from './values.ts';
import type { ValueOptions } from './values.ts';

export interface KafkaOutputOptions extends AddressingOptions, ValueOptions {
  /** Messages have headers. */
  headers: boolean;
}

export class KafkaOutput implements Output {
  private readonly client: KafkaClient;
  private readonly options: DeliveryOptions;
  private readonly sinks = new SinkPool();
  /** The attempt before. */
  private before: Promise<unknown> = Promise.resolve();

  private constructor(client: KafkaClient, options: DeliveryOptions) {
    this.client = client;
    this.options = options;
  }

  static async create(
    client: KafkaClient,
    options: KafkaOutputOptions,
    { log }: OutputContext,
  ): Promise<KafkaOutput> {
    const { library, settings, place } = client;
    const configured = new Set(options.topics);
    return new KafkaOutput(client, {
      place,
      cluster: new Cluster(client),
      session: new Session(),
      idempotent: settings.idempotent,
      address: makeAddressing(options),
      values: await makeValues(options),
      separator: separatorOf(options.format),
      compress: compressor(settings.compression, library),
      codec: CODECS[settings.compression],
      batchBytes: settings.batchBytes,
      learned: new Map(),
      headers: options.headers,
      turns: new Map(),
      isConfigured: (topic) => configured.has(topic),
      unknown: new Map(),
      batches: new BatchPool(),
      crc32c: (bytes) => library.crc32c(bytes),
      codeNames: library.protocolErrorsCodesById,
      log,
    });
  }

  async deliver(slices: readonly Slice[], signal: AbortSignal): Promise<Outcome> {
    const mine = this.before.then(() => this.attempt(slices, signal));
    this.before = mine.catch(() => undefined);
    return mine;
  }

  private async attempt(slices: readonly Slice[], signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    try {
      this.client.refresh();
    } catch (error) {
      throw new RetryableError(`${this.client.place}: ${(error as Error).message}`, { cause: error });
    }
    const sink = this.sinks.take();
    const outcome = await new Delivery(this.options, slices, sink, signal).run();
    this.sinks.give(sink);
    return outcome;
  }

  async close(): Promise<void> {
    await this.options.cluster.close();
  }
}
