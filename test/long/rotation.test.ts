/** The rotation test of the faults directory at its full size. */
import { test } from '../support/e2e.ts';
import { rotationRun } from '../support/rotation-run.ts';

test('300,000 lines, one second per request, 5 MB of memory, one rename', async ({ rig }) => {
  await rotationRun(rig, { lines: 300_000, memory: '5MB', slowness: 1000 });
});
