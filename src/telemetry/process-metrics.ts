/** What the process itself costs, under the names that Prometheus clients have agreed on. Computed at a scrape, never between. */
import { readdirSync } from 'node:fs';
import type { Metrics } from './metrics.ts';

export function registerProcessMetrics(metrics: Metrics): void {
  const cpu = metrics.counter('process_cpu_seconds_total', 'User and system CPU time, seconds.');
  cpu.collect = () => {
    const { user, system } = process.cpuUsage();
    cpu.labels().value = (user + system) / 1e6;
  };
  metrics.gauge('process_resident_memory_bytes', 'Resident memory, bytes.', (family) => {
    setIfKnown(family.labels(), () => process.memoryUsage.rss());
  });
  metrics.gauge('process_heap_bytes', 'JavaScript heap in use, bytes.', (family) => {
    setIfKnown(family.labels(), () => process.memoryUsage().heapUsed);
  });
  metrics
    .gauge('process_start_time_seconds', 'Start of the process, seconds since the epoch.')
    .labels().value = Math.round(performance.timeOrigin) / 1000;
  if (process.platform === 'linux') {
    metrics.gauge('process_open_fds', 'Open file descriptors.', (family) => {
      setIfKnown(family.labels(), () => readdirSync('/proc/self/fd').length);
    });
  }
}

/** The system tells these in files. Where no descriptor is left to open one, the others are still wanted: this one stays as it was. */
function setIfKnown(series: { value: number }, read: () => number): void {
  try {
    series.value = read();
  } catch {
    // As said above.
  }
}
