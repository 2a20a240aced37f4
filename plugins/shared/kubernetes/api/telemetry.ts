/** What is counted and said of a connection to the API server. Clear lines at a limited rate: what is wrong, what to do. */
import type { Logger, Metrics } from '../../../../src/plugin.ts';
import { Rarely } from '../../rarely.ts';
import type { ApiFailure, FailureReason } from './failure.ts';

type Series = ReturnType<ReturnType<Metrics['counter']>['labels']>;

/** What was being done when it failed. */
export type Doing =
  | 'watching pods'
  | 'asking for a pod'
  | 'asking the kubelet'
  | 'asking for a namespace'
  | 'reading events';
export type RequestKind = 'list' | 'watch' | 'pod' | 'namespace' | 'kubelet';

export interface TelemetryOptions {
  metrics: Metrics;
  log: Logger;
  /** Host and port. */
  server: string;
  /** What {@link ApiTelemetry.connected} is about. */
  main: Doing;
  /** `pods`, or the name of an input. */
  name: string;
  /** The sentence of a failure, and what becomes of records. */
  sentence: string;
}

/** Whose state a gauge shows, where several have a series: that of the newest, which a reload opens before it closes the old one. */
const shown = new WeakMap<Series, ApiTelemetry>();

export class ApiTelemetry {
  private readonly options: TelemetryOptions;
  private readonly labels: { server: string; name: string };
  private readonly connected: Series;
  private readonly told = new Map<FailureReason, Rarely>();
  /** What does not work now. */
  private readonly failing = new Set<Doing>();

  constructor(options: TelemetryOptions) {
    const { metrics, server, name } = options;
    this.options = options;
    this.labels = { server, name };
    this.connected = metrics
      .gauge('tailrace_kubernetes_connected', '1 while the API server, or the kubelet, answers.')
      .labels(this.labels);
    shown.set(this.connected, this);
  }

  private get isShown(): boolean {
    return shown.get(this.connected) === this;
  }

  /** How many pods are known. */
  pods(live: number, deleted: number): void {
    if (!this.isShown) return;
    const pods = this.options.metrics.gauge('tailrace_kubernetes_pods', 'Pods that are known.');
    pods.labels({ ...this.labels, state: 'live' }).value = live;
    pods.labels({ ...this.labels, state: 'deleted' }).value = deleted;
  }

  request(request: RequestKind): void {
    this.options.metrics
      .counter('tailrace_kubernetes_requests_total', 'Requests to the API server and the kubelet.')
      .labels({ ...this.labels, request }).value++;
  }

  change(type: string): void {
    this.options.metrics
      .counter('tailrace_kubernetes_watch_events_total', 'Changes that the watch brought.')
      .labels({ ...this.labels, type }).value++;
  }

  /** `start`, or why the watch could not just go on. */
  listed(reason: 'start' | 'gone' | 'error'): void {
    this.options.metrics
      .counter('tailrace_kubernetes_lists_total', 'Lists, which begin a watch.')
      .labels({ ...this.labels, reason }).value++;
  }

  received(bytes: number): void {
    this.options.metrics
      .counter('tailrace_kubernetes_received_bytes_total', 'Bytes of answers.')
      .labels(this.labels).value += bytes;
  }

  failed(failure: ApiFailure, doing: Doing): void {
    const { metrics, log, main, sentence } = this.options;
    const { reason, message } = failure;
    metrics
      .counter('tailrace_kubernetes_errors_total', 'Requests that failed, by reason.')
      .labels({ ...this.labels, reason }).value++;
    if (reason === 'gone' || reason === 'not_found') return;
    this.failing.add(doing);
    if (doing === main && this.isShown) this.connected.value = 0;
    const rarely = this.told.get(reason) ?? new Rarely();
    this.told.set(reason, rarely);
    const times = rarely.happened();
    if (times > 0) log.warn({ doing, problem: message, times }, sentence);
  }

  succeeded(doing: Doing): void {
    if (doing === this.options.main && this.isShown) this.connected.value = 1;
    if (this.failing.delete(doing) && this.failing.size === 0)
      this.options.log.info({ server: this.labels.server }, 'Kubernetes answers again');
  }

  close(): void {
    if (this.isShown) this.connected.value = 0;
  }
}
