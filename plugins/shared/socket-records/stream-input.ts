/** An input whose records come over connections: `tcp` and `unix_socket`. */
import type { Emit, Input, InputContext, ListenerTls } from '../../../src/plugin.ts';
import type { StreamReader } from '../stream-connection.ts';
import { StreamListener } from '../stream-listener.ts';
import type { StreamListenerSettings } from '../stream-listener.ts';
import type { RecordReader } from './options.ts';
import { RecordSink } from './record-sink.ts';
import type { RecordSettings } from './record-sink.ts';

export interface StreamInputOptions {
  listener: StreamListenerSettings;
  records: RecordSettings;
  reader: (sink: RecordSink) => RecordReader;
  tls: ListenerTls | undefined;
}

export class StreamInput implements Input {
  private readonly context: InputContext;
  private readonly listener: StreamListener;
  private readonly isEncrypted: boolean;
  private emit: Emit | undefined;

  constructor(options: StreamInputOptions, context: InputContext) {
    const { listener, records, tls } = options;
    this.context = context;
    this.isEncrypted = tls !== undefined;
    this.listener = new StreamListener(listener, context, tls, ({ address, port }) => {
      const sink = new RecordSink(records, () => this.emit);
      if (address !== undefined) sink.source = `tcp://${address}:${port}`;
      return readerOf(options.reader(sink), sink);
    });
  }

  async start(emit: Emit): Promise<void> {
    this.emit = emit;
    const place = await this.listener.start();
    this.context.log.info({ ...place, tls: this.isEncrypted }, 'Listening for records');
  }

  async stop(): Promise<void> {
    await this.listener.stop();
    this.emit = undefined;
  }
}

function readerOf(reader: RecordReader, sink: RecordSink): StreamReader {
  return {
    read: (bytes) => reader.read(bytes),
    end: (rest) => reader.end(rest),
    flush: () => sink.flush(),
    get isWithin() {
      return reader.isWithin;
    },
  };
}
