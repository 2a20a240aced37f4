/** The registry: which plugins there are and how each is loaded. Nothing is imported before it is named. */
import type { LaterPlugin, PluginDefinition, PluginRegistry } from '../src/plugin.ts';

type Kind = PluginDefinition['kind'];
type Loader = () => Promise<{ default: PluginDefinition }>;

const PLUGINS: Readonly<Record<Kind, Readonly<Record<string, Loader>>>> = {
  input: {
    tail: () => import('./inputs/tail.ts'),
    stdin: () => import('./inputs/stdin.ts'),
    dummy: () => import('./inputs/dummy.ts'),
    http: () => import('./inputs/http.ts'),
    opentelemetry: () => import('./inputs/opentelemetry.ts'),
    forward: () => import('./inputs/forward.ts'),
    splunk: () => import('./inputs/splunk.ts'),
    elasticsearch: () => import('./inputs/elasticsearch.ts'),
    kafka: () => import('./inputs/kafka.ts'),
    systemd: () => import('./inputs/systemd.ts'),
    kubernetes_events: () => import('./inputs/kubernetes_events.ts'),
    docker_logs: () => import('./inputs/docker_logs.ts'),
    kubernetes_logs: () => import('./inputs/kubernetes_logs.ts'),
    syslog: () => import('./inputs/syslog.ts'),
    exec: () => import('./inputs/exec.ts'),
    kmsg: () => import('./inputs/kmsg.ts'),
    tcp: () => import('./inputs/tcp.ts'),
    udp: () => import('./inputs/udp.ts'),
    unix_socket: () => import('./inputs/unix_socket.ts'),
  },
  filter: {
    grep: () => import('./filters/grep.ts'),
    modify: () => import('./filters/modify.ts'),
    record_modifier: () => import('./filters/record_modifier.ts'),
    parser: () => import('./filters/parser.ts'),
    kubernetes: () => import('./filters/kubernetes.ts'),
  },
  output: {
    stdout: () => import('./outputs/stdout.ts'),
    file: () => import('./outputs/file.ts'),
    null: () => import('./outputs/null.ts'),
    http: () => import('./outputs/http.ts'),
    opentelemetry: () => import('./outputs/opentelemetry.ts'),
    elasticsearch: () => import('./outputs/elasticsearch.ts'),
    es: () => import('./outputs/elasticsearch.ts'),
    opensearch: () => import('./outputs/opensearch.ts'),
    loki: () => import('./outputs/loki.ts'),
    splunk: () => import('./outputs/splunk.ts'),
    s3: () => import('./outputs/s3.ts'),
    syslog: () => import('./outputs/syslog.ts'),
    tcp: () => import('./outputs/tcp.ts'),
    udp: () => import('./outputs/udp.ts'),
    gelf: () => import('./outputs/gelf.ts'),
    forward: () => import('./outputs/forward.ts'),
    cloudwatch_logs: () => import('./outputs/cloudwatch_logs.ts'),
    kafka: () => import('./outputs/kafka.ts'),
  },
  parser: {
    json: () => import('./parsers/json.ts'),
    regex: () => import('./parsers/regex.ts'),
    logfmt: () => import('./parsers/logfmt.ts'),
    ltsv: () => import('./parsers/ltsv.ts'),
    syslog: () => import('./parsers/syslog.ts'),
  },
};

const named = (names: string): LaterPlugin[] => names.split(' ').map((name) => ({ name }));

/** Plugins of Fluent Bit 5.1 that are not there yet. */
const LATER: Readonly<Record<Kind, readonly LaterPlugin[]>> = {
  input: [
    { name: 'prometheus_remote_write', port: 8080 },
    { name: 'statsd', port: 8125, udp: true },
    { name: 'mqtt', port: 1883 },
    { name: 'collectd', port: 25_826, udp: true },
    { name: 'docker', hint: 'it reads metrics of containers; their logs are read by docker_logs' },
    ...named(
      'blob cpu disk docker_events event_type exec_wasi fluentbit_logs fluentbit_metrics gpu_metrics head health lib mem netif nginx_metrics node_exporter_metrics podman_metrics proc process_exporter_metrics prometheus_scrape prometheus_textfile random serial thermal',
    ),
  ],
  filter: named(
    'alter_size aws checklist ecs expect geoip2 log_to_metrics lua multiline nest nightfall rewrite_tag stdout sysinfo tensorflow throttle throttle_size type_converter wasm',
  ),
  output: named(
    'azure azure_blob azure_kusto azure_logs_ingestion bigquery chronicle counter datadog exit flowcounter gcs influxdb kafka-rest kinesis_firehose kinesis_streams lib logdna nats nrlogs oracle_log_analytics pgsql plot prometheus_exporter prometheus_remote_write skywalking slack stackdriver td vivo_exporter websocket',
  ),
  parser: [],
};

export const registry: PluginRegistry = {
  async load(kind, name) {
    const plugins = PLUGINS[kind];
    return Object.hasOwn(plugins, name) ? (await plugins[name]?.())?.default : undefined;
  },
  names: (kind) => Object.keys(PLUGINS[kind]),
  later: (kind) => LATER[kind],
  stockParsers: async () => (await import('./parsers/stock.ts')).stockParsers,
};
