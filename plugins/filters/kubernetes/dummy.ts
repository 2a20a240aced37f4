/** `dummy_meta`: the time of day in place of metadata, for trying out a configuration without a cluster. */
import type { Batch, Filter } from '../../../src/plugin.ts';
import type { LogMerger } from '../../shared/kubernetes/merge-log.ts';
import { sharedField } from '../../shared/kubernetes/metadata.ts';
import { enrich } from '../../shared/kubernetes/enrich.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

export class DummyFilter implements Filter {
  private readonly merger: LogMerger | undefined;

  constructor(merger: LogMerger | undefined) {
    this.merger = merger;
  }

  process(batch: Batch): void {
    const fields = [sharedField('kubernetes', { dummy: asciiTime(new Date()) })];
    for (let index = 0; index < batch.length; index++) {
      enrich(batch, index, this.merger, { fields, policy: undefined });
    }
  }
}

/** As asctime(3) writes it, local time. */
function asciiTime(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  const day = String(date.getDate()).padStart(2);
  return `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${day} ${clock} ${date.getFullYear()}`;
}
