import { describe, expect, it } from 'vitest';
import { PodTable } from '../../../../plugins/shared/kubernetes/api/pod-table.ts';
import type { Pod } from '../../../../plugins/shared/kubernetes/pods.ts';

const MINUTE = 60_000;

const pod = (name: string, uid = name, id?: string): Pod => ({
  namespace: 'ns',
  name,
  uid,
  labels: {},
  annotations: {},
  ownerReferences: [],
  containers: [{ name: 'app', ...(id === undefined ? {} : { id }) }],
});
const query = (name: string): { namespace: string; name: string } => ({ namespace: 'ns', name });

describe('PodTable', () => {
  it('forgets a deleted pod after a quarter of an hour, unless it is spoken of', () => {
    const table = new PodTable();
    for (const name of ['a', 'b', 'c', 'd']) table.put(pod(name), 0);
    const held = table.retain(query('a'));
    const other = table.retain({ ...query('b'), uid: 'another' });
    const exact = table.retain({ ...query('c'), uid: 'c' });
    for (const name of ['a', 'b', 'c']) table.remove(pod(name), MINUTE);
    table.forget(15 * MINUTE);
    expect(table.deletedCount).toBe(3);
    table.forget(16 * MINUTE);
    expect(['a', 'b', 'c', 'd'].map((name) => table.find(query(name)) !== undefined)).toEqual([
      true,
      false,
      true,
      true,
    ]);
    for (const each of [held, other, exact, held]) each.release();
    table.forget(16 * MINUTE);
    expect([table.live, table.deletedCount]).toEqual([1, 0]);
  });

  it('keeps the newest of the deleted where there are too many', () => {
    const table = new PodTable();
    for (let index = 0; index < 5010; index++) {
      table.put(pod(`p${index}`), 0);
      table.remove(pod(`p${index}`), 0);
    }
    table.forget(1);
    expect(table.deletedCount).toBe(5000);
    expect(table.find(query('p9'))).toBeUndefined();
    expect(table.find(query('p10'))).toBeDefined();
  });

  it('takes for deleted what a list does not have, and for living what comes back', () => {
    const table = new PodTable();
    for (const name of ['a', 'b']) table.put(pod(name), 0);
    table.beginList();
    table.put(pod('b'), 1);
    table.endList(1);
    expect([table.live, table.deletedCount]).toEqual([1, 1]);
    table.put(pod('a'), 2);
    expect([table.live, table.deletedCount]).toEqual([2, 0]);
  });

  it('does not take a deleted pod for the one of a container that it never had', () => {
    const table = new PodTable();
    table.put(pod('web-0', 'old', 'aaa'), 0);
    table.remove(pod('web-0', 'old'), 0);
    expect(table.find({ ...query('web-0'), containerId: 'aaa' })?.pod.uid).toBe('old');
    expect(table.find({ ...query('web-0'), containerId: 'bbb' })).toBeUndefined();
    expect(table.find({ ...query('web-0'), uid: 'new' })).toBeUndefined();
    table.put(pod('web-0', 'new'), 0);
    expect(table.find({ ...query('web-0'), containerId: 'bbb' })?.pod.uid).toBe('new');
    expect(table.find({ ...query('web-0'), containerId: 'aaa' })?.pod.uid).toBe('old');
  });

  it('makes room by forgetting what was heard of longest ago', () => {
    const table = new PodTable();
    for (let index = 0; index < 101; index++) table.put(pod(`p${index}`), index);
    const held = table.retain(query('p0'));
    table.put(pod('p1'), 200);
    table.evict(100);
    expect(table.live).toBe(91);
    expect(['p0', 'p1', 'p2', 'p100'].map((name) => table.find(query(name)) !== undefined)).toEqual([
      true,
      true,
      false,
      true,
    ]);
    held.release();
  });
});
