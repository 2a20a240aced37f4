/** What is left out of the log of a container: what pod and administrator say, each record for the first reason that holds. */
import type { Batch } from '../../../src/plugin.ts';
import { isExcluded, streamPolicy } from '../../shared/kubernetes/enrich.ts';
import type { ContainerPolicy, StreamPolicy } from '../../shared/kubernetes/policy.ts';
import { Quota } from './quota.ts';
import { isSampled } from './sample.ts';

/** As in the ledger. */
export type LeftOut = 'pod_excluded' | 'pod_sampled' | 'pod_rate_limit';

/** A limit that a pod sets itself allows this many seconds of records at once. */
const BURST_SECONDS = 10;

export class LeavingOut {
  /** Of the pod, as the administrator wants it. */
  private readonly pod: Quota | undefined;
  private policy: ContainerPolicy | undefined;
  /** By the pod's own wish. */
  private own: Readonly<Record<'stdout' | 'stderr', Quota | undefined>> = NONE;

  constructor(pod: Quota | undefined) {
    this.pod = pod;
  }

  /** The quotas that may have something to report. */
  get quotas(): Iterable<Quota> {
    return new Set([this.pod, this.own.stdout, this.own.stderr].filter((quota) => quota !== undefined));
  }

  /** Takes out of a batch what does not go on; returns how many went, by reason. */
  apply(batch: Batch, policy: ContainerPolicy | undefined): ReadonlyMap<LeftOut, number> | undefined {
    if (policy !== this.policy) this.adopt(policy);
    const { pod } = this;
    if (pod === undefined && (policy === undefined || isOpen(policy))) return undefined;
    const gone = new Map<LeftOut, number>();
    const offsets = batch.starts;
    const now = performance.now();
    batch.retain((index) => {
      const reason =
        (policy && this.byPod(batch, index, policy, batch.base + (offsets[index] as number), now)) ??
        (pod?.take(now) === false ? 'pod_rate_limit' : undefined);
      if (reason !== undefined) gone.set(reason, (gone.get(reason) ?? 0) + 1);
      return reason === undefined;
    });
    return gone;
  }

  private byPod(
    batch: Batch,
    index: number,
    policy: ContainerPolicy,
    offset: number,
    now: number,
  ): LeftOut | undefined {
    if (isExcluded(batch, index, policy)) return 'pod_excluded';
    const stream = streamPolicy(batch, index, policy);
    if (stream.sample !== undefined && !isSampled(offset, stream.sample)) return 'pod_sampled';
    const quota = stream === policy.stderr ? this.own.stderr : this.own.stdout;
    return quota?.take(now) === false ? 'pod_rate_limit' : undefined;
  }

  /** The pod says something else now. */
  private adopt(policy: ContainerPolicy | undefined): void {
    this.policy = policy;
    const { stdout, stderr } = policy ?? {};
    const first = quotaOf(stdout, this.own.stdout);
    this.own = {
      stdout: first,
      // One annotation for both streams is one limit.
      stderr: stderr?.rateLimit === stdout?.rateLimit ? first : quotaOf(stderr, this.own.stderr),
    };
  }
}

const NONE = { stdout: undefined, stderr: undefined };

function isOpen({ stdout, stderr }: ContainerPolicy): boolean {
  return [stdout, stderr].every(
    ({ exclude, sample, rateLimit }) => exclude !== true && sample === undefined && rateLimit === undefined,
  );
}

/** The quota that a stream asks for: the one that it has, where it is the same. */
function quotaOf(stream: StreamPolicy | undefined, known: Quota | undefined): Quota | undefined {
  const rate = stream?.rateLimit;
  if (rate === undefined || rate === known?.limits.rate) return rate === undefined ? undefined : known;
  return new Quota({ rate, burst: Math.max(1, rate * BURST_SECONDS) }, performance.now());
}
