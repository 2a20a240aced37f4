/** An input whose records come in datagrams: `udp`, and `unix_socket` with such a socket. Each is taken for itself. */
import type { Emit, Input, InputContext } from '../../../src/plugin.ts';
import type { DatagramSink, Sender } from '../datagram-sink.ts';
import type { RecordReader } from './options.ts';
import { RecordSink } from './record-sink.ts';
import type { RecordSettings } from './record-sink.ts';

/** What hands datagrams to a sink. */
interface Listener {
  start(): Promise<object | void>;
  stop(): Promise<void> | void;
}

export interface DatagramInputOptions {
  records: RecordSettings;
  reader: (sink: RecordSink) => RecordReader;
  listen: (sink: DatagramSink) => Listener;
}

export class DatagramInput implements Input, DatagramSink {
  private readonly context: InputContext;
  private readonly records: RecordSettings;
  private readonly sink: RecordSink;
  private readonly reader: RecordReader;
  private readonly listener: Listener;
  private emit: Emit | undefined;

  constructor({ records, reader, listen }: DatagramInputOptions, context: InputContext) {
    this.context = context;
    this.records = records;
    this.sink = new RecordSink(records, () => this.emit);
    this.reader = reader(this.sink);
    this.listener = listen(this);
  }

  async start(emit: Emit): Promise<void> {
    this.emit = emit;
    const place = await this.listener.start();
    this.context.log.info({ ...place }, 'Listening for records in datagrams');
  }

  async stop(): Promise<void> {
    await this.listener.stop();
    this.emit = undefined;
  }

  take(bytes: Buffer, sender: Sender | undefined, isCut: boolean): void {
    if (isCut) this.records.sayCut();
    if (this.records.sourceKey !== undefined)
      this.sink.source = sender === undefined ? undefined : `udp://${sender.address}:${sender.port}`;
    this.reader.readWhole(bytes);
  }

  flush(): Promise<void> | undefined {
    return this.sink.flush();
  }
}
