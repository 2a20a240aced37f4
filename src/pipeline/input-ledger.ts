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
  /** Records that filters hold. */
  private inFilters = 0;
  /** Batches that asynchronous filters are at work on, and those behind them. */
  private readonly waiting = new Set<{ readonly length: number }>();
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
    this.held = metrics
      .gauge('tailrace_input_held_records', 'Records that filters hold, or are at work on.')
      .labels({ name });
    this.bytes = counter('read_bytes', 'Bytes of the source that became records.');
  }

  /** Filters hold so many records. */
  hold(records: number): void {
    this.inFilters = records;
    this.tell();
  }

  /** A batch is in an asynchronous filter, or waits for one. */
  wait(batch: { readonly length: number }): void {
    this.waiting.add(batch);
    this.tell();
  }

  /** It is through all filters. */
  done(batch: { readonly length: number }): void {
    if (this.waiting.delete(batch)) this.tell();
  }

  /** Brings {@link held} up to date, after a filter has changed a batch. */
  tell(): void {
    let held = this.inFilters;
    for (const { length } of this.waiting) held += length;
    this.held.value = held;
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
