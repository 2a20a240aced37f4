/** Ending the attempts of output queues: those in flight get their time, then they are given up. */
import type { DeliveryQueue } from '../delivery/delivery-queue.ts';
import { Deadline } from './deadline.ts';

/** What an aborted request gets to come back. Milliseconds. */
export const ABORT_MS = 500;

/**
 * No new attempt starts; those in flight have until `ms` after the deadline was made. Resolves with the number of records that
 * were in doubt then: their requests were given up without an answer.
 */
export async function haltQueues(
  queues: readonly DeliveryQueue[],
  deadline: Deadline,
  ms: number,
): Promise<number> {
  const halted = Promise.all(queues.map((queue) => queue.halt()));
  if (await deadline.wait(halted, ms)) return 0;
  const inDoubt = queues.reduce((sum, queue) => sum + queue.inDoubt, 0);
  for (const queue of queues) queue.abort();
  await new Deadline().wait(halted, ABORT_MS);
  return inDoubt;
}
