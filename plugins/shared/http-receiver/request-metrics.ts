/** What the listener counts: requests by answer, and connections that came to nothing. */
import type { InputContext } from '../../../src/plugin.ts';

type Counter = { value: number };

export class RequestMetrics {
  private readonly byCode = new Map<string, Counter>();
  private readonly series: (code: string) => Counter;
  private readonly refusedConnections: Counter;
  private readonly failedConnections: Counter;

  constructor({ metrics, name }: InputContext) {
    const requests = metrics.counter(
      'tailrace_input_requests_total',
      'Requests by the status of their answer; `aborted`: the client did not wait for it.',
    );
    this.series = (code) => requests.labels({ name, code });
    this.refusedConnections = metrics
      .counter('tailrace_input_connections_refused_total', 'Connections over the limit, closed at once.')
      .labels({ name });
    this.failedConnections = metrics
      .counter(
        'tailrace_input_connections_failed_total',
        'Connections that broke outside of a request, TLS handshakes included.',
      )
      .labels({ name });
  }

  answered(status: number): void {
    this.count(String(status));
  }

  aborted(): void {
    this.count('aborted');
  }

  connectionRefused(): void {
    this.refusedConnections.value++;
  }

  connectionFailed(): void {
    this.failedConnections.value++;
  }

  private count(code: string): void {
    let counter = this.byCode.get(code);
    if (counter === undefined) {
      counter = this.series(code);
      this.byCode.set(code, counter);
    }
    counter.value++;
  }
}
