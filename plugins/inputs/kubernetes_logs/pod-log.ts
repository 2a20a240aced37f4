/**
 * The log of one container: held back until its pod is known, then without what the pod or the administrator leave out, and with the
 * metadata.
 */
import { Batch } from '../../../src/plugin.ts';
import type { LogRecord } from '../../../src/plugin.ts';
import { query } from '../../shared/kubernetes/containers.ts';
import type { Prepared } from '../../shared/kubernetes/containers.ts';
import { enrich } from '../../shared/kubernetes/enrich.ts';
import type { ContainerLog } from '../../shared/kubernetes/log-path.ts';
import type { Attendant } from '../../shared/tail/attendants.ts';
import type { FileFormat } from '../../shared/tail/line-reader.ts';
import { LeavingOut } from './leave-out.ts';
import type { PodLogParts } from './parts.ts';
import type { Suppressed } from './quota.ts';

/** Between two reports of what a quota left out, milliseconds. */
const REPORT_MS = 10_000;

export class PodLog implements Attendant {
  readonly ready: Promise<void> | undefined;
  private readonly parts: PodLogParts;
  private readonly path: string;
  private readonly about: { namespace: string; pod: string; container: string };
  private readonly leaving: LeavingOut;
  private readonly releases: (() => void)[] = [];
  private prepared: Prepared;

  constructor(path: string, log: ContainerLog, parts: PodLogParts) {
    const { containers, directory, quotas } = parts;
    const { namespace, pod, container } = log;
    this.path = path;
    this.parts = parts;
    this.about = { namespace, pod, container };
    const hold = directory.retain(query(log));
    const quota = quotas.of(query(log));
    this.releases.push(
      () => hold.release(),
      () => quota?.release(),
    );
    this.leaving = new LeavingOut(quota?.quota);
    this.prepared = { names: log, fields: [], policy: undefined, missing: 'unknown' };
    const known = containers.of(path);
    if (known instanceof Promise) {
      this.ready = known.then((prepared) => {
        this.prepared = prepared;
      });
    } else if (known !== undefined) this.prepared = known;
  }

  /** Where the pod says how its records begin. */
  format(): FileFormat | undefined {
    const { policy } = this.current();
    return policy && this.parts.firstLines.of(policy);
  }

  process(batch: Batch): void {
    const { merger, without, context } = this.parts;
    const prepared = this.current();
    const gone = this.leaving.apply(batch, prepared.policy);
    for (const [reason, records] of gone ?? []) {
      context.drop(reason, records);
      if (reason === 'pod_rate_limit') this.parts.count(this.about.namespace, records);
    }
    for (let index = 0; index < batch.length; index++) enrich(batch, index, merger, prepared);
    if (prepared.missing !== undefined) without.mark(batch, prepared.missing, this.about);
  }

  /** What is known now; as before, where it would have to be asked for, or is known no more: without its link a log says less. */
  private current(): Prepared {
    const known = this.parts.containers.of(this.path);
    if (known === undefined || known instanceof Promise) return this.prepared;
    if (known.missing === undefined || this.prepared.missing !== undefined) this.prepared = known;
    return this.prepared;
  }

  speak(): Promise<void> | undefined {
    return this.report(REPORT_MS);
  }

  /** Says what its quotas left out: in the pod's own log, and in ours. */
  private report(interval: number): Promise<void> | undefined {
    let room: Promise<void> | undefined;
    for (const quota of this.leaving.quotas) {
      const suppressed = quota.report(performance.now(), interval);
      if (suppressed === undefined) continue;
      const seconds = Math.round(suppressed.seconds * 1000) / 1000;
      this.parts.context.log.warn(
        { ...this.about, records: suppressed.records, seconds, limit: suppressed.rate },
        'A pod is over its rate limit; records of it were left out',
      );
      room = this.hand({ ...suppressed, seconds });
    }
    return room;
  }

  private hand({ records, seconds, rate }: Suppressed): Promise<void> | undefined {
    const record: LogRecord = {
      log: `tailrace: ${records} records of this pod were left out within ${seconds} s: it is over its limit of ${rate} a second`,
      suppressed: { records, seconds, limit: rate },
    };
    const batch = new Batch();
    const now = Date.now();
    batch.push(record, undefined, Math.floor(now / 1000), (now % 1000) * 1_000_000);
    enrich(batch, 0, undefined, this.prepared);
    return this.parts.emit(this.path, batch);
  }

  close(): void {
    void this.report(0);
    for (const release of this.releases) release();
  }
}
