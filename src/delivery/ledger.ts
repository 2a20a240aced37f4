/** An output's side of the ledger (DELIVERY.md, rule 30), and what else is counted of a delivery. */
import type { Metrics, Series } from '../telemetry/metrics.ts';

/** Bounds of the read-to-delivered histogram, seconds. */
const LATENCY_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];

/** enqueued + recovered = delivered + dropped + dead_lettered + handed_over + buffered, at every instant. */
export class OutputLedger {
  readonly enqueued: Series;
  readonly recovered: Series;
  readonly delivered: Series;
  readonly deadLettered: Series;
  readonly handedOver: Series;
  readonly buffered: Series;
  readonly bufferedBytes: Series;
  readonly deliveredBytes: Series;
  readonly retries: Series;
  readonly retriedRecords: Series;
  readonly retriesExhausted: Series;
  private readonly metrics: Metrics;
  private readonly name: string;
  private readonly latencies = new Map<string, (seconds: number, count?: number) => void>();

  constructor(metrics: Metrics, name: string) {
    this.metrics = metrics;
    this.name = name;
    const counter = (term: string, help: string): Series =>
      metrics.counter(`tailrace_output_${term}_total`, help).labels({ name });
    const gauge = (term: string, help: string): Series =>
      metrics.gauge(`tailrace_output_${term}`, help).labels({ name });
    this.enqueued = counter('enqueued_records', 'Records routed to the output.');
    this.recovered = counter('recovered_records', 'Records found in the disk buffer at start.');
    this.delivered = counter('delivered_records', 'Records that the destination has.');
    this.deadLettered = counter('dead_lettered_records', 'Records kept in the dead letters.');
    this.handedOver = counter('handed_over_records', 'Records given to the on_failure output.');
    this.buffered = gauge('buffered_records', 'Records that wait for the output.');
    this.bufferedBytes = gauge('buffered_bytes', 'Bytes that wait for the output.');
    this.deliveredBytes = counter('delivered_bytes', 'Bytes of delivered records, as buffered.');
    this.retries = counter('retries', 'Attempts that must be made again, wholly or in part.');
    this.retriedRecords = counter('retried_records', 'Records sent again, each time.');
    this.retriesExhausted = counter('retries_exhausted', 'Times that the retry limit was reached.');
  }

  dropped(reason: string): Series {
    return this.metrics
      .counter(
        'tailrace_output_dropped_records_total',
        'Records dropped on their way to the output, by reason.',
      )
      .labels({ name: this.name, reason });
  }

  attempt(result: 'ok' | 'partial' | 'failed' | 'refused' | 'defect' | 'aborted'): void {
    this.metrics
      .counter('tailrace_output_attempts_total', 'Delivery attempts by result.')
      .labels({ name: this.name, result }).value++;
  }

  /** Takes in how long `count` records of an input took from read to delivered. */
  observe(input: string, seconds: number, count: number): void {
    let observe = this.latencies.get(input);
    if (observe === undefined) {
      observe = this.metrics
        .histogram('tailrace_delivery_latency_seconds', 'Time from read to delivered.', LATENCY_BOUNDS)
        .labels({ input, output: this.name });
      this.latencies.set(input, observe);
    }
    observe(seconds, count);
  }
}
