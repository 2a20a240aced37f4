/**
 * When each alert of the chart fires, and when not, as `promtool test rules` reads it: series of a release `logs` in the namespace `logging`,
 * and what they make fire. Every alert has at least one case of either kind.
 */

/** Values a minute apart, in promtool's own notation: `0x20` is twenty-one zeros, `0+5x20` grows by five. */
export interface AlertCase {
  alert: string;
  about: string;
  /** Name with the labels that are not those of every agent, and its values. */
  series: Readonly<Record<string, string>>;
  /** When it is asked for. */
  at: string;
  /** Labels of the alerts that fire then, beside the agent's (which an empty one takes away); none: it is silent. */
  fires: readonly Readonly<Record<string, string>>[];
}

const OUT = { name: 'es.0' };
const TAIL = { name: 'kubernetes_logs.0' };

/** One case that fires and one that does not, for a counter that grows. */
function growing(
  alert: string,
  counter: string,
  labels: Readonly<Record<string, string>>,
  { held = false } = {},
): AlertCase[] {
  const name = `${counter}{${Object.entries(labels)
    .map(([key, value]) => `${key}="${value}"`)
    .join(',')}}`;
  return [
    { alert, about: 'grows', series: { [name]: '0x5 1+3x25' }, at: '25m', fires: [labels] },
    { alert, about: 'stands', series: { [name]: '7x40' }, at: '35m', fires: [] },
    // Not held: it begins to exist with the first loss.
    ...(held
      ? []
      : [
          { alert, about: 'begins to exist', series: { [name]: '_x10 4x10' }, at: '13m', fires: [labels] },
          { alert, about: 'is over for long', series: { [name]: '_x10 4x30' }, at: '35m', fires: [] },
        ]),
  ];
}

export const ALERT_CASES: readonly AlertCase[] = [
  { alert: 'TailraceDown', about: 'cannot be scraped', series: { up: '1x5 0x20' }, at: '15m', fires: [{}] },
  { alert: 'TailraceDown', about: 'no agent at all', series: {}, at: '15m', fires: [{ pod: '' }] },
  {
    alert: 'TailraceDown',
    about: 'was away for two minutes',
    series: { up: '1x5 0x1 1x20' },
    at: '15m',
    fires: [],
  },
  {
    alert: 'TailraceNodesWithoutAgent',
    about: 'two nodes, one agent',
    series: {
      up: '1x40',
      'kube_daemonset_status_desired_number_scheduled{daemonset="logs-tailrace"}': '2x40',
    },
    at: '30m',
    fires: [{ daemonset: 'logs-tailrace' }],
  },
  {
    alert: 'TailraceNodesWithoutAgent',
    about: 'one node, one agent',
    series: {
      up: '1x40',
      'kube_daemonset_status_desired_number_scheduled{daemonset="logs-tailrace"}': '1x40',
    },
    at: '30m',
    fires: [],
  },
  {
    alert: 'TailraceRestarts',
    about: 'five starts',
    series: { process_start_time_seconds: '100x5 200x2 300x2 400x2 500x2 600x2' },
    at: '17m',
    fires: [{}],
  },
  {
    alert: 'TailraceRestarts',
    about: 'an upgrade',
    series: { process_start_time_seconds: '100x5 200x30' },
    at: '17m',
    fires: [],
  },
  ...growing('TailraceOutputDropsRecords', 'tailrace_output_dropped_records_total', {
    ...OUT,
    reason: 'retry_limit',
  }),
  ...growing('TailraceInputDropsRecords', 'tailrace_input_dropped_records_total', {
    ...TAIL,
    reason: 'no_route',
  }),
  ...['filter:grep.0', 'pod_excluded', 'pod_sampled'].map((reason) => ({
    alert: 'TailraceInputDropsRecords',
    about: `what is wanted: ${reason}`,
    series: { [`tailrace_input_dropped_records_total{name="a",reason="${reason}"}`]: '0+5x30' },
    at: '25m',
    fires: [],
  })),
  ...growing('TailraceFilesLost', 'tailrace_input_lost_bytes_total', { ...TAIL, reason: 'unlinked' }),
  {
    alert: 'TailraceFilesUnreadable',
    about: 'the first one',
    series: { 'tailrace_input_files_refused_total{name="a",reason="unreadable"}': '_x10 1x20' },
    at: '20m',
    fires: [{ name: 'a', reason: 'unreadable' }],
  },
  {
    alert: 'TailraceFilesUnreadable',
    about: 'what is no file',
    series: { 'tailrace_input_files_refused_total{name="a",reason="not_a_file"}': '_x10 1x20' },
    at: '20m',
    fires: [],
  },
  ...growing('TailraceDeadLettersGrow', 'tailrace_output_dead_lettered_records_total', OUT, { held: true }),
  ...growing('TailraceDeadLettersEvicted', 'tailrace_dead_letters_evicted_total', {
    ...OUT,
    reason: 'limit',
  }),
  {
    alert: 'TailraceDestinationFailing',
    about: 'every attempt fails',
    series: {
      'tailrace_output_attempts_total{name="es.0",result="ok"}': '50x40',
      'tailrace_output_attempts_total{name="es.0",result="failed"}': '0+2x40',
    },
    at: '20m',
    fires: [OUT],
  },
  {
    alert: 'TailraceDestinationFailing',
    about: 'has never worked',
    series: { 'tailrace_output_attempts_total{name="es.0",result="failed"}': '0+2x40' },
    at: '20m',
    fires: [OUT],
  },
  {
    alert: 'TailraceDestinationFailing',
    about: 'some attempts work',
    series: {
      'tailrace_output_attempts_total{name="es.0",result="ok"}': '0+1x40',
      'tailrace_output_attempts_total{name="es.0",result="failed"}': '0+2x40',
    },
    at: '20m',
    fires: [],
  },
  {
    alert: 'TailraceDestinationFailing',
    about: 'nothing to send',
    series: { 'tailrace_output_attempts_total{name="es.0",result="failed"}': '8x40' },
    at: '20m',
    fires: [],
  },
  {
    alert: 'TailraceFileLag',
    about: 'far behind',
    series: { 'tailrace_input_file_lag_bytes{name="kubernetes_logs.0"}': '2e8x40' },
    at: '20m',
    fires: [TAIL],
  },
  {
    alert: 'TailraceFileLag',
    about: 'a burst',
    series: { 'tailrace_input_file_lag_bytes{name="kubernetes_logs.0"}': '2e8x8 1e3x30' },
    at: '20m',
    fires: [],
  },
  {
    alert: 'TailraceBufferNearLimit',
    about: 'nine tenths',
    series: { tailrace_storage_overflow_bytes: '9e8x20', tailrace_storage_overflow_limit_bytes: '1e9x20' },
    at: '10m',
    fires: [{}],
  },
  {
    alert: 'TailraceBufferNearLimit',
    about: 'the volume is full',
    series: {
      'tailrace_storage_full{reason="min_free"}': '1x20',
      'tailrace_storage_full{reason="limit"}': '0x20',
    },
    at: '10m',
    fires: [{}],
  },
  {
    alert: 'TailraceBufferNearLimit',
    about: 'half',
    series: {
      tailrace_storage_overflow_bytes: '5e8x20',
      tailrace_storage_overflow_limit_bytes: '1e9x20',
      'tailrace_storage_full{reason="limit"}': '0x20',
    },
    at: '10m',
    fires: [],
  },
  {
    alert: 'TailraceInputWaits',
    about: 'all the time',
    series: { 'tailrace_input_paused{name="a"}': '1x40' },
    at: '25m',
    fires: [{ name: 'a' }],
  },
  {
    alert: 'TailraceInputWaits',
    about: 'now and then',
    series: { 'tailrace_input_paused{name="a"}': '1x3 0 1x3 0 1x3 0 1x3 0 1x10' },
    at: '16m',
    fires: [],
  },
  {
    alert: 'TailraceStateNotWritten',
    about: 'failures',
    series: { tailrace_state_write_failures_total: '0+1x30' },
    at: '20m',
    fires: [{}],
  },
  {
    alert: 'TailraceStateNotWritten',
    about: 'the disk takes nothing',
    series: { tailrace_storage_failing: '1x30' },
    at: '20m',
    fires: [{}],
  },
  {
    alert: 'TailraceStateNotWritten',
    about: 'one failure long ago',
    series: { tailrace_state_write_failures_total: '0 1x40', tailrace_storage_failing: '0x40' },
    at: '30m',
    fires: [],
  },
  {
    alert: 'TailraceConfigRefused',
    about: 'refused',
    series: { tailrace_config_last_reload_successful: '1x5 0x10' },
    at: '10m',
    fires: [{}],
  },
  {
    alert: 'TailraceConfigRefused',
    about: 'taken',
    series: { tailrace_config_last_reload_successful: '1x15' },
    at: '10m',
    fires: [],
  },
  {
    alert: 'TailraceLedgerBroken',
    about: 'one record is nowhere',
    series: books({ enqueued: 10, delivered: 6, buffered: 3 }),
    at: '20m',
    fires: [OUT],
  },
  {
    alert: 'TailraceLedgerBroken',
    about: 'all are somewhere',
    series: {
      ...books({ enqueued: 10, delivered: 6, buffered: 3 }),
      'tailrace_output_dropped_records_total{name="es.0",reason="rejected"}': '1x40',
    },
    at: '20m',
    fires: [],
  },
  {
    alert: 'TailraceApiServerUnreachable',
    about: 'no answer',
    series: { 'tailrace_kubernetes_connected{server="https://10.0.0.1"}': '0x40' },
    at: '20m',
    fires: [{ server: 'https://10.0.0.1' }],
  },
  {
    alert: 'TailraceApiServerUnreachable',
    about: 'a restart of it',
    series: { 'tailrace_kubernetes_connected{server="https://10.0.0.1"}': '1x5 0x4 1x30' },
    at: '20m',
    fires: [],
  },
  ...growing(
    'TailraceMetadataMissing',
    'tailrace_kubernetes_records_without_metadata_total',
    { ...TAIL, reason: 'unknown' },
    { held: true },
  ),
  ...growing(
    'TailracePodsSuppressed',
    'tailrace_kubernetes_suppressed_records_total',
    { ...TAIL, exported_namespace: 'shop' },
    { held: true },
  ),
];

/** The terms of an output's equation, those not given 0. */
function books(given: Readonly<Record<string, number>>): Record<string, string> {
  const counters = ['enqueued', 'recovered', 'delivered', 'dead_lettered', 'handed_over'];
  return {
    ...Object.fromEntries(
      counters.map((term) => [
        `tailrace_output_${term}_records_total{name="es.0"}`,
        `${given[term] ?? 0}x40`,
      ]),
    ),
    'tailrace_output_buffered_records{name="es.0"}': `${given['buffered'] ?? 0}x40`,
  };
}

/** A rule of the chart, as rendered. */
export interface AlertRule {
  alert: string;
  expr: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
}

const AGENT: Readonly<Record<string, string>> = { job: 'logs', namespace: 'logging', pod: 'logs-tailrace-x' };

function series(name: string): string {
  // What kube-state-metrics tells is of no pod of ours.
  const own = name.startsWith('kube_') ? { namespace: 'logging' } : AGENT;
  const [metric = '', labels = ''] = name.replace('}', '').split('{');
  const all = Object.entries(own).map(([key, value]) => `${key}="${value}"`);
  return `${metric}{${[...all, ...(labels === '' ? [] : [labels])].join(',')}}`;
}

/** The labels that an alert has when it fires: those of its series, or what it sums by, and its own. */
function expected(rule: AlertRule, more: Readonly<Record<string, string>>): Record<string, string> {
  const { job, namespace, pod } = AGENT as { job: string; namespace: string; pod: string };
  const ofAgent = rule.expr.startsWith('kube_')
    ? { namespace }
    : { namespace, pod, ...(rule.expr.includes('sum by') ? {} : { job }) };
  const all: Record<string, string> = { ...ofAgent, ...more, ...rule.labels };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

/** What `promtool test rules` reads, of the rules without their annotations, which it would want to see word for word. */
export function promtoolTests(rules: readonly AlertRule[], file: string): object {
  return {
    rule_files: [file],
    evaluation_interval: '1m',
    tests: ALERT_CASES.map(({ alert, about, series: given, at, fires }) => {
      const rule = rules.find((each) => each.alert === alert);
      if (rule === undefined) throw new Error(`There is no alert ${alert}.`);
      return {
        name: `${alert}: ${about}`,
        interval: '1m',
        input_series: Object.entries(given).map(([name, values]) => ({ series: series(name), values })),
        alert_rule_test: [
          {
            eval_time: at,
            alertname: alert,
            exp_alerts: fires.map((labels) => ({ exp_labels: expected(rule, labels) })),
          },
        ],
      };
    }),
  };
}
