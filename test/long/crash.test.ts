/** The crash tests of the faults directory over the whole matrix: 240 kills. */
import { crashMatrix, crashRun, describeCase } from '../support/crash-run.ts';
import { seededRandom, test } from '../support/e2e.ts';

const KILLS = 10;
const WITHIN_MS = 1500;

for (const each of crashMatrix()) {
  test(`${KILLS} kills: ${describeCase(each)}`, async ({ rig }) => {
    await crashRun(rig, { ...each, kills: KILLS, withinMs: WITHIN_MS, random: seededRandom() });
  });
}
