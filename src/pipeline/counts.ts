/** The ledger's two equations (DELIVERY.md, rule 30), read from the metrics, so that status and metrics always say the same. */
import type { Metrics } from '../telemetry/metrics.ts';

/** Records that went, by why. */
export interface Drops {
  reason: string;
  records: number;
}

/** Records by what became of them: read + recovered + created = routed + joined + dropped + skipped + held. */
export interface InputEquation {
  read: number;
  recovered: number;
  created: number;
  routed: number;
  joined: number;
  dropped: readonly Drops[];
  skipped: number;
  held: number;
  /** Left side less right side: 0. */
  difference: number;
}

/** enqueued + recovered = delivered + dropped + dead_lettered + handed_over + buffered. */
export interface OutputEquation {
  enqueued: number;
  recovered: number;
  delivered: number;
  dropped: readonly Drops[];
  dead_lettered: number;
  handed_over: number;
  buffered: number;
  /** Left side less right side: 0. */
  difference: number;
}

/** Looks up what was counted. */
export class Counts {
  private readonly metrics: Metrics;

  constructor(metrics: Metrics) {
    this.metrics = metrics;
  }

  private samples(family: string): readonly { labels: Readonly<Record<string, string>>; value: number }[] {
    return this.metrics.families.get(family)?.get().values ?? [];
  }

  sum(family: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0;
    for (const sample of this.samples(family)) {
      if (Object.entries(labels).every(([key, value]) => sample.labels[key] === value)) sum += sample.value;
    }
    return sum;
  }

  /** Names in a family that are not among those. */
  others(family: string, known: readonly { name: string }[]): string[] {
    const names = new Set(this.samples(family).map(({ labels }) => labels['name'] ?? ''));
    for (const { name } of known) names.delete(name);
    return [...names];
  }

  private drops(family: string, name: string): Drops[] {
    return this.samples(family)
      .filter(({ labels, value }) => labels['name'] === name && value > 0)
      .map(({ labels, value }) => ({ reason: labels['reason'] ?? '', records: value }));
  }

  input(name: string): InputEquation {
    const term = (each: string): number => this.sum(`tailrace_input_${each}`, { name });
    const read = term('read_records_total');
    const recovered = term('recovered_records_total');
    const created = term('created_records_total');
    const routed = term('routed_records_total');
    const joined = term('joined_records_total');
    const skipped = term('skipped_records_total');
    const held = term('held_records');
    const dropped = this.drops('tailrace_input_dropped_records_total', name);
    const difference = read + recovered + created - (routed + joined + total(dropped) + skipped + held);
    return { read, recovered, created, routed, joined, dropped, skipped, held, difference };
  }

  output(name: string): OutputEquation {
    const term = (each: string): number => this.sum(`tailrace_output_${each}`, { name });
    const enqueued = term('enqueued_records_total');
    const recovered = term('recovered_records_total');
    const delivered = term('delivered_records_total');
    const dead = term('dead_lettered_records_total');
    const handed = term('handed_over_records_total');
    const buffered = term('buffered_records');
    const dropped = this.drops('tailrace_output_dropped_records_total', name);
    return {
      enqueued,
      recovered,
      delivered,
      dropped,
      dead_lettered: dead,
      handed_over: handed,
      buffered,
      difference: enqueued + recovered - (delivered + total(dropped) + dead + handed + buffered),
    };
  }
}

function total(drops: readonly Drops[]): number {
  return drops.reduce((sum, { records }) => sum + records, 0);
}
