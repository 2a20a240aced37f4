/** Reads Prometheus text, and checks the ledger (DELIVERY.md, rule 30) in it. */
import { expect } from 'vitest';

interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** One scrape. */
export class Scrape {
  private readonly families = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const match = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (match === null) continue;
      const [, name = '', pairs = '', value] = match;
      const labels: Record<string, string> = {};
      for (const [, key = '', label = ''] of pairs.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g))
        labels[key] = label;
      const samples = this.families.get(name);
      const sample = { labels, value: Number(value) };
      if (samples === undefined) this.families.set(name, [sample]);
      else samples.push(sample);
    }
  }

  /** Sum of the series that have these labels; 0 when there is none. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const sample of this.families.get(name) ?? []) {
      if (Object.entries(labels).every(([key, value]) => sample.labels[key] === value)) sum += sample.value;
    }
    return sum;
  }

  /** All values of a label in families of that prefix. */
  names(prefix: string): string[] {
    const names = new Set<string>();
    for (const [family, samples] of this.families) {
      if (!family.startsWith(prefix)) continue;
      for (const { labels } of samples) if (labels['name'] !== undefined) names.add(labels['name']);
    }
    return [...names];
  }

  /** Both equations, for every input and output. */
  expectBalance(): void {
    const inputs = this.names('tailrace_input_read_records');
    const outputs = this.names('tailrace_output_enqueued_records');
    expect(outputs.length, 'outputs in the metrics').toBeGreaterThan(0);
    for (const name of inputs) {
      const term = (each: string): number => this.sum(`tailrace_input_${each}`, { name });
      expect(
        term('routed_records_total') +
          term('joined_records_total') +
          term('dropped_records_total') +
          term('skipped_records_total') +
          term('held_records'),
        `input ${name}: routed + joined + dropped + skipped + held = read + recovered + created`,
      ).toBe(term('read_records_total') + term('recovered_records_total') + term('created_records_total'));
    }
    for (const name of outputs) {
      const term = (each: string): number => this.sum(`tailrace_output_${each}`, { name });
      expect(
        term('delivered_records_total') +
          term('dropped_records_total') +
          term('dead_lettered_records_total') +
          term('handed_over_records_total') +
          term('buffered_records'),
        `output ${name}: delivered + dropped + dead_lettered + handed_over + buffered = enqueued + recovered`,
      ).toBe(term('enqueued_records_total') + term('recovered_records_total'));
    }
  }
}
