/**
 * What halving a refused attempt has shown so far (DELIVERY.md, rule 21): a destination that refuses many single records and takes none is
 * at fault itself, not the records.
 */

/** Single records that must be refused for that. */
const MANY = 16;

export class Halving {
  /** Failures after which the records are taken at the destination's word nevertheless: they become dead letters. */
  static readonly PATIENCE = 3;
  accepted = 0;
  /** Single records that were refused. */
  refused = 0;
  private readonly records: number;

  /** `records` of the whole attempt. */
  constructor(records: number) {
    this.records = records;
  }

  get isDestinationFault(): boolean {
    return this.records > MANY && this.accepted === 0 && this.refused >= MANY;
  }
}
