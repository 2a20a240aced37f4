import { describe, expect, it } from 'vitest';
import { answerNamed, namespaceOf, podOf } from '../../../../plugins/shared/kubernetes/api/pod-of.ts';
import { StringPool } from '../../../../plugins/shared/kubernetes/api/string-pool.ts';

const pool = new StringPool();

describe('an answer', () => {
  const names = { name: 'web', namespace: 'shop' };

  it('has the names that were asked for, as in Fluent Bit', () => {
    const object = { metadata: { name: 'other', uid: 'u', labels: {} }, spec: { nodeName: 'n' } };
    expect(podOf(answerNamed(object, names), pool)).toEqual({
      ...names,
      uid: 'u',
      nodeName: 'n',
      labels: {},
      containers: [],
    });
    expect(podOf(answerNamed({ metadata: {} }, names), pool)).toEqual({ ...names, uid: '', containers: [] });
    expect(
      namespaceOf(answerNamed({ metadata: { annotations: { a: 'b' } } }, { name: 'shop' }), pool),
    ).toEqual({ name: 'shop', annotations: { a: 'b' } });
  });

  it('that is no object of the API is none', () => {
    for (const object of [undefined, 'x', {}, { metadata: null }, { kind: 'Status', metadata: {} }])
      expect(answerNamed(object, names)).toBeUndefined();
  });
});

it('containers that only the status knows are there', () => {
  const metadata = { name: 'web', namespace: 'shop', uid: 'u' };
  const spec = { containers: [{ name: 'a', image: 'spec' }] };
  const status = {
    containerStatuses: [
      { name: 'a', containerID: 'containerd://1' },
      { name: 'b', containerID: 'containerd://2', image: 'i', imageID: 'x' },
    ],
  };
  expect(podOf({ metadata, spec, status }, pool)?.containers).toEqual([
    { name: 'a', id: '1', image: 'spec' },
    { name: 'b', id: '2', image: 'i', imageId: 'x' },
  ]);
});
