import { describe, expect, it } from 'vitest';
import { textsOf } from '../../../contract/filter.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';
import { metadataFiles, startFilter, tagOf } from './cluster.ts';
import { Batch } from '../../../../src/event/batch.ts';

const POD = {
  metadata: { name: 'web', namespace: 'shop', uid: 'u-1', labels: { app: 'web' } },
  spec: { nodeName: 'node-1', containers: [{ name: 'app' }] },
  status: { podIP: '10.1.2.3', containerStatuses: [{ name: 'app', image: 'img', imageID: 'sha256:12' }] },
};

/** What is added to a record of the pod `web`. */
async function added(files: Record<string, object | string>, options: Record<string, string> = {}) {
  const { run, context } = await startFilter({
    kube_meta_preload_cache_dir: metadataFiles(files),
    kube_url: 'http://127.0.0.1:1',
    kube_meta_wait: '0.01',
    ...options,
  });
  const record = (await run(tagOf('web'), [{}])).record(0);
  return { record, lines: context.log.lines };
}

describe('metadata from files', () => {
  it('as the API gives it', async () => {
    const { record } = await added({ 'shop_web.meta': POD });
    expect(record['kubernetes']).toMatchObject({
      pod_name: 'web',
      pod_id: 'u-1',
      labels: { app: 'web' },
      host: 'node-1',
      pod_ip: '10.1.2.3',
      container_hash: 'sha256:12',
      container_image: 'img',
    });
  });

  it('as a kubelet lists it', async () => {
    const list = { items: [{ metadata: { name: 'web', namespace: 'other', uid: 'u-0' } }, POD, 'junk'] };
    const { record } = await added({ 'shop_web.meta': list }, { use_kubelet: 'on' });
    expect(record['kubernetes']).toMatchObject({ pod_id: 'u-1' });
    const plain = { items: [{ metadata: { name: 'web', namespace: 'shop', labels: { a: 'b' } } }] };
    const { record: bare } = await added({ 'shop_web.meta': plain }, { use_kubelet: 'on' });
    expect(bare['kubernetes']).toMatchObject({ labels: { a: 'b' } });
    // As in Fluent Bit that is a pod of which nothing is said, where no kubelet is asked.
    const other = await added({ 'shop_web.meta': list });
    expect(other.record['kubernetes']).not.toHaveProperty('pod_id');
    expect(other.record['kubernetes']).toMatchObject({ pod_name: 'web' });
  });

  it.each([['{}'], ['{"metadata":{}}'], ['{"metadata":null}']])('%s: the names alone', async (text) => {
    const { record } = await added({ 'shop_web.meta': text });
    expect(Object.keys(record['kubernetes'] as object)).toEqual([
      'pod_name',
      'namespace_name',
      'container_name',
      'docker_id',
    ]);
  });

  it('of namespaces', async () => {
    const namespace = { metadata: { labels: { team: 'a' }, annotations: { b: 'c' } } };
    const options = { namespace_annotations: 'on', namespace_metadata_only: 'on' };
    const { record } = await added({ 'shop.namespace_meta': namespace }, options);
    expect(record).toEqual({ kubernetes_namespace: { name: 'shop', annotations: { b: 'c' } } });
  });

  it('a file that is no JSON is told, and the API is asked', async () => {
    const api = await new KubeStandIn().open();
    try {
      api.putPod({ namespace: 'shop', name: 'web' });
      const { record, lines } = await added(
        { 'shop_web.meta': '{' },
        { kube_url: api.url, kube_meta_wait: '5s' },
      );
      expect(record['kubernetes']).toMatchObject({ pod_id: 'uid-of-web' });
      expect(lines.map(({ message }) => message)).toContain('A file of Kubernetes metadata holds no JSON');
    } finally {
      await api.close();
    }
  });

  it('an object that is no pod is as no file', async () => {
    for (const text of ['[]', '7']) {
      expect((await added({ 'shop_web.meta': text }, { use_kubelet: 'on' })).record).toEqual({});
    }
  });

  it('of a pod that a kubelet does not list: the names alone, as in Fluent Bit', async () => {
    const list = { items: [{ ...POD, metadata: { ...POD.metadata, name: 'web-2' } }] };
    const { record } = await added({ 'shop_web.meta': list }, { use_kubelet: 'on' });
    expect(record['kubernetes']).toEqual({
      pod_name: 'web',
      namespace_name: 'shop',
      container_name: 'app',
      docker_id: expect.any(String),
    });
  });

  it('without specification: what the status says of containers', async () => {
    const { metadata, status } = POD;
    const { record } = await added({ 'shop_web.meta': { metadata, status } });
    expect(record['kubernetes']).toMatchObject({ container_hash: 'sha256:12', container_image: 'img' });
  });

  it('of a namespace that is called otherwise there: the name that the tag has', async () => {
    const options = { namespace_labels: 'on', namespace_metadata_only: 'on' };
    const { record } = await added(
      { 'shop.namespace_meta': { metadata: { name: 'x', labels: {} } } },
      options,
    );
    expect(record).toEqual({ kubernetes_namespace: { name: 'shop', labels: {} } });
  });

  it('read once', async () => {
    const directory = metadataFiles({ 'shop_web.meta': POD });
    const { filter, run } = await startFilter({
      kube_meta_preload_cache_dir: directory,
      kube_url: 'http://127.0.0.1:1',
    });
    const first = textsOf(await run(tagOf('web'), [{ log: 'x' }]));
    const batch = new Batch();
    batch.push({ log: 'x' }, undefined, 0, 0);
    expect(filter.process(batch, tagOf('web'))).toBeUndefined();
    expect(textsOf(batch)).toEqual(first);
  });
});
