/** Where records go that a destination will never take, or that are sent no more: to another output, else to the dead letters. */
import { Slice } from '../event/chunk.ts';
import type { Rejection } from '../event/outcome.ts';
import type { Logger } from '../telemetry/log.ts';
import type { DeadLetter, DeadLetters } from './dead-letters.ts';
import type { OutputLedger } from './ledger.ts';
import { countRecords, pick } from './parcel.ts';
import type { Parcel } from './parcel.ts';

export interface UndeliverableOptions {
  /** Name of the output. */
  name: string;
  ledger: OutputLedger;
  log: Logger;
  deadLetters: Pick<DeadLetters, 'write'> | undefined;
  /** Hands records to the `on_failure` output. Never waits. Undefined when that is not there. */
  handOver: ((parcels: readonly Parcel[]) => WhenSafe | undefined) | undefined;
}

/** Calls back when records may be forgotten. */
export type WhenSafe = (callback: () => void) => void;

const AT_ONCE: WhenSafe = (callback) => callback();

export class Undeliverable {
  private readonly options: UndeliverableOptions;

  constructor(options: UndeliverableOptions) {
    this.options = options;
  }

  /** The destination refuses records; indexes count through the parcels. On return they are accounted for; they settle when it says so. */
  rejected(parcels: readonly Parcel[], rejections: readonly Rejection[]): WhenSafe {
    const seen = new Set<number>();
    const bad: Parcel[] = [];
    const letters: DeadLetter[] = [];
    for (const { index, status, reason } of rejections) {
      if (seen.has(index)) continue;
      seen.add(index);
      const [parcel] = pick(parcels, [index]);
      if (parcel === undefined) continue;
      bad.push(parcel);
      letters.push(letterOf(parcel, parcel.from, status, reason));
    }
    const [first] = rejections;
    this.options.log.warn(
      { records: letters.length, status: first?.status, reason: first?.reason },
      'The destination does not take some records',
    );
    return this.place(bad, letters, 'rejected');
  }

  /** Records are sent no more, though the destination might take them. On return they are accounted for; they settle when it says so. */
  givenUp(parcels: readonly Parcel[], why: 'retry_limit' | 'retry_max_age', reason: string): WhenSafe {
    const letters: DeadLetter[] = [];
    for (const parcel of parcels) {
      for (let index = parcel.from; index < parcel.to; index++) {
        letters.push(letterOf(parcel, index, undefined, `${why}: ${reason}`));
      }
    }
    this.options.log.error(
      { records: letters.length, why, reason },
      'Records are sent no more: the retry limit or their greatest age is reached',
    );
    return this.place(parcels, letters, why);
  }

  private place(parcels: readonly Parcel[], letters: readonly DeadLetter[], why: string): WhenSafe {
    const { name, ledger, deadLetters, handOver } = this.options;
    const handedOver = handOver?.(parcels);
    if (handedOver !== undefined) {
      ledger.handedOver.value += countRecords(parcels);
      return handedOver;
    }
    if (deadLetters?.write(name, letters) === true) ledger.deadLettered.value += letters.length;
    else ledger.dropped(why).value += letters.length;
    return AT_ONCE;
  }
}

function letterOf(parcel: Parcel, index: number, status: number | undefined, reason: string): DeadLetter {
  const { flight, attempts, firstTriedAt } = parcel;
  return {
    slice: new Slice(flight.chunk, index, index + 1),
    status,
    reason,
    attempts: attempts + 1,
    firstTriedAt,
  };
}
