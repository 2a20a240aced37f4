/** What the listener counts: connections, why some were closed, and messages without logs. */
import type { InputContext } from '../../../src/plugin.ts';
import { ConnectionMetrics } from '../../shared/connection-metrics.ts';

/** Why a connection is closed from this side. */
export type Closing =
  | 'malformed'
  | 'too_large'
  | 'no_logs'
  | 'handshake'
  | 'handshake_timeout'
  | 'stalled'
  | 'idle'
  | 'no_room'
  | 'not_safe';

export class ForwardMetrics extends ConnectionMetrics<Closing> {
  private readonly refusedMessages: (signal: string) => { value: number };

  constructor(context: InputContext) {
    super(context);
    const { metrics, name } = context;
    const refused = metrics.counter(
      'tailrace_input_refused_messages_total',
      'Messages that carry no logs, by what they carry.',
    );
    this.refusedMessages = (signal) => refused.labels({ name, signal });
  }

  messageRefused(signal: string): void {
    this.refusedMessages(signal).value++;
  }
}
