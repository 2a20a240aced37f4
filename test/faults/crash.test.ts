/** Crashes of every kind, a few of each: nothing that was promised is lost, and duplicates are bounded (DELIVERY.md, rules 6, 8, 11, 14; FAULTS 2, 17, 19). */
import { crashRun, describeCase } from '../support/crash-run.ts';
import type { CrashCase } from '../support/crash-run.ts';
import { seededRandom, test } from '../support/e2e.ts';

const KILLS = 3;
const WITHIN_MS = 600;

const CASES: readonly CrashCase[] = [
  { buffer: 'memory', input: 'tail', destinations: ['dead', 'slow', 'bulk'] },
  { buffer: 'memory', input: 'http', destinations: ['dead', 'slow', 'flaky'] },
  { buffer: 'filesystem', input: 'stdin', destinations: ['dead', 'slow', 'flaky'] },
  { buffer: 'filesystem', input: 'tail', destinations: ['bulk'] },
];

for (const each of CASES) {
  test(`${KILLS} kills: ${describeCase(each)}`, async ({ rig }) => {
    await crashRun(rig, { ...each, kills: KILLS, withinMs: WITHIN_MS, random: seededRandom() });
  });
}
