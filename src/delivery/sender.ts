/** Sends parcels in one attempt and, where the destination or the plugin takes offence at some record, in halves of it (rules 20, 21). */
import { Slice } from '../event/chunk.ts';
import { RetryableError, SplitError } from '../event/outcome.ts';
import type { Outcome } from '../event/outcome.ts';
import { mainLoop } from '../telemetry/heartbeat.ts';
import { AbandonedError } from './attempt.ts';
import type { Attempt } from './attempt.ts';
import { Halving } from './halving.ts';
import type { Refused } from './halving.ts';
import { fits } from './outcome-check.ts';
import type { Outcomes } from './outcomes.ts';
import { countRecords, cut } from './parcel.ts';
import type { Parcel } from './parcel.ts';
import type { QueueOptions } from './queue-options.ts';
import type { Waiting } from './waiting.ts';

export class Sender {
  private readonly outcomes: Outcomes;
  private readonly waiting: Waiting;
  /** Of the main loop, while the output works. */
  private readonly mark: number;

  constructor(outcomes: Outcomes, waiting: Waiting) {
    this.outcomes = outcomes;
    this.waiting = waiting;
    this.mark = mainLoop.stage(`output ${outcomes.options.name}`);
  }

  private get options(): QueueOptions {
    return this.outcomes.options;
  }

  /** Sees parcels through an attempt. Never rejects. */
  async send(parcels: readonly Parcel[], attempt: Attempt): Promise<void> {
    const halving = new Halving();
    await this.deliver(parcels, attempt, halving);
    this.conclude(halving);
  }

  private async deliver(parcels: readonly Parcel[], attempt: Attempt, halving: Halving): Promise<void> {
    const { output, ledger, attemptTimeoutMs } = this.options;
    const slices = parcels.map((parcel) => new Slice(parcel.flight.chunk, parcel.from, parcel.to));
    const now = performance.now();
    for (const parcel of parcels) parcel.firstTriedAt ||= now;
    let outcome: Outcome;
    try {
      outcome = await attempt.run((signal) => output.deliver(slices, signal), attemptTimeoutMs, this.mark);
    } catch (error) {
      await this.failed(parcels, error, attempt, halving);
      return;
    }
    if (!fits(outcome, countRecords(parcels))) {
      this.options.log.error(
        { records: countRecords(parcels) },
        'The output answered for records that it was not given; all are sent again',
      );
      ledger.attempt('defect');
      this.outcomes.again(parcels, 'the output answered for records that it was not given', undefined, true);
      return;
    }
    halving.accepted +=
      countRecords(parcels) - (outcome.retry?.length ?? 0) - (outcome.rejected?.length ?? 0);
    this.outcomes.take(parcels, outcome);
    if (halving.accepted > 0) this.conclude(halving);
  }

  private async failed(
    parcels: readonly Parcel[],
    error: unknown,
    attempt: Attempt,
    halving: Halving,
  ): Promise<void> {
    const { ledger, log } = this.options;
    if (attempt.aborted) {
      ledger.attempt('aborted');
      this.waiting.lanes.putBack(parcels, 0);
      return;
    }
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof RetryableError) {
      ledger.attempt('failed');
      if (error instanceof AbandonedError) for (const { flight } of parcels) flight.held.taint();
      this.outcomes.again(parcels, reason, error.retryAfterMs, true);
      return;
    }
    // The destination refuses the whole, or the plugin fell over something in it: halve until the record is found (rules 20, 21).
    const records = countRecords(parcels);
    const refused = error instanceof SplitError;
    ledger.attempt(refused ? 'refused' : 'defect');
    if (records > 1) {
      log.debug({ records, reason }, 'The attempt is halved to find the record that does not pass');
      const [head, tail] = cut(parcels, records >> 1);
      await this.deliver(head, attempt, halving);
      if (halving.isDestinationFault) halving.untried.push(...tail);
      else await this.deliver(tail, attempt, halving);
      return;
    }
    if (!refused) {
      this.outcomes.take(parcels, { rejected: [{ index: 0, reason: `plugin_error: ${reason}` }] });
      return;
    }
    const { status } = error;
    const [parcel] = parcels as [Parcel];
    halving.refuse({ parcel, rejection: { index: 0, reason, ...(status === undefined ? {} : { status }) } });
    if (halving.accepted > 0) this.conclude(halving);
  }

  /** What was refused record by record becomes dead letters, unless the destination takes nothing at all (rule 21). */
  private conclude(halving: Halving): void {
    const fault = halving.isDestinationFault;
    const refused = halving.takeRefused();
    if (fault) {
      const { reason } = (refused.at(-1) as Refused).rejection;
      this.outcomes.again(
        [...refused.map(({ parcel }) => parcel), ...halving.untried],
        `it refuses every single record: ${reason}`,
        undefined,
        true,
      );
      return;
    }
    for (const { parcel, rejection } of refused) this.outcomes.take([parcel], { rejected: [rejection] });
  }
}
