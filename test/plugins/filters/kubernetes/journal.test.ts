import { expect, it } from 'vitest';
import { MISSING_KEY } from '../../../../plugins/shared/kubernetes/without-metadata.ts';
import { metadataFiles, startFilter } from './cluster.ts';

const ONE = 'k8s_app_web_shop_d6c53deb-05a4-11e8-a8c4-080027435fb7_23';
const TWO = 'k8s_side.a1b2c3_db_store_uid_0';

const FILES = {
  'shop_web.meta': {
    metadata: { annotations: { 'fluentbit.io/exclude-app': 'true' } },
    spec: { containers: [{ name: 'app' }] },
    status: {
      containerStatuses: [{ name: 'app', containerID: 'docker://c1', imageID: 'docker://sha256:1' }],
    },
  },
  'store_db.meta': { metadata: { uid: 'u-2' } },
};

async function filterOf(options: Record<string, string> = {}) {
  return startFilter({
    use_journal: 'on',
    kube_meta_preload_cache_dir: metadataFiles(FILES),
    kube_url: 'http://127.0.0.1:1',
    kube_meta_wait: '0.01',
    annotations: 'off',
    ...options,
  });
}

it('each entry gets the metadata of its own container', async () => {
  const { run } = await filterOf();
  const batch = await run('any', [
    { CONTAINER_NAME: ONE, MESSAGE: '1' },
    { CONTAINER_NAME: TWO, MESSAGE: '2' },
    { CONTAINER_NAME: ONE, MESSAGE: '3' },
  ]);
  const one = {
    pod_name: 'web',
    namespace_name: 'shop',
    container_name: 'app',
    docker_id: 'c1',
    container_hash: 'sha256:1',
  };
  expect([0, 1, 2].map((index) => batch.record(index)['kubernetes'])).toEqual([
    one,
    {
      pod_name: 'db',
      namespace_name: 'store',
      pod_id: 'u-2',
      container_name: 'side',
      container_hash: 'a1b2c3',
    },
    one,
  ]);
});

it('entries of no container stay, flagged; Fluent Bit drops them', async () => {
  const { run, metric } = await filterOf();
  const records = [
    { MESSAGE: '1' },
    { CONTAINER_NAME: 'other', MESSAGE: '2' },
    { CONTAINER_NAME: 7, MESSAGE: '3' },
    { CONTAINER_NAME: TWO, MESSAGE: '4' },
  ];
  const batch = await run('any', records);
  expect([0, 1, 2].map((index) => batch.record(index))).toEqual(records.slice(0, 3));
  expect(batch.record(3)).toHaveProperty('kubernetes');
  const flag = { [MISSING_KEY]: 'tag' };
  expect(batch.metadata).toEqual([flag, flag, flag, undefined]);
  expect(metric('tailrace_kubernetes_records_without_metadata_total', { reason: 'tag' })).toBe(3);
});

it('a name that is longer than any container has is none, and is not remembered', async () => {
  const { run } = await filterOf({ use_tag_for_meta: 'on' });
  const long = 'x'.repeat(60_000);
  const batch = await run('any', [
    { CONTAINER_NAME: `k8s_app_${long}_shop_uid_0`, MESSAGE: '1' },
    { CONTAINER_NAME: ONE, MESSAGE: '2' },
  ]);
  expect(batch.record(0)).not.toHaveProperty('kubernetes');
  expect(batch.metadata?.[0]).toEqual({ [MISSING_KEY]: 'tag' });
  expect(batch.record(1)).toHaveProperty('kubernetes');
});

it('a pod leaves out its own entries alone', async () => {
  const { run } = await filterOf({ 'k8s-logging.exclude': 'on' });
  const batch = await run('any', [
    { CONTAINER_NAME: ONE, MESSAGE: '1' },
    { CONTAINER_NAME: TWO, MESSAGE: '2', stream: 'stdout' },
  ]);
  expect(batch.length).toBe(1);
  expect(batch.record(0)['MESSAGE']).toBe('2');
});
