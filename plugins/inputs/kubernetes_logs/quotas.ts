/** The quota of each pod: all of its containers share it, and it is kept for as long as one of them is read. */
import type { PodQuery } from '../../shared/kubernetes/pods.ts';
import { Quota } from './quota.ts';
import type { QuotaLimits } from './quota.ts';

interface Shared {
  quota: Quota;
  users: number;
}

export class PodQuotas {
  private readonly limits: QuotaLimits | undefined;
  private readonly quotas = new Map<string, Shared>();

  constructor(limits: QuotaLimits | undefined) {
    this.limits = limits;
  }

  /** The pod's quota; undefined where none is set. To be released by every user. */
  of({ namespace, name, uid = '' }: PodQuery): { quota: Quota; release(): void } | undefined {
    if (this.limits === undefined) return undefined;
    const key = `${namespace}/${name}/${uid}`;
    const shared = this.quotas.get(key) ?? { quota: new Quota(this.limits, performance.now()), users: 0 };
    this.quotas.set(key, shared);
    shared.users++;
    return {
      quota: shared.quota,
      release: () => {
        if (--shared.users === 0) this.quotas.delete(key);
      },
    };
  }
}
