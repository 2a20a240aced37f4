/**
 * The agent's metrics: plain numbers that the hot path adds to. Families have the shape that prom-client's registry collects
 * (`get()`), so that the library formats them, and is loaded only where somebody scrapes.
 */

export type Labels = Readonly<Record<string, string>>;

/** One series. `value` may be added to directly. */
export interface Series {
  readonly labels: Labels;
  value: number;
}

interface Sample {
  labels: Labels;
  value: number;
  metricName?: string;
}

/** What a registry collects. */
export interface Collected {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  values: Sample[];
  aggregator: 'sum';
}

/** A counter or gauge with its series. */
export class Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  private readonly series = new Map<string, Series>();
  /** Called before a scrape; sets series that are computed on demand. */
  collect: (() => void) | undefined;

  constructor(name: string, help: string, type: 'counter' | 'gauge') {
    this.name = name;
    this.help = help;
    this.type = type;
  }

  /** The series with these labels, made at first use: keep it, don't look it up per record. */
  labels(labels: Labels = {}): Series {
    const key = JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    let series = this.series.get(key);
    if (series === undefined) {
      series = { labels, value: 0 };
      this.series.set(key, series);
    }
    return series;
  }

  /** Forgets series, for example of something that is gone. */
  remove(matches: (labels: Labels) => boolean): void {
    for (const [key, series] of this.series) if (matches(series.labels)) this.series.delete(key);
  }

  /** The sum over all series whose labels include the given ones. */
  sum(labels: Labels = {}): number {
    let sum = 0;
    for (const series of this.series.values()) {
      if (Object.entries(labels).every(([name, value]) => series.labels[name] === value)) sum += series.value;
    }
    return sum;
  }

  get(): Collected {
    this.collect?.();
    return {
      name: this.name,
      help: this.help,
      type: this.type,
      values: [...this.series.values()].map(({ labels, value }) => ({ labels, value })),
      aggregator: 'sum',
    };
  }
}

/** A histogram with fixed bucket bounds. */
export class Histogram {
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  private readonly series = new Map<string, { labels: Labels; counts: number[]; sum: number }>();

  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.bounds = bounds;
  }

  /** Returns a function that takes in `count` observations of `value`. */
  labels(labels: Labels): (value: number, count?: number) => void {
    const key = JSON.stringify(labels);
    let series = this.series.get(key);
    if (series === undefined) {
      series = { labels, counts: Array.from({ length: this.bounds.length + 1 }, () => 0), sum: 0 };
      this.series.set(key, series);
    }
    const { counts } = series;
    const target = series;
    return (value, count = 1) => {
      let bucket = 0;
      while (bucket < this.bounds.length && value > (this.bounds[bucket] as number)) bucket++;
      counts[bucket] = (counts[bucket] as number) + count;
      target.sum += value * count;
    };
  }

  get(): Collected {
    const values: Sample[] = [];
    for (const { labels, counts, sum } of this.series.values()) {
      let total = 0;
      counts.forEach((count, bucket) => {
        total += count;
        const le = bucket < this.bounds.length ? String(this.bounds[bucket]) : '+Inf';
        values.push({ labels: { ...labels, le }, value: total, metricName: `${this.name}_bucket` });
      });
      values.push({ labels, value: sum, metricName: `${this.name}_sum` });
      values.push({ labels, value: total, metricName: `${this.name}_count` });
    }
    return { name: this.name, help: this.help, type: 'histogram', values, aggregator: 'sum' };
  }
}

/** All metrics of an agent; a family is made once and shared by name. */
export class Metrics {
  readonly families = new Map<string, Family | Histogram>();

  counter(name: string, help: string): Family {
    return this.family(name, help, 'counter');
  }

  gauge(name: string, help: string, collect?: (family: Family) => void): Family {
    const family = this.family(name, help, 'gauge');
    if (collect !== undefined) family.collect = () => collect(family);
    return family;
  }

  private family(name: string, help: string, type: 'counter' | 'gauge'): Family {
    let family = this.families.get(name);
    if (family === undefined) {
      family = new Family(name, help, type);
      this.families.set(name, family);
    }
    if (!(family instanceof Family)) throw new TypeError(`Metric ${name} is a histogram already.`);
    return family;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    let histogram = this.families.get(name);
    if (histogram === undefined) {
      histogram = new Histogram(name, help, bounds);
      this.families.set(name, histogram);
    }
    if (!(histogram instanceof Histogram)) throw new TypeError(`Metric ${name} is no histogram.`);
    return histogram;
  }
}
