/** The disk buffer against its model, for long. `TAILRACE_RUNS` is the number of histories. */
import { tryHistories } from '../buffer/disk/model.ts';
import { test } from '../buffer/disk/support.ts';

const RUNS = Number(process.env['TAILRACE_RUNS'] ?? 20_000);

test('the buffer is what its model says', { timeout: 60_000 + RUNS * 20 }, async ({ rig }) => {
  await tryHistories(rig, RUNS);
});
