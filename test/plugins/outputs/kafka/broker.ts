/**
 * A stand-in for a broker, for what the real one does not do on demand (test/services/kafka.test.ts has that): it answers what a producer
 * asks, keeps the batches, knows sequence numbers as Kafka does, and fails as scripted.
 */
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { Reader, readRecordsBatch, Writer } from '@platformatic/kafka';
import { listenBelow } from '../../../support/ports.ts';

type RecordsBatch = ReturnType<typeof readRecordsBatch>;

export interface Produced {
  topic: string;
  partition: number;
  batch: RecordsBatch;
  bytes: number;
}

/** What it does with a batch: stores it, or answers with a code; `cut after` stores it and `cut before` does not, both without answer. */
export type Behaviour = 'store' | 'cut after' | 'cut before' | { code: number; bad?: readonly number[] };

const API_VERSIONS = 18;
const METADATA = 3;
const INIT_PRODUCER_ID = 22;
const PRODUCE = 0;
const DUPLICATE = 46;
const OUT_OF_ORDER = 45;
const NODE = 7;

export class StandInBroker {
  /** Topics and their partitions. */
  readonly topics = new Map<string, number>([['fluent-bit', 1]]);
  readonly stored: Produced[] = [];
  /** Requests to store something, also those that failed. */
  requests = 0;
  behave: (produced: Produced) => Behaviour = () => 'store';
  port = 0;
  private producerIds = 1000n;
  /** The next sequence number, by producer, topic and partition. */
  private readonly sequences = new Map<string, number>();
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;

  async open(): Promise<this> {
    const server = createServer((socket) => this.serve(socket));
    this.server = server;
    this.port = await listenBelow(server, this.port);
    return this;
  }

  async close(): Promise<void> {
    const { server } = this;
    this.server = undefined;
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => {
      if (server === undefined) resolve(undefined);
      else server.close(resolve);
    });
  }

  /** All values that are stored, in order. */
  get values(): string[] {
    return this.stored.flatMap(({ batch }) => batch.records.map(({ value }) => String(value)));
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('data', (piece: Buffer) => {
      rest = Buffer.concat([rest, piece]);
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const end = 4 + rest.readInt32BE(0);
        this.answer(socket, Reader.from(rest.subarray(4, end)));
        rest = rest.subarray(end);
      }
    });
  }

  private answer(socket: Socket, request: Reader): void {
    const api = request.readInt16();
    request.readInt16();
    const correlation = request.readInt32();
    request.readNullableString(false);
    request.readTaggedFields();
    const response = Writer.create().appendInt32(correlation);
    if (api !== API_VERSIONS) response.appendTaggedFields();
    if (api === API_VERSIONS) versions(response);
    else if (api === METADATA) this.metadata(request, response);
    else if (api === INIT_PRODUCER_ID)
      response
        .appendInt32(0)
        .appendInt16(0)
        .appendInt64(++this.producerIds)
        .appendInt16(0)
        .appendTaggedFields();
    else if (!this.produce(request, response)) {
      socket.destroy();
      return;
    }
    socket.write(response.prependLength().buffer);
  }

  private metadata(request: Reader, response: Writer): void {
    const names = request.readArray((reader) => {
      reader.readUUID();
      return reader.readString();
    });
    response
      .appendInt32(0)
      .appendArray([NODE], (writer) =>
        writer.appendInt32(NODE).appendString('127.0.0.1').appendInt32(this.port).appendString(null),
      )
      .appendString('stand-in')
      .appendInt32(NODE)
      .appendArray(names, (writer, name) => {
        const partitions = this.topics.get(name);
        writer
          .appendInt16(partitions === undefined ? 3 : 0)
          .appendString(name)
          .appendUUID(null)
          .appendBoolean(false)
          .appendArray(
            Array.from({ length: partitions ?? 0 }, (_, index) => index),
            (inner, index) => {
              inner.appendInt16(0).appendInt32(index).appendInt32(NODE).appendInt32(1);
              for (let list = 0; list < 3; list++)
                inner.appendArray(
                  list === 2 ? [] : [NODE],
                  (one, node) => one.appendInt32(node),
                  true,
                  false,
                );
            },
          )
          .appendInt32(0);
      })
      .appendTaggedFields();
  }

  /** False when the connection is cut. */
  private produce(request: Reader, response: Writer): boolean {
    request.readNullableString();
    request.readInt16();
    request.readInt32();
    const topics = request.readArray((reader) => ({
      name: reader.readString(),
      partitions: reader.readArray((inner) => ({
        index: inner.readInt32(),
        bytes: inner.readBytes(),
      })),
    }));
    let cut = false;
    const results = topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ index, bytes }) => {
        this.requests++;
        const batch = readRecordsBatch(Reader.from(bytes));
        const produced = { topic: name, partition: index, batch, bytes: bytes.length };
        const behaviour = this.behave(produced);
        if (typeof behaviour === 'object') return { index, code: behaviour.code, bad: behaviour.bad ?? [] };
        if (behaviour !== 'store') cut = true;
        return { index, code: behaviour === 'cut before' ? 0 : this.store(produced), bad: [] };
      }),
    }));
    response
      .appendArray(results, (writer, { name, partitions }) =>
        writer.appendString(name).appendArray(partitions, (inner, { index, code, bad }) =>
          inner
            .appendInt32(index)
            .appendInt16(code)
            .appendInt64(0n)
            .appendInt64(-1n)
            .appendInt64(0n)
            .appendArray([...bad], (one, at) => one.appendInt32(at).appendString('it is bad'))
            .appendString(null),
        ),
      )
      .appendInt32(0)
      .appendTaggedFields();
    return !cut;
  }

  /** Stores a batch unless it has it; answers with Kafka's code. */
  private store(produced: Produced): number {
    const { topic, partition, batch } = produced;
    const { producerId, firstSequence, records } = batch;
    if (producerId >= 0n) {
      const key = `${producerId}:${topic}:${partition}`;
      const expected = this.sequences.get(key) ?? 0;
      if (firstSequence + records.length === expected) return 0;
      if (firstSequence < expected) return DUPLICATE;
      if (firstSequence > expected) return OUT_OF_ORDER;
      this.sequences.set(key, expected + records.length);
    }
    this.stored.push(produced);
    return 0;
  }
}

function versions(response: Writer): void {
  const apis = [
    [PRODUCE, 9],
    [METADATA, 12],
    [API_VERSIONS, 3],
    [INIT_PRODUCER_ID, 4],
  ] as const;
  response
    .appendInt16(0)
    .appendArray([...apis], (writer, [key, version]) =>
      writer.appendInt16(key).appendInt16(0).appendInt16(version),
    )
    .appendInt32(0)
    .appendTaggedFields();
}
