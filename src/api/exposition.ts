/** Writes metrics as text: Prometheus' exposition format by prom-client, and the `name{labels} = value` lines of cmetrics. */
import type { Metric } from 'prom-client';
import Registry from 'prom-client/lib/registry.js';
import type { Collected } from '../telemetry/metrics.ts';

export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Something that a registry can collect. */
export interface Collectable {
  readonly name: string;
  get(): Collected;
}

/**
 * Prometheus text of the families, all collected within one turn of the event loop, so that sums over them hold.
 * A family without a series is left out: it says nothing, and a type without samples makes some scrapers complain.
 */
export async function toPrometheus(families: Iterable<Collectable>): Promise<string> {
  const registry = new Registry();
  for (const family of families) {
    const collected = family.get();
    if (collected.values.length === 0) continue;
    // The registry needs no more of a metric than its name and `get`; its type is that of its own four classes.
    registry.registerMetric({ name: family.name, get: () => collected } as unknown as Metric);
  }
  return registry.metrics();
}

/** The text that `/api/v2/metrics` of Fluent Bit answers with: one line per series, with the time of the scrape. */
export function toText(families: Iterable<Collectable>, now: Date): string {
  const time = now.toISOString().replace(/Z$/, '000000Z');
  let text = '';
  for (const family of families) {
    for (const { labels, value, metricName = family.name } of family.get().values) {
      const pairs = Object.entries(labels).map(([key, label]) => `${key}=${JSON.stringify(label)}`);
      text += `${time} ${metricName}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} = ${value}\n`;
    }
  }
  return text;
}
