/** The input's options as its parts use them. */
import type { StreamListenerSettings } from '../../shared/stream-listener.ts';
import type { IntakeSettings } from './intake.ts';
import type { Framing } from './reader.ts';

export interface SyslogInputSettings extends StreamListenerSettings {
  mode: 'unix_udp' | 'unix_tcp' | 'tcp' | 'udp';
  framing: Framing;
  /** Longest message, bytes. */
  maxBytes: number;
  /** SO_RCVBUF, bytes; undefined: what is sensible. */
  receiveBufferBytes: number | undefined;
  /** With a unix socket. */
  unixMode: number;
  intake: IntakeSettings;
}
