/** Takes messages that are a datagram each. */
import { isAscii } from 'node:buffer';
import type { DatagramSink, Sender } from '../../shared/datagram-sink.ts';
import { characterEnd } from '../../shared/lines.ts';
import type { Intake } from './intake.ts';

/** What Fluent Bit says where the sender is not known. */
const UNAVAILABLE = 'unix://unavailable';

export class SyslogDatagrams implements DatagramSink {
  private readonly intake: Intake;
  private readonly maxBytes: number;
  private readonly keepsSource: boolean;

  /** `maxBytes`: a longer message is cut. `keepsSource`: the records get who sent them. */
  constructor(intake: Intake, maxBytes: number, keepsSource: boolean) {
    this.intake = intake;
    this.maxBytes = maxBytes;
    this.keepsSource = keepsSource;
  }

  take(bytes: Buffer, sender: Sender | undefined, isCut: boolean): void {
    const { maxBytes } = this;
    const isLong = bytes.length > maxBytes;
    const end = isCut || isLong ? characterEnd(bytes, Math.min(bytes.length, maxBytes)) : bytes.length;
    const text = isAscii(bytes) ? bytes.toString('latin1', 0, end) : bytes.toString('utf8', 0, end);
    const source =
      sender === undefined || !this.keepsSource ? UNAVAILABLE : `udp://${sender.address}:${sender.port}`;
    this.intake.take(text, 0, text.length, isCut || isLong, source);
  }

  flush(): Promise<void> | undefined {
    return this.intake.flush();
  }
}
