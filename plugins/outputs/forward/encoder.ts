/** Messages to bytes: the records' own text becomes MessagePack, nothing is parsed. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { SinkPool } from '../../../src/plugin.ts';
import type { ByteSink, EncodeMsgpack, EventShape, ForwardCodec } from '../../../src/plugin.ts';
import type { Message } from './messages.ts';

const compressed = promisify(gzip);

export interface EncoderOptions {
  codec: ForwardCodec;
  encodeMsgpack: EncodeMsgpack;
  shape: EventShape;
  gzip: boolean;
  /** Says how many events a message has, though nothing else needs options. */
  sendOptions: boolean;
  acknowledged: boolean;
  /** Further options. */
  extra: readonly (readonly [string, string])[];
}

export class Encoder {
  private readonly options: EncoderOptions;
  private readonly hasOptions: boolean;
  private readonly pool = new SinkPool();

  constructor(options: EncoderOptions) {
    this.options = options;
    const { sendOptions, acknowledged, extra } = options;
    this.hasOptions = sendOptions || acknowledged || extra.length > 0;
  }

  /** All messages, one behind the other; `chunks` are the ids that they ask acknowledgements for, as many as there are messages. */
  async encode(messages: readonly Message[], chunks: readonly string[]): Promise<ByteSink> {
    const sink = this.pool.take();
    for (const [index, message] of messages.entries()) {
      if (this.options.gzip) await this.appendPacked(message, chunks[index], sink);
      else this.append(message, chunks[index], sink);
    }
    return sink;
  }

  /** Hands back what `encode` returned, once nobody reads it any more. */
  give(sink: ByteSink): void {
    this.pool.give(sink);
  }

  private append(message: Message, chunk: string | undefined, sink: ByteSink): void {
    const { codec, extra } = this.options;
    const { tag, length } = message;
    codec.beginForward(sink, tag, length, this.hasOptions);
    this.appendEvents(message, sink);
    if (this.hasOptions) codec.writeOptions(sink, { chunk, size: length, extra });
  }

  private async appendPacked(message: Message, chunk: string | undefined, sink: ByteSink): Promise<void> {
    const { codec, extra } = this.options;
    const events = this.pool.take();
    this.appendEvents(message, events);
    const packed = await compressed(events.bytes);
    this.pool.give(events);
    codec.beginPacked(sink, message.tag, packed.length);
    sink.copy(packed, 0, packed.length);
    codec.writeOptions(sink, { chunk, size: message.length, compressed: 'gzip', extra });
  }

  private appendEvents({ pieces }: Message, sink: ByteSink): void {
    const { encodeMsgpack, shape } = this.options;
    for (const { slice, from, to } of pieces) encodeMsgpack(slice, from, to, sink, shape);
  }
}
