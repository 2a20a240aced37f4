/** Random histories of put, settle, read, flush, compaction, rename, kill, power cut and reopening, against a simple model. */
import { tryHistories } from './model.ts';
import { test } from './support.ts';

const RUNS = Number(process.env['TAILRACE_RUNS'] ?? 1000);

test('the buffer is what its model says', { timeout: 30_000 + RUNS * 100 }, async ({ rig }) => {
  await tryHistories(rig, RUNS);
});
