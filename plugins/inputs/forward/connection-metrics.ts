/** What the listener counts: connections, and why some were closed. */
import type { InputContext } from '../../../src/plugin.ts';

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

type Counter = { value: number };

export class ConnectionMetrics {
  readonly open: { value: number };
  private readonly refusedConnections: Counter;
  private readonly failedConnections: Counter;
  private readonly refusedMessages: (signal: string) => Counter;
  private readonly closings: (reason: Closing) => Counter;

  constructor({ metrics, name }: InputContext) {
    this.open = metrics.gauge('tailrace_input_connections', 'Connections that stand.').labels({ name });
    this.refusedConnections = metrics
      .counter('tailrace_input_connections_refused_total', 'Connections over the limit, closed at once.')
      .labels({ name });
    this.failedConnections = metrics
      .counter(
        'tailrace_input_connections_failed_total',
        'Connections that broke outside of a request, TLS handshakes included.',
      )
      .labels({ name });
    const closed = metrics.counter(
      'tailrace_input_connections_closed_total',
      'Connections that were closed from this side, by reason.',
    );
    this.closings = (reason) => closed.labels({ name, reason });
    const refused = metrics.counter(
      'tailrace_input_refused_messages_total',
      'Messages that carry no logs, by what they carry.',
    );
    this.refusedMessages = (signal) => refused.labels({ name, signal });
  }

  refused(): void {
    this.refusedConnections.value++;
  }

  failed(): void {
    this.failedConnections.value++;
  }

  closed(reason: Closing): void {
    this.closings(reason).value++;
  }

  messageRefused(signal: string): void {
    this.refusedMessages(signal).value++;
  }
}
