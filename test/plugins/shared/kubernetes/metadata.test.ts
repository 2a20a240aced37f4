import { expect, it } from 'vitest';
import {
  addShared,
  namespaceField,
  podField,
  sharedField,
} from '../../../../plugins/shared/kubernetes/metadata.ts';
import type { Pod } from '../../../../plugins/shared/kubernetes/pods.ts';
import { isRecord } from '../../../../src/plugin.ts';
import { batchOf, textsOf } from '../../../contract/filter.ts';

const POD: Pod = {
  namespace: 'shop',
  name: 'web-0',
  uid: 'u-1',
  nodeName: 'node-1',
  podIp: '10.1.2.3',
  hostIp: '192.0.2.1',
  labels: { z: '1', app: 'web' },
  annotations: { note: 'a "quote"' },
  ownerReferences: [
    { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'u-2', controller: true },
  ],
  containers: [
    { name: 'web', id: 'abc', image: 'nginx:1', imageId: 'docker-pullable://nginx@sha256:12' },
    { name: 'side', imageId: 'sha256:34' },
  ],
};
const ALL = { labels: true, annotations: true, ownerReferences: true };
const NAMES = { pod: 'web-0', namespace: 'shop', container: 'web' };

it('the map has the keys and the order of Fluent Bit', () => {
  expect(podField(NAMES, POD, ALL).member).toBe(
    '"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"u-1","labels":{"z":"1","app":"web"},' +
      '"annotations":{"note":"a \\"quote\\""},"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet",' +
      '"name":"web","uid":"u-2","controller":true}],"host":"node-1","pod_ip":"10.1.2.3","container_name":"web",' +
      '"docker_id":"abc","container_hash":"nginx@sha256:12","container_image":"nginx:1"}',
  );
});

it('parts can be left out, and what is not known is', () => {
  const none = { labels: false, annotations: false, ownerReferences: false };
  expect(podField({ ...NAMES, container: 'side' }, POD, none).value).toEqual({
    pod_name: 'web-0',
    namespace_name: 'shop',
    pod_id: 'u-1',
    host: 'node-1',
    pod_ip: '10.1.2.3',
    container_name: 'side',
    container_hash: 'sha256:34',
  });
  const bare = { namespace: 'n', name: 'p', uid: '', containers: [] };
  expect(podField({ pod: 'p', namespace: 'n' }, bare, ALL).value).toEqual({
    pod_name: 'p',
    namespace_name: 'n',
  });
  expect(podField(NAMES, { ...bare, labels: {}, annotations: {}, ownerReferences: [] }, ALL).value).toEqual(
    expect.objectContaining({ labels: {}, annotations: {}, ownerReferences: [] }),
  );
});

it('labels and annotations without value are there, as in Fluent Bit', () => {
  const pod = { ...POD, labels: { app: 'web', canary: '' }, annotations: { note: '' } };
  expect(podField(NAMES, pod, ALL).member).toContain(
    '"labels":{"app":"web","canary":""},"annotations":{"note":""}',
  );
  const namespace = { name: 'shop', labels: { restricted: '' } };
  expect(namespaceField('shop', namespace, { labels: true, annotations: true }).member).toBe(
    '"kubernetes_namespace":{"name":"shop","labels":{"restricted":""}}',
  );
});

it('what the name of the log says wins over the status', () => {
  const names = { ...NAMES, containerId: 'from-name', containerHash: 'hash-from-name' };
  expect(podField(names, POD, ALL).value).toMatchObject({
    docker_id: 'from-name',
    container_hash: 'hash-from-name',
  });
});

it('namespaces', () => {
  const namespace = { name: 'other', labels: { team: 'a' }, annotations: {} };
  expect(namespaceField('shop', namespace, { labels: true, annotations: true }).member).toBe(
    '"kubernetes_namespace":{"name":"shop","labels":{"team":"a"},"annotations":{}}',
  );
});

it('the field is spliced into the texts of records, and takes the place of one of its name', () => {
  const batch = batchOf(['{"a":1.50}', '{"a":12345678901234567890}', { b: 1 }, {}, '{"k":"old","b":2}']);
  const field = sharedField('k', { x: 'y' });
  for (let index = 0; index < batch.length; index++) addShared(batch, index, field);
  expect(textsOf(batch)).toEqual([
    '{"a":1.50,"k":{"x":"y"}}',
    '{"a":12345678901234567890,"k":{"x":"y"}}',
    '{"b":1,"k":{"x":"y"}}',
    '{"k":{"x":"y"}}',
    '{"k":{"x":"y"},"b":2}',
  ]);
});

it('nobody can change what the records share', () => {
  const { value } = podField(NAMES, POD, ALL);
  const labels = isRecord(value) ? value['labels'] : undefined;
  expect(() => Object.assign(labels as object, { app: 'x' })).toThrow(TypeError);
  expect(POD.labels).toEqual({ z: '1', app: 'web' });
});
