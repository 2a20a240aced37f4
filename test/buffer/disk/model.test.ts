/** Random histories of put, settle, read, flush, compaction, rename, kill, power cut and reopening, against a simple model. */
import { tryHistories } from './model.ts';
import { test } from './support.ts';

test('the buffer is what its model says', async ({ rig }) => {
  await tryHistories(rig, Number(process.env['TAILRACE_RUNS'] ?? 1000));
});
