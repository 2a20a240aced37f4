/** The loss test of the faults directory at its full size. */
import { seededRandom, test } from '../support/e2e.ts';
import { killRun } from '../support/kill-run.ts';

test('30 kills, 200,000 lines, two rotating files', async ({ rig }) => {
  await killRun(rig, { kills: 30, lines: 200_000, random: seededRandom() });
});
