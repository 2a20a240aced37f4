import { expect, it } from 'vitest';
import { Waiters } from '../../../../plugins/shared/kubernetes/api/waiters.ts';
import type { PodQuery } from '../../../../plugins/shared/kubernetes/pods.ts';

it('of one name a bounded number of answers is remembered', async () => {
  const waiters = new Waiters(() => undefined);
  const query = (n: number): PodQuery => ({ namespace: 'shop', name: 'web', containerId: `c-${n}` });
  const answers: Promise<unknown>[] = [];
  for (let n = 0; n < 1000; n++) {
    answers.push(waiters.wait(query(n), 60_000, () => 'unknown'));
    waiters.settle(query(n), () => undefined, 'absent', 60_000);
  }
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['absent']));
  const now = performance.now();
  expect(waiters.believed(query(999), now)).toBe('absent');
  const remembered = Array.from({ length: 1000 }, (_, n) => waiters.believed(query(n), now)).filter(Boolean);
  expect(remembered.length).toBeLessThanOrEqual(100);
  waiters.close();
});
