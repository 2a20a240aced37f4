/** What a stream listener counts: connections, and why some were closed. */
import type { InputContext } from '../../src/plugin.ts';

type Counter = { value: number };

/** `Reason`: why a connection is closed from this side. */
export class ConnectionMetrics<Reason extends string> {
  readonly open: { value: number };
  private readonly refusedConnections: Counter;
  private readonly failedConnections: Counter;
  private readonly closings: (reason: Reason) => Counter;

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
  }

  refused(): void {
    this.refusedConnections.value++;
  }

  failed(): void {
    this.failedConnections.value++;
  }

  closed(reason: Reason): void {
    this.closings(reason).value++;
  }
}
