/** Gauges that several inputs share: at a scrape each brings its own series up to date, until it is closed. */
import type { Metrics } from '../../src/plugin.ts';

type Gauge = ReturnType<Metrics['gauge']>;

const collectors = new WeakMap<Gauge, Set<() => void>>();

/** Sets the gauge's series of an input to `value()` at every scrape. Returns what ends that. */
export function observe(gauge: Gauge, input: string, value: () => number): () => void {
  let all = collectors.get(gauge);
  if (all === undefined) {
    const made = new Set<() => void>();
    gauge.collect = () => {
      for (const collect of made) collect();
    };
    collectors.set(gauge, made);
    all = made;
  }
  const known = all;
  const series = gauge.labels({ name: input });
  const collect = (): void => {
    series.value = value();
  };
  known.add(collect);
  return () => {
    known.delete(collect);
    series.value = 0;
  };
}
