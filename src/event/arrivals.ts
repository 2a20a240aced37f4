/**
 * Origins for records of which no source keeps a copy (sockets, standard input): an id drawn once for the process, and a running number.
 * With them a destination can write such a record idempotently too, however often it is sent, also from the disk buffer after a restart.
 */
import { randomUUID } from 'node:crypto';
import type { Batch } from './batch.ts';

export class Arrivals {
  /** Stands where else the id of a source does. */
  readonly id = randomUUID();
  private next = 0;

  /** Numbers the records of a batch; as they are in the columns of a chunk. */
  number(batch: Batch): { base: number; starts: Int32Array; stops: Int32Array } {
    const { length } = batch;
    const base = this.next;
    this.next += length;
    return {
      base,
      starts: Int32Array.from({ length }, (_, index) => index),
      stops: Int32Array.from({ length }, (_, index) => index + 1),
    };
  }
}
