/**
 * What halving a refused attempt has shown so far (DELIVERY.md, rule 21): a destination that refuses many single records and takes none is
 * at fault itself, not the records. Until it has taken one, those that it refused are kept.
 */
import type { Rejection } from '../event/outcome.ts';
import type { Parcel } from './parcel.ts';

/** Single records that must be refused for that. */
const MANY = 16;
/** Failures after which the records are taken at the destination's word nevertheless: they become dead letters. */
const PATIENCE = 3;

export interface Refused {
  /** One record. */
  parcel: Parcel;
  rejection: Rejection;
}

export class Halving {
  /** Records that were taken. */
  accepted = 0;
  private refused: Refused[] = [];
  /** Parts that were not tried any more, in order. */
  readonly untried: Parcel[] = [];

  /** A single record was refused. */
  refuse(refused: Refused): void {
    this.refused.push(refused);
  }

  get isDestinationFault(): boolean {
    const tired = this.refused.some(({ parcel }) => parcel.attempts >= PATIENCE);
    return this.accepted === 0 && this.refused.length >= MANY && !tired;
  }

  /** Takes out the records that were refused so far. */
  takeRefused(): Refused[] {
    const { refused } = this;
    this.refused = [];
    return refused;
  }
}
