/** The reload test of the faults directory at its full size. */
import { seededRandom, test } from '../support/e2e.ts';
import { reloadRun } from '../support/reload-run.ts';

test('1,000 reloads under a writer', async ({ rig }) => {
  await reloadRun(rig, { reloads: 1000, random: seededRandom() });
});
