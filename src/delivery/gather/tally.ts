/** What a gathering queue has, in all its objects; and the ledger's gauges, which follow it (DELIVERY.md, rule 30). */
import type { OutputLedger } from '../ledger.ts';
import type { Entry, StagedObject } from './staged-object.ts';

export class Tally {
  records = 0;
  bytes = 0;
  private readonly ledger: () => OutputLedger;

  constructor(ledger: () => OutputLedger) {
    this.ledger = ledger;
  }

  add({ records, bytes }: Entry): void {
    this.records += records;
    this.bytes += bytes;
    this.account();
  }

  /** Records of an entry are in nobody's hands here any more; with the last of them the entry goes. */
  take(object: StagedObject, entry: Entry, records = entry.records): void {
    entry.records -= records;
    object.records -= records;
    this.records -= records;
    if (entry.records === 0) {
      object.bytes -= entry.bytes;
      this.bytes -= entry.bytes;
      entry.bytes = 0;
    }
    this.account();
  }

  private account(): void {
    const { buffered, bufferedBytes } = this.ledger();
    buffered.value = this.records;
    bufferedBytes.value = this.bytes;
  }
}
