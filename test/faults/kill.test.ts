/** SIGKILL under load: nothing is lost, and at most one request per worker and kill comes twice (DELIVERY.md, rules 6 and 8). */
import { seededRandom, test } from '../support/e2e.ts';
import { killRun } from '../support/kill-run.ts';

test('4 kills, 20,000 lines, two rotating files', async ({ rig }) => {
  await killRun(rig, { kills: 4, lines: 20_000, random: seededRandom() });
});
