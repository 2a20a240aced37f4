/** Counts records that an answer refuses while others of the same body are taken, and says so once in a while. */
import type { InputContext } from '../../../src/plugin.ts';
import { Rarely } from '../rarely.ts';

export class RefusedRecords {
  private readonly counter: { value: number };
  private readonly log: InputContext['log'];
  private readonly rarely = new Rarely();

  constructor({ metrics, name, log }: InputContext) {
    this.counter = metrics
      .counter(
        'tailrace_input_refused_records_total',
        'Records that the answer to their request refused, while it took others: their sender has been told.',
      )
      .labels({ name });
    this.log = log;
  }

  /** `reason`: that of the first, a sentence. */
  count(records: number, reason: string): void {
    this.counter.value += records;
    const requests = this.rarely.happened();
    if (requests > 0)
      this.log.warn({ requests, records, reason }, 'Some records of a request were not taken');
  }
}
