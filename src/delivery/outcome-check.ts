/** Checks what an output answers. */
import type { Outcome } from '../event/outcome.ts';

/** Whether an outcome speaks only of records that were sent. */
export function fits(outcome: Outcome, total: number): boolean {
  const valid = (index: number): boolean => Number.isInteger(index) && index >= 0 && index < total;
  return (outcome.retry ?? []).every(valid) && (outcome.rejected ?? []).every(({ index }) => valid(index));
}
