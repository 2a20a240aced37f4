/** What becomes of the records of an attempt: delivered, sent again, or given up; with all that is counted of it. */
import type { Outcome } from '../event/outcome.ts';
import { backoffMs } from './backoff.ts';
import type { DestinationHealth } from './health.ts';
import { moveLeftovers } from './leftover.ts';
import { countRecords, parcelBytes, pick } from './parcel.ts';
import type { Parcel } from './parcel.ts';
import type { QueueOptions } from './queue-options.ts';
import { RepeatLimiter } from '../telemetry/repeats.ts';
import type { WhenSafe } from './undeliverable.ts';
import type { Waiting } from './waiting.ts';

/** A destination that goes on failing for the same reason is told once, then once in a window with how often. */
const FAILING_RULE = { burst: 1, windowMs: 60_000 };

export class Outcomes {
  /** Of the queue; an exchange changes them. */
  options: QueueOptions;
  private readonly waiting: Waiting;
  private readonly health: DestinationHealth;
  /** By reason: what was told of the destination since it last worked. */
  private readonly told = new RepeatLimiter();
  private readonly toldOfParts = new RepeatLimiter();

  constructor(options: QueueOptions, waiting: Waiting, health: DestinationHealth) {
    this.options = options;
    this.waiting = waiting;
    this.health = health;
  }

  /** Settles what an attempt came to. */
  take(parcels: readonly Parcel[], outcome: Outcome): void {
    const { ledger } = this.options;
    const rejected = outcome.rejected ?? [];
    const refused = new Set(rejected.map((rejection) => rejection.index));
    const retry = (outcome.retry ?? []).filter((index) => !refused.has(index)).toSorted((a, b) => a - b);
    const total = countRecords(parcels);
    const back = pick(parcels, retry);
    const bad = pick(
      parcels,
      [...refused].toSorted((a, b) => a - b),
    );
    const now = performance.now();

    // Dead letters are on disk before the records settle (rule 25).
    const buried = bad.length > 0 ? this.options.undeliverable.rejected(parcels, rejected) : undefined;
    const held = [...back, ...bad];
    for (const parcel of parcels) this.settleDelivered(parcel, held, now);
    if (buried !== undefined) this.settleWhen(buried, bad);
    if (total > refused.size + retry.length || refused.size > 0) this.recovered();
    ledger.attempt(retry.length === 0 && refused.size === 0 ? 'ok' : 'partial');
    if (back.length > 0) {
      this.again(
        back,
        outcome.reason ?? 'the destination asked to send some records again',
        outcome.retryAfterMs,
        false,
      );
    }
    this.account();
    this.options.writeMarks();
  }

  /** Settles the records of a parcel that are in none of the `held` ones, as delivered. */
  private settleDelivered(parcel: Parcel, held: readonly Parcel[], now: number): void {
    const { ledger } = this.options;
    const { facts } = parcel.flight.held;
    const latency = (now - facts.arrivedAt) / 1000;
    const kept = held
      .filter((other) => other.flight === parcel.flight && other.from >= parcel.from && other.to <= parcel.to)
      .toSorted((a, b) => a.from - b.from);
    let at = parcel.from;
    for (const { from, to } of [...kept, { from: parcel.to, to: parcel.to }]) {
      if (from > at) {
        const run = { ...parcel, from: at, to: from };
        ledger.delivered.value += from - at;
        ledger.deliveredBytes.value += parcelBytes(run);
        ledger.observe(facts.input, latency, from - at);
        this.settle(run);
      }
      at = to;
    }
  }

  /** Records that are in a parcel are settled. */
  private settle(parcel: Parcel): void {
    this.waiting.forget(parcel);
    parcel.flight.settle(parcel.from, parcel.to);
  }

  /** Records are in nobody's hands here any more; they settle when somebody else has them. */
  private settleWhen(safe: WhenSafe, parcels: readonly Parcel[]): void {
    for (const parcel of parcels) {
      this.waiting.forget(parcel);
      parcel.flight.deferred++;
    }
    safe(() => {
      for (const { flight, from, to } of parcels) {
        flight.deferred--;
        flight.settle(from, to);
      }
    });
  }

  /** Sets the gauges. */
  account(): void {
    const { ledger } = this.options;
    ledger.buffered.value = this.waiting.total;
    ledger.bufferedBytes.value = this.waiting.totalBytes;
  }

  /** Queues parcels again, or gives them up where retry limit or age say so. */
  again(
    parcels: readonly Parcel[],
    reason: string,
    retryAfterMs: number | undefined,
    destinationFailed: boolean,
  ): void {
    const { ledger, maxRetries, maxAgeMs, backoff, undeliverable } = this.options;
    const now = performance.now();
    const kept: Parcel[] = [];
    const tired: Parcel[] = [];
    const old: Parcel[] = [];
    for (const parcel of parcels) {
      if (parcel.attempts >= maxRetries) tired.push(parcel);
      else if (now - parcel.flight.held.facts.arrivedAt > maxAgeMs) old.push(parcel);
      else kept.push({ ...parcel, attempts: parcel.attempts + 1 });
    }
    if (tired.length > 0) ledger.retriesExhausted.value++;
    for (const [given, why] of [
      [tired, 'retry_limit'],
      [old, 'retry_max_age'],
    ] as const) {
      if (given.length === 0) continue;
      this.settleWhen(undeliverable.givenUp(given, why, reason), given);
    }
    const attempts = kept.reduce((most, parcel) => Math.max(most, parcel.attempts), 1);
    let wait = backoffMs(attempts, backoff, retryAfterMs);
    if (destinationFailed) {
      wait = this.health.failed(reason, backoff, retryAfterMs);
      this.tell(reason, wait, countRecords(kept));
    } else if (kept.length > 0) {
      this.tellOfPart(reason, wait, countRecords(kept));
    }
    if (kept.length > 0) {
      ledger.retries.value++;
      ledger.retriedRecords.value += countRecords(kept);
      moveLeftovers(kept, this.options.extract);
      this.waiting.lanes.putBack(kept, destinationFailed ? 0 : now + wait);
    }
    this.account();
    if (kept.length < parcels.length) this.options.writeMarks();
  }

  /** Says that the destination fails: at once when that or its reason is new, then once in a while. */
  private tell(reason: string, wait: number, records: number): void {
    const { log } = this.options;
    const { failures } = this.health;
    this.told.offer(reason, FAILING_RULE, (repeated) => {
      log.warn(
        {
          error: reason,
          failures,
          ...(repeated > 0 ? { repeated: `${repeated} times` } : {}),
          retry_in_ms: Math.round(wait),
          records,
        },
        'The destination failed; its records are sent again',
      );
    });
  }

  /** Says that the destination takes parts only, once in a while. Its words differ from record to record: they are no key. */
  private tellOfPart(reason: string, wait: number, records: number): void {
    const { log } = this.options;
    this.toldOfParts.offer('', FAILING_RULE, (repeated) => {
      log.warn(
        {
          error: reason,
          ...(repeated > 0 ? { repeated: `${repeated} times` } : {}),
          retry_in_ms: Math.round(wait),
          records,
        },
        'The destination took a part; the other records are sent again',
      );
    });
  }

  /** Something was delivered. */
  recovered(): void {
    const failures = this.health.worked();
    if (failures === 0) return;
    this.told.clear();
    this.options.log.info({ failures }, 'The destination works again');
  }
}
