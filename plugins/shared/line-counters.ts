/** Counters that all inputs over lines have. */
import type { InputContext } from '../../src/plugin.ts';

type Counting = Pick<InputContext, 'metrics' | 'name'>;

/** What the parser does not take. */
export function unparsedRecords({ metrics, name }: Counting): { value: number } {
  return metrics
    .counter(
      'tailrace_input_unparsed_records_total',
      'Lines that the parser does not take; they go on as they are.',
    )
    .labels({ name });
}

/** Lines that were cut because they are over the limit. */
export function cutLines({ metrics, name }: Counting): { value: number } {
  return metrics
    .counter('tailrace_input_long_lines_total', 'Lines over the limit, by what was done with them.')
    .labels({ name, action: 'cut' });
}
