/** What is counted and said of the connection to the API server. Clear lines at a limited rate: what is wrong, what to do. */
import type { Logger, Metrics } from '../../../../src/plugin.ts';
import { Rarely } from '../../rarely.ts';
import type { ApiFailure, FailureReason } from './failure.ts';

type Series = ReturnType<ReturnType<Metrics['counter']>['labels']>;
/** What was being done when it failed. */
export type Doing = 'watching pods' | 'asking for a pod' | 'asking the kubelet' | 'asking for a namespace';
export type RequestKind = 'list' | 'watch' | 'pod' | 'namespace' | 'kubelet';

export class ApiTelemetry {
  readonly pods: Series;
  readonly deletedPods: Series;
  readonly connected: Series;
  private readonly metrics: Metrics;
  private readonly log: Logger;
  private readonly server: string;
  private readonly main: Doing;
  private readonly told = new Map<FailureReason, Rarely>();
  /** What does not work now. */
  private readonly failing = new Set<Doing>();

  /** `main`: what {@link connected} is about. */
  constructor(metrics: Metrics, log: Logger, server: string, main: Doing) {
    this.main = main;
    this.metrics = metrics;
    this.log = log;
    this.server = server;
    const pods = metrics.gauge('tailrace_kubernetes_pods', 'Pods that are known.');
    this.pods = pods.labels({ server, state: 'live' });
    this.deletedPods = pods.labels({ server, state: 'deleted' });
    this.connected = metrics
      .gauge('tailrace_kubernetes_connected', '1 while the API server, or the kubelet, answers.')
      .labels({ server });
  }

  request(request: RequestKind): void {
    this.metrics
      .counter('tailrace_kubernetes_requests_total', 'Requests to the API server and the kubelet.')
      .labels({ server: this.server, request }).value++;
  }

  change(type: string): void {
    this.metrics
      .counter('tailrace_kubernetes_watch_events_total', 'Changes that the watch brought.')
      .labels({ server: this.server, type }).value++;
  }

  /** `start`, or why the watch could not just go on. */
  listed(reason: 'start' | 'gone' | 'error'): void {
    this.metrics
      .counter('tailrace_kubernetes_lists_total', 'Lists of pods, which begin a watch.')
      .labels({ server: this.server, reason }).value++;
  }

  received(bytes: number): void {
    this.metrics
      .counter('tailrace_kubernetes_received_bytes_total', 'Bytes of answers.')
      .labels({ server: this.server }).value += bytes;
  }

  failed(failure: ApiFailure, doing: Doing): void {
    const { reason, message } = failure;
    this.metrics
      .counter('tailrace_kubernetes_errors_total', 'Requests that failed, by reason.')
      .labels({ server: this.server, reason }).value++;
    if (reason === 'gone' || reason === 'not_found') return;
    this.failing.add(doing);
    if (doing === this.main) this.connected.value = 0;
    const rarely = this.told.get(reason) ?? new Rarely();
    this.told.set(reason, rarely);
    const times = rarely.happened();
    if (times > 0)
      this.log.warn(
        { doing, problem: message, times },
        'Kubernetes does not say what is asked; records go on, without what is not known, and it is tried again',
      );
  }

  succeeded(doing: Doing): void {
    if (doing === this.main) this.connected.value = 1;
    if (this.failing.delete(doing) && this.failing.size === 0)
      this.log.info({ server: this.server }, 'Kubernetes answers again');
  }

  close(): void {
    for (const series of [this.pods, this.deletedPods, this.connected]) series.value = 0;
  }
}
