/** The attempts of a gathering queue: which object is next, and what comes of an attempt. */
import { RetryableError } from '../../event/outcome.ts';
import type { Outcome } from '../../event/outcome.ts';
import { mainLoop } from '../../telemetry/heartbeat.ts';
import { AbandonedError, Attempt } from '../attempt.ts';
import { backoffMs } from '../backoff.ts';
import { DestinationHealth } from '../health.ts';
import { fits } from '../outcome-check.ts';
import type { GatheringOptions } from './options.ts';
import { ObjectReader } from './reader.ts';
import type { Settlement } from './settlement.ts';
import type { StagedObject } from './staged-object.ts';

export class Uploads {
  readonly health = new DestinationHealth();
  private readonly settlement: Settlement;
  private readonly attempts = new Map<StagedObject, { attempt: Attempt; work: Promise<void> }>();
  /** Of the main loop, while the output works. */
  private readonly mark: number;

  constructor(settlement: Settlement) {
    this.settlement = settlement;
    this.mark = mainLoop.stage(`output ${settlement.options.name}`);
  }

  private get options(): GatheringOptions {
    return this.settlement.options;
  }

  /**
   * The object that may be sent now: one that failed less often comes first, and within a group the first. Without one, the milliseconds until
   * there may be one.
   */
  next(closed: readonly StagedObject[], now: number): { object: StagedObject | undefined; inMs: number } {
    const { order, workers } = this.options;
    const nothing = { object: undefined, inMs: Number.POSITIVE_INFINITY };
    // While the destination fails, one probing attempt at a time (rule 24).
    if (this.attempts.size >= (this.health.failures > 0 ? 1 : workers)) return nothing;
    const blocked = new Set<string>();
    let best: StagedObject | undefined;
    let inMs = Number.POSITIVE_INFINITY;
    for (const object of closed) {
      const key = order === 'all' ? '' : object.group;
      if (order !== 'none' && blocked.has(key)) continue;
      blocked.add(key);
      if (object.plan === undefined || object.busy) continue;
      const rest = Math.max(object.notBefore, this.health.pausedUntil) - now;
      if (rest > 0) inMs = Math.min(inMs, rest);
      else if (best === undefined || object.attempts < best.attempts) best = object;
    }
    return { object: best, inMs };
  }

  /** Sends an object; calls back when that is over. */
  start(object: StagedObject, onOver: () => void): void {
    const { gather, charge, afterAttempt } = this.options;
    const attempt = new Attempt([]);
    object.busy = true;
    object.firstTriedAt ||= performance.now();
    charge(gather.memory);
    const work = this.send(object, attempt).finally(() => {
      object.busy = false;
      this.attempts.delete(object);
      charge(-gather.memory);
      afterAttempt();
      onOver();
    });
    this.attempts.set(object, { attempt, work });
  }

  /** Sees an object through an attempt. Never rejects. */
  private async send(object: StagedObject, attempt: Attempt): Promise<void> {
    const { ledger, output, attemptTimeoutMs, log } = this.options;
    const reader = new ObjectReader(object, attempt, (entry) =>
      this.settlement.lose(object, entry, 'damaged'),
    );
    const { plan, records, bytes, retried } = object;
    try {
      const outcome = await attempt.run(
        async (signal) => {
          if (plan === undefined) throw new Error('The object has no plan.');
          return output.upload({ plan, records, bytes, retried, slices: () => reader.slices() }, signal);
        },
        attemptTimeoutMs,
        this.mark,
      );
      const rejected = takenOf(outcome, reader);
      await this.settlement.delivered(object, reader, rejected);
      ledger.attempt(rejected.length === 0 ? 'ok' : 'partial');
    } catch (error) {
      object.retried = true;
      if (error instanceof AbandonedError) reader.taint();
      await this.failed(object, error, attempt);
      return;
    }
    const failures = this.health.worked();
    if (failures > 0) log.info({ failures }, 'The destination works again');
  }

  private async failed(object: StagedObject, error: unknown, attempt: Attempt): Promise<void> {
    const { ledger, log, backoff, maxRetries, maxAgeMs } = this.options;
    if (attempt.aborted) {
      ledger.attempt('aborted');
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    const isFault = error instanceof RetryableError;
    ledger.attempt(isFault ? 'failed' : 'defect');
    const wait = this.health.failed(reason, backoff, isFault ? error.retryAfterMs : undefined);
    const tired = object.attempts >= maxRetries;
    if (tired || performance.now() - object.newestAt > maxAgeMs) {
      if (tired) ledger.retriesExhausted.value++;
      try {
        await this.settlement.giveUp(object, tired ? 'retry_limit' : 'retry_max_age', reason);
      } catch (cause) {
        log.warn({ error: cause }, 'An object cannot be given up yet; it is tried again');
      }
      return;
    }
    object.attempts++;
    object.notBefore =
      performance.now() + backoffMs(object.attempts, backoff, isFault ? error.retryAfterMs : undefined);
    ledger.retries.value++;
    ledger.retriedRecords.value += object.records;
    log.warn(
      {
        error: reason,
        failures: this.health.failures,
        retry_in_ms: Math.round(wait),
        records: object.records,
        object: object.plan?.key,
      },
      'The destination failed; its object is sent again',
    );
  }

  /** Forgets the waits that failures left. */
  hasten(closed: readonly StagedObject[]): void {
    this.health.pausedUntil = 0;
    for (const object of closed) object.notBefore = 0;
  }

  /** Monotonic milliseconds at which the attempt that has gone forward least lately did so. */
  get movedAt(): number | undefined {
    let since: number | undefined;
    for (const { attempt } of this.attempts.values())
      since = Math.min(since ?? attempt.movedAt, attempt.movedAt);
    return since;
  }

  /** Records in attempts that are not over, and in no manifest. */
  get inDoubt(): number {
    let records = 0;
    for (const object of this.attempts.keys()) if (!object.bound) records += object.records;
    return records;
  }

  /** Resolves when those under way are over. */
  async over(): Promise<void> {
    await Promise.all([...this.attempts.values()].map(({ work }) => work));
  }

  abort(): void {
    for (const { attempt } of this.attempts.values()) attempt.abort();
  }
}

/** What the output rejects. Throws when it was not told of the whole object, or speaks of records that it was not given. */
function takenOf(outcome: Outcome, reader: ObjectReader): NonNullable<Outcome['rejected']> {
  if (outcome.retry !== undefined && outcome.retry.length > 0) {
    throw new RetryableError(outcome.reason ?? 'the destination asked to send the object again', {
      retryAfterMs: outcome.retryAfterMs,
    });
  }
  if (!reader.whole)
    throw new Error('The output says that it sent an object that it has not read to its end.');
  if (!fits(outcome, reader.records))
    throw new Error('The output answered for records that it was not given.');
  return outcome.rejected ?? [];
}
