/** The chart's Grafana dashboard: rows of panels, each a title, a unit and what it asks Prometheus. `npm run docs` writes it as JSON. */
import type { JsonSchema as Json } from '../../src/config/options.ts';

interface Query {
  expr: string;
  /** Of Grafana: `{{name}}`. */
  legend: string;
}

interface Panel {
  title: string;
  /** What it says, and what to do about it. */
  about?: string;
  /** Grafana's name of a unit. */
  unit: string;
  kind: 'stat' | 'timeseries';
  queries: readonly Query[];
  /** Of 24 columns. */
  width: number;
  /** A value from which on it is red. */
  red?: number;
}

interface Row {
  title: string;
  panels: readonly Panel[];
}

/** Label matchers of the dashboard's variables. */
const M = 'job=~"$job",namespace=~"$namespace",pod=~"$pod"';
/** Reasons for which records are dropped because somebody wants it. */
const WANTED = 'filter:.*|pod_excluded|pod_sampled|pod_rate_limit';
const HEIGHT = 8;
const STAT_HEIGHT = 4;

const rate = (metric: string, by: string, more = ''): string =>
  `sum by (${by}) (rate(${metric}{${M}${more}}[$__rate_interval]))`;
const sum = (metric: string, by: string): string => `sum by (${by}) (${metric}{${M}})`;
const term = (of: 'input' | 'output', name: string, sign = ''): Query => ({
  expr: `${sign}sum(rate(tailrace_${of}_${name}{${M}}[$__rate_interval]))`,
  legend: name.replace(/_records_total$/, ''),
});
const quantile = (share: number): Query => ({
  expr: `histogram_quantile(${share}, sum by (le, output) (rate(tailrace_delivery_latency_seconds_bucket{${M}}[$__rate_interval])))`,
  legend: `{{output}} p${share * 100}`,
});

function stat(title: string, expr: string, unit: string, red?: number): Panel {
  return {
    title,
    kind: 'stat',
    unit,
    width: 4,
    queries: [{ expr, legend: '' }],
    ...(red === undefined ? {} : { red }),
  };
}

function graph(title: string, unit: string, queries: readonly Query[], about?: string): Panel {
  return { title, kind: 'timeseries', unit, width: 12, queries, ...(about === undefined ? {} : { about }) };
}

/** What went in or was found, less what became of it. */
const OUTPUT_DIFFERENCE =
  `${sum('tailrace_output_enqueued_records_total', 'pod, name')} + ${sum('tailrace_output_recovered_records_total', 'pod, name')}` +
  ['delivered_records_total', 'dead_lettered_records_total', 'handed_over_records_total', 'buffered_records']
    .map((each) => ` - ${sum(`tailrace_output_${each}`, 'pod, name')}`)
    .join('') +
  ` - (${sum('tailrace_output_dropped_records_total', 'pod, name')} or 0 * ${sum('tailrace_output_enqueued_records_total', 'pod, name')})`;

const ROWS: readonly Row[] = [
  {
    title: 'Overview',
    panels: [
      stat('Agents', `count(up{${M}} == 1)`, 'short'),
      stat('Agents down', `count(up{${M}} == 0) or vector(0)`, 'short', 1),
      stat('Read', `sum(rate(tailrace_input_read_records_total{${M}}[$__rate_interval]))`, 'rps'),
      stat('Delivered', `sum(rate(tailrace_output_delivered_records_total{${M}}[$__rate_interval]))`, 'rps'),
      stat(
        'Lost in this range',
        `(sum(increase(tailrace_output_dropped_records_total{${M}}[$__range])) or vector(0)) + (sum(increase(tailrace_input_dropped_records_total{${M},reason!~"${WANTED}"}[$__range])) or vector(0))`,
        'short',
        1,
      ),
      stat('Dead letters kept', `sum(tailrace_dead_letters{${M}}) or vector(0)`, 'short', 1),
    ],
  },
  {
    title: 'Ledger: what became of the records',
    panels: [
      graph(
        'Inputs: in above, out below',
        'rps',
        [
          term('input', 'read_records_total'),
          term('input', 'recovered_records_total'),
          term('input', 'created_records_total'),
          term('input', 'routed_records_total', '-'),
          term('input', 'joined_records_total', '-'),
          term('input', 'skipped_records_total', '-'),
          {
            expr: `-${rate('tailrace_input_dropped_records_total', 'reason')}`,
            legend: 'dropped: {{reason}}',
          },
        ],
        'read + recovered + created = routed + joined + dropped + skipped + held',
      ),
      graph(
        'Outputs: in above, out below',
        'rps',
        [
          term('output', 'enqueued_records_total'),
          term('output', 'recovered_records_total'),
          term('output', 'delivered_records_total', '-'),
          term('output', 'dead_lettered_records_total', '-'),
          term('output', 'handed_over_records_total', '-'),
          {
            expr: `-${rate('tailrace_output_dropped_records_total', 'reason')}`,
            legend: 'dropped: {{reason}}',
          },
        ],
        'enqueued + recovered = delivered + dropped + dead_lettered + handed_over + buffered',
      ),
      {
        title: 'Difference of the books',
        about: 'Anything but 0 for longer than a scrape is a defect of Tailrace.',
        kind: 'timeseries',
        unit: 'short',
        width: 8,
        queries: [{ expr: `${OUTPUT_DIFFERENCE} != 0`, legend: '{{pod}} {{name}}' }],
      },
      {
        title: 'Filters: dropped by rule',
        kind: 'timeseries',
        unit: 'rps',
        width: 8,
        queries: [{ expr: rate('tailrace_filter_dropped_records_total', 'name'), legend: '{{name}}' }],
      },
      {
        title: 'Bytes of files lost, by reason',
        kind: 'timeseries',
        unit: 'Bps',
        width: 8,
        queries: [
          { expr: rate('tailrace_input_lost_bytes_total', 'name, reason'), legend: '{{name}}: {{reason}}' },
        ],
      },
    ],
  },
  {
    title: 'Throughput',
    panels: [
      graph('Records read, by input', 'rps', [
        { expr: rate('tailrace_input_read_records_total', 'name'), legend: '{{name}}' },
      ]),
      graph('Records delivered, by output', 'rps', [
        { expr: rate('tailrace_output_delivered_records_total', 'name'), legend: '{{name}}' },
      ]),
      graph('Bytes read, by input', 'Bps', [
        { expr: rate('tailrace_input_read_bytes_total', 'name'), legend: '{{name}}' },
      ]),
      graph('Bytes delivered, by output', 'Bps', [
        { expr: rate('tailrace_output_delivered_bytes_total', 'name'), legend: '{{name}}' },
      ]),
    ],
  },
  {
    title: 'Lag and latency',
    panels: [
      graph(
        'Bytes of files that are not read or not settled: the ten furthest behind',
        'bytes',
        [{ expr: `topk(10, ${sum('tailrace_input_file_lag_bytes', 'pod')})`, legend: '{{pod}}' }],
        'kubectl exec POD -- tailrace status names the files.',
      ),
      graph('From read to delivered', 's', [quantile(0.5), quantile(0.95), quantile(0.99)]),
      graph('Inputs that wait for room', 'short', [
        { expr: `max by (pod, name) (tailrace_input_paused{${M}}) > 0`, legend: '{{pod}} {{name}}' },
      ]),
      graph('Files open', 'short', [{ expr: sum('tailrace_input_open_files', 'pod'), legend: '{{pod}}' }]),
    ],
  },
  {
    title: 'Retries and dead letters',
    panels: [
      graph('Attempts, by result', 'reqps', [
        { expr: rate('tailrace_output_attempts_total', 'name, result'), legend: '{{name}}: {{result}}' },
      ]),
      graph('Records sent again', 'rps', [
        { expr: rate('tailrace_output_retried_records_total', 'name'), legend: '{{name}}' },
      ]),
      graph('Retries', 'reqps', [
        { expr: rate('tailrace_output_retries_total', 'name'), legend: '{{name}}' },
      ]),
      graph('Dead letters', 'rps', [
        { expr: rate('tailrace_output_dead_lettered_records_total', 'name'), legend: '{{name}}' },
      ]),
    ],
  },
  {
    title: 'Buffer',
    panels: [
      graph('Memory', 'bytes', [
        { expr: sum('tailrace_buffer_bytes', 'pod'), legend: '{{pod}}' },
        { expr: `max(tailrace_buffer_limit_bytes{${M}})`, legend: 'limit' },
      ]),
      graph('Overflow on disk', 'bytes', [
        { expr: sum('tailrace_storage_overflow_bytes', 'pod'), legend: '{{pod}}' },
        { expr: `max(tailrace_storage_overflow_limit_bytes{${M}})`, legend: 'limit' },
      ]),
      graph('Records that wait, by output', 'short', [
        { expr: sum('tailrace_output_buffered_records', 'name'), legend: '{{name}}' },
      ]),
      graph('Disk buffer', 'bytes', [
        { expr: `sum(tailrace_storage_bytes{${M}})`, legend: 'needed' },
        { expr: `sum(tailrace_storage_file_bytes{${M}})`, legend: 'files' },
      ]),
      graph('Full', 'short', [
        { expr: `max by (pod, reason) (tailrace_storage_full{${M}}) > 0`, legend: '{{pod}}: {{reason}}' },
      ]),
      graph('Written', 'Bps', [
        { expr: rate('tailrace_storage_written_bytes_total', 'pod'), legend: '{{pod}}' },
      ]),
    ],
  },
  {
    title: 'Kubernetes',
    panels: [
      graph('Agents that do not reach the API server', 'short', [
        { expr: `tailrace_kubernetes_connected{${M}} == 0`, legend: '{{pod}}' },
      ]),
      graph('Requests to the API server', 'reqps', [
        { expr: rate('tailrace_kubernetes_requests_total', 'request'), legend: '{{request}}' },
      ]),
      graph('Records without metadata, by reason', 'rps', [
        { expr: rate('tailrace_kubernetes_records_without_metadata_total', 'reason'), legend: '{{reason}}' },
      ]),
      graph('Records over quotas', 'rps', [
        { expr: rate('tailrace_kubernetes_suppressed_records_total', 'pod'), legend: '{{pod}}' },
      ]),
    ],
  },
  {
    title: 'Process',
    panels: [
      graph('CPU', 'short', [{ expr: rate('process_cpu_seconds_total', 'pod'), legend: '{{pod}}' }]),
      graph('Resident memory', 'bytes', [
        { expr: sum('process_resident_memory_bytes', 'pod'), legend: '{{pod}}' },
      ]),
      graph("Messages of the agents' own log", 'short', [
        {
          expr: rate('tailrace_log_messages_total', 'pod, level', ',level=~"error|warn"'),
          legend: '{{pod}} {{level}}',
        },
      ]),
      graph('Configurations refused', 'short', [
        { expr: `tailrace_config_last_reload_successful{${M}} == 0`, legend: '{{pod}}' },
      ]),
    ],
  },
];

const datasource = { type: 'prometheus', uid: '${datasource}' };

function panel({ title, about, unit, kind, queries, red }: Panel, gridPos: Json, id: number): Json {
  const thresholds = {
    mode: 'absolute',
    steps: [{ color: 'green', value: null }, ...(red === undefined ? [] : [{ color: 'red', value: red }])],
  };
  return {
    id,
    type: kind,
    title,
    ...(about === undefined ? {} : { description: about }),
    gridPos,
    datasource,
    fieldConfig: {
      defaults: { unit, ...(kind === 'stat' ? { thresholds, color: { mode: 'thresholds' } } : {}) },
      overrides: [],
    },
    options:
      kind === 'stat'
        ? {
            reduceOptions: { calcs: ['lastNotNull'] },
            colorMode: red === undefined ? 'none' : 'value',
            graphMode: 'area',
          }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      datasource,
      expr,
      legendFormat: legend,
    })),
  };
}

function variable(name: string, label: string, query: string): Json {
  return {
    name,
    label,
    type: 'query',
    datasource,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: ['All'], value: ['$__all'] },
    sort: 1,
  };
}

/** Rows from top to bottom; panels from left to right, and on. */
function layOut(): Json[] {
  const made: Json[] = [];
  let y = 0;
  for (const { title, panels } of ROWS) {
    made.push({
      id: made.length + 1,
      type: 'row',
      title,
      collapsed: false,
      panels: [],
      gridPos: { h: 1, w: 24, x: 0, y: y++ },
    });
    let x = 0;
    for (const each of panels) {
      const h = each.kind === 'stat' ? STAT_HEIGHT : HEIGHT;
      made.push(panel(each, { h, w: each.width, x, y }, made.length + 1));
      x += each.width;
      if (x < 24) continue;
      x = 0;
      y += h;
    }
    if (x > 0) y += HEIGHT;
  }
  return made;
}

/** The dashboard, as Grafana imports it. */
export function dashboard(): Json {
  return {
    uid: 'tailrace',
    title: 'Tailrace',
    description:
      'Log agents: what they read, what became of it, and what waits. Generated: see scripts/chart/dashboard.ts.',
    tags: ['tailrace', 'logs'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', current: {} },
        variable('namespace', 'Namespace', 'label_values(tailrace_build_info, namespace)'),
        variable('job', 'Release', 'label_values(tailrace_build_info{namespace=~"$namespace"}, job)'),
        variable('pod', 'Pod', 'label_values(tailrace_build_info{namespace=~"$namespace",job=~"$job"}, pod)'),
      ],
    },
    panels: layOut(),
  };
}
