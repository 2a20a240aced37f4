/** An input's side of the ledger (DELIVERY.md, rule 30). */
import type { Metrics, Series } from '../telemetry/metrics.ts';

/** read + recovered + created = routed + joined + dropped + skipped + held, at every instant. */
export class InputLedger {
  readonly read: Series;
  readonly recovered: Series;
  readonly created: Series;
  readonly routed: Series;
  readonly joined: Series;
  readonly skipped: Series;
  readonly held: Series;
  readonly bytes: Series;
  private readonly metrics: Metrics;
  private readonly name: string;
  private readonly drops = new Map<string, Series>();

  constructor(metrics: Metrics, name: string) {
    this.metrics = metrics;
    this.name = name;
    const counter = (term: string, help: string): Series =>
      metrics.counter(`tailrace_input_${term}_total`, help).labels({ name });
    this.read = counter('read_records', 'Records read by the input.');
    this.recovered = counter('recovered_records', 'Records of the input found in the disk buffer at start.');
    this.created = counter('created_records', 'Records that filters made in addition.');
    this.routed = counter('routed_records', 'Records handed to at least one output.');
    this.joined = counter('joined_records', 'Records that became part of another one.');
    this.skipped = counter('skipped_records', 'Records read again that all their outputs had acknowledged.');
    this.held = metrics.gauge('tailrace_input_held_records', 'Records that filters hold.').labels({ name });
    this.bytes = counter('read_bytes', 'Bytes of the source that became records.');
  }

  /** Counts records that went by a rule. */
  drop(reason: string, count: number): void {
    let series = this.drops.get(reason);
    if (series === undefined) {
      series = this.metrics
        .counter('tailrace_input_dropped_records_total', 'Records dropped before any output, by reason.')
        .labels({ name: this.name, reason });
      this.drops.set(reason, series);
    }
    series.value += count;
  }

  /** All drops so far. */
  get dropped(): number {
    let sum = 0;
    for (const series of this.drops.values()) sum += series.value;
    return sum;
  }
}
