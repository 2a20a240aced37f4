/** The input: follows the logs of a node's containers, with somebody for each who knows the pod. */
import type { Emit, Input, InputContext } from '../../../src/plugin.ts';
import { readContainerLog } from '../../shared/kubernetes/log-path.ts';
import type { Attendant } from '../../shared/tail/attendants.ts';
import { TailInput } from '../../shared/tail/tail.ts';
import type { TailOptions } from '../../shared/tail/tail.ts';
import type { PodLogMetadata, PodLogParts } from './parts.ts';
import { PodLog } from './pod-log.ts';
import type { QuotaLimits } from './quota.ts';
import { PodQuotas } from './quotas.ts';

/** Namespaces with a series of their own; those that come later share one. */
const MAX_NAMESPACES = 500;
const OTHER = '(other)';

export class KubernetesLogs implements Input {
  readonly finite: boolean;
  private readonly tail: TailInput;
  private readonly parts: PodLogParts;
  private readonly counted = new Set<string>();
  private emit: Emit = () => undefined;

  /** `limits`: of each pod. */
  constructor(
    options: TailOptions,
    { limits, ...metadata }: PodLogMetadata & { limits: QuotaLimits | undefined },
    context: InputContext,
  ) {
    const suppressed = context.metrics.counter(
      'tailrace_kubernetes_suppressed_records_total',
      'Records that the rate limit of a pod left out, by namespace; of more than 500, the others share a series.',
    );
    this.parts = {
      ...metadata,
      quotas: new PodQuotas(limits),
      context,
      emit: (path, batch) => this.emit(options.tagOf(path) ?? context.tag, batch),
      count: (namespace, records) => {
        if (this.counted.size < MAX_NAMESPACES) this.counted.add(namespace);
        const shown = this.counted.has(namespace) ? namespace : OTHER;
        suppressed.labels({ name: context.name, namespace: shown }).value += records;
      },
    };
    this.finite = options.exitOnEof;
    this.tail = new TailInput({ ...options, attend: (path) => this.attend(path) }, context);
  }

  private attend(path: string): Attendant | undefined {
    const log = readContainerLog(path);
    return log === undefined ? undefined : new PodLog(path, log, this.parts);
  }

  start(emit: Emit): Promise<void> {
    this.emit = emit;
    return this.tail.start(emit);
  }

  lag(): ReturnType<TailInput['lag']> {
    return this.tail.lag();
  }

  stop(over?: AbortSignal): Promise<void> {
    return this.tail.stop(over);
  }

  async close(): Promise<void> {
    await this.tail.close();
    this.parts.containers.close();
    await this.parts.directory.close();
  }
}
