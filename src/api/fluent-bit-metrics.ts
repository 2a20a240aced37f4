/**
 * Our counters under Fluent Bit's names, so that dashboards and alerts written for it go on working. Only what we count is
 * there: a series that would always be 0 would lie.
 */
import { hostname, platform } from 'node:os';
import { Family } from '../telemetry/metrics.ts';
import type { Collected, Labels, Metrics } from '../telemetry/metrics.ts';
import type { Collectable } from './exposition.ts';

/** The version of Fluent Bit whose configuration and names these are. */
export const FLUENT_BIT_VERSION = '5.1.1';

/** How a series of theirs is made of families of ours. */
interface Mapping {
  /** `fluentbit_<kind>_<term>`, and the key in `/api/v1/metrics`. */
  term: string;
  type: 'counter' | 'gauge';
  help: string;
  /** Families of ours that are added up per name; with labels that a series must have to count. */
  from: readonly { family: string; labels?: Labels }[];
  /** Also part of `/api/v1/metrics`. */
  v1?: boolean;
  /** Only some plugins count this: the others have no such series. */
  some?: boolean;
}

const KINDS: Readonly<Record<'input' | 'filter' | 'output', readonly Mapping[]>> = {
  input: [
    {
      term: 'records',
      type: 'counter',
      help: 'Number of input records.',
      from: [
        { family: 'tailrace_input_read_records_total' },
        { family: 'tailrace_input_created_records_total' },
      ],
      v1: true,
    },
    {
      term: 'bytes',
      type: 'counter',
      help: 'Number of input bytes.',
      from: [{ family: 'tailrace_input_read_bytes_total' }],
      v1: true,
    },
    {
      term: 'ingestion_paused',
      type: 'gauge',
      help: 'Is the input paused or not?',
      from: [{ family: 'tailrace_input_paused' }],
    },
    {
      term: 'files_opened',
      type: 'counter',
      help: 'Total number of opened files',
      from: [{ family: 'tailrace_input_files_opened_total' }],
      some: true,
    },
    {
      term: 'files_rotated',
      type: 'counter',
      help: 'Total number of rotated files',
      from: [{ family: 'tailrace_input_files_rotated_total' }],
      some: true,
    },
  ],
  filter: [
    {
      term: 'records',
      type: 'counter',
      help: 'Total number of new records processed.',
      from: [{ family: 'tailrace_filter_records_total' }],
      v1: true,
    },
    {
      term: 'drop_records',
      type: 'counter',
      help: 'Total number of dropped records.',
      from: [{ family: 'tailrace_filter_dropped_records_total' }],
      v1: true,
    },
    {
      term: 'add_records',
      type: 'counter',
      help: 'Total number of new added records.',
      from: [{ family: 'tailrace_filter_added_records_total' }],
      v1: true,
    },
  ],
  output: [
    {
      term: 'proc_records',
      type: 'counter',
      help: 'Number of processed output records.',
      from: [{ family: 'tailrace_output_delivered_records_total' }],
      v1: true,
    },
    {
      term: 'proc_bytes',
      type: 'counter',
      help: 'Number of processed output bytes.',
      from: [{ family: 'tailrace_output_delivered_bytes_total' }],
      v1: true,
    },
    {
      term: 'errors',
      type: 'counter',
      help: 'Number of output errors.',
      from: [
        { family: 'tailrace_output_attempts_total', labels: { result: 'refused' } },
        { family: 'tailrace_output_attempts_total', labels: { result: 'defect' } },
      ],
      v1: true,
    },
    {
      term: 'retries',
      type: 'counter',
      help: 'Number of output retries.',
      from: [{ family: 'tailrace_output_retries_total' }],
      v1: true,
    },
    {
      term: 'retries_failed',
      type: 'counter',
      help: 'Number of abandoned batches because the maximum number of re-tries was reached.',
      from: [{ family: 'tailrace_output_retries_exhausted_total' }],
      v1: true,
    },
    {
      term: 'dropped_records',
      type: 'counter',
      help: 'Number of dropped records.',
      from: [
        { family: 'tailrace_output_dropped_records_total' },
        { family: 'tailrace_output_dead_lettered_records_total' },
      ],
      v1: true,
    },
    {
      term: 'retried_records',
      type: 'counter',
      help: 'Number of retried records.',
      from: [{ family: 'tailrace_output_retried_records_total' }],
      v1: true,
    },
  ],
};

/** Names of the running instances; each has its series from the start, at 0. */
export interface InstanceNames {
  input: readonly string[];
  filter: readonly string[];
  output: readonly string[];
}

function value(metrics: Metrics, mapping: Mapping, name: string): number {
  let sum = 0;
  for (const { family, labels } of mapping.from) {
    const found = metrics.families.get(family);
    if (found instanceof Family) sum += found.sum({ ...labels, name });
  }
  return sum;
}

function isCounted(metrics: Metrics, { from }: Mapping, name: string): boolean {
  return from.some(({ family }) =>
    metrics.families
      .get(family)
      ?.get()
      .values.some(({ labels }) => labels.name === name),
  );
}

/** The families of `/api/v2/metrics`. */
export function fluentBitMetrics(metrics: Metrics, names: InstanceNames): Collectable[] {
  const families = [...general(metrics)];
  for (const kind of ['input', 'filter', 'output'] as const) {
    for (const mapping of KINDS[kind]) {
      const suffix = mapping.type === 'counter' ? '_total' : '';
      families.push(
        constant(`fluentbit_${kind}_${mapping.term}${suffix}`, mapping.help, mapping.type, () =>
          names[kind]
            .filter((name) => !mapping.some || isCounted(metrics, mapping, name))
            .map((name) => ({ labels: { name }, value: value(metrics, mapping, name) })),
        ),
      );
    }
  }
  const latency = metrics.families.get('tailrace_delivery_latency_seconds');
  if (latency !== undefined) families.push(renamed(latency, 'fluentbit_output_latency_seconds'));
  return families;
}

function* general(metrics: Metrics): Generator<Collectable> {
  const labels = { hostname: hostname() };
  const one = (name: string, help: string, type: 'counter' | 'gauge', of: number): Collectable =>
    constant(name, help, type, () => [{ labels, value: of }]);
  yield one(
    'fluentbit_uptime',
    'Number of seconds that Fluent Bit has been running.',
    'counter',
    Math.floor(process.uptime()),
  );
  yield one(
    'fluentbit_process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    'gauge',
    Math.floor(performance.timeOrigin / 1000),
  );
  yield constant('fluentbit_build_info', 'Build version information.', 'gauge', () => [
    { labels: { ...labels, version: FLUENT_BIT_VERSION, os: platform() }, value: 1 },
  ]);
  yield one(
    'fluentbit_hot_reloaded_times',
    'Collect the count of hot reloaded times.',
    'counter',
    reloads(metrics),
  );
  const messages = metrics.families.get('tailrace_log_messages_total');
  if (messages instanceof Family) {
    yield constant('fluentbit_logger_logs_total', 'Total number of logs', 'counter', () =>
      messages.get().values.map((sample) => ({
        labels: { message_type: sample.labels.level ?? '' },
        value: sample.value,
      })),
    );
  }
}

/** How often the configuration was exchanged since the start. */
export function reloads(metrics: Metrics): number {
  const family = metrics.families.get('tailrace_config_reloads_total');
  return family instanceof Family ? family.sum({ result: 'done' }) : 0;
}

function constant(
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  values: () => Collected['values'],
): Collectable {
  return { name, get: () => ({ name, help, type, values: values(), aggregator: 'sum' }) };
}

function renamed(family: Collectable, name: string): Collectable {
  return {
    name,
    get: () => {
      const collected = family.get();
      const values = collected.values.map((sample) =>
        sample.metricName === undefined
          ? sample
          : { ...sample, metricName: sample.metricName.replace(family.name, name) },
      );
      return { ...collected, name, values };
    },
  };
}

/** The body of `/api/v1/metrics`. */
export function fluentBitMetricsV1(
  metrics: Metrics,
  names: InstanceNames,
): Record<string, Record<string, Record<string, number>>> {
  const body: Record<string, Record<string, Record<string, number>>> = {};
  for (const kind of ['input', 'filter', 'output'] as const) {
    const instances: Record<string, Record<string, number>> = {};
    for (const name of names[kind]) {
      const mappings = KINDS[kind].filter((mapping) => mapping.v1);
      instances[name] = Object.fromEntries(
        mappings.map((mapping) => [mapping.term, value(metrics, mapping, name)]),
      );
    }
    body[kind] = instances;
  }
  return body;
}

/** What Fluent Bit's health check counts. */
export function failures(metrics: Metrics): { errors: number; retriesFailed: number } {
  const sum = (term: string): number => {
    const mapping = KINDS.output.find((candidate) => candidate.term === term);
    let total = 0;
    for (const { family, labels } of mapping?.from ?? []) {
      const found = metrics.families.get(family);
      if (found instanceof Family) total += found.sum(labels);
    }
    return total;
  };
  return { errors: sum('errors'), retriesFailed: sum('retries_failed') };
}
