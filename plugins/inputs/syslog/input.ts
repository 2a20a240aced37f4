/** The input: one listener, of the kind that `mode` says. */
import type { Emit, Input, InputContext, ListenerTls } from '../../../src/plugin.ts';
import { DatagramListener } from '../../shared/datagram-listener.ts';
import { StreamListener } from '../../shared/stream-listener.ts';
import type { Peer } from '../../shared/stream-listener.ts';
import { UnixDatagramListener } from '../../shared/unix-datagrams/listener.ts';
import { SyslogDatagrams } from './datagrams.ts';
import { Intake } from './intake.ts';
import { SyslogReader } from './reader.ts';
import type { SyslogInputSettings } from './settings.ts';

export class SyslogInput implements Input {
  private readonly settings: SyslogInputSettings;
  private readonly context: InputContext;
  private readonly intake: Intake;
  private readonly listener: {
    start(): Promise<object | void>;
    stop(): Promise<void> | void;
  };

  constructor(settings: SyslogInputSettings, context: InputContext, tls: ListenerTls | undefined) {
    this.settings = settings;
    this.context = context;
    this.intake = new Intake(settings.intake, context);
    const { mode, maxBytes, receiveBufferBytes, unix, unixMode } = settings;
    if (mode === 'tcp' || mode === 'unix_tcp') {
      this.listener = new StreamListener(
        settings,
        context,
        tls,
        (peer) => new SyslogReader(settings, this.intake, sourceOf(peer)),
      );
      return;
    }
    const sink = new SyslogDatagrams(this.intake, maxBytes, settings.intake.sourceKey !== undefined);
    this.listener =
      unix === undefined
        ? new DatagramListener(settings, context, sink)
        : new UnixDatagramListener(
            { path: unix.path, mode: unixMode, receiveBufferBytes, maxBytes },
            context,
            sink,
          );
  }

  async start(emit: Emit): Promise<void> {
    const { mode, unix } = this.settings;
    this.intake.start(emit);
    const place = await this.listener.start();
    this.context.log.info({ mode, ...(place ?? { path: unix?.path }) }, 'Listening for syslog messages');
  }

  async stop(): Promise<void> {
    await this.listener.stop();
  }
}

/** A sender as Fluent Bit writes it. */
function sourceOf({ address, port }: Peer): string {
  return address === undefined ? 'unix://unavailable' : `tcp://${address}:${port}`;
}
