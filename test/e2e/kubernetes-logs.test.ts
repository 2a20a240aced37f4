/** pipelines/kubernetes-logs.yaml on a node that the test lays out, against a stand-in for the API server, over a restart. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { test } from '../support/e2e.ts';
import { KubeStandIn } from '../support/kube-api.ts';
import { Kubelet } from '../support/kubelet.ts';

const SAMPLE = join(import.meta.dirname, '../../pipelines/kubernetes-logs.yaml');

test('the sample shows the logs of a node with their pods, each once', async ({ rig, onTestFinished }) => {
  const api = await new KubeStandIn().open();
  onTestFinished(() => api.close());
  const kubelet = new Kubelet(rig.path('log'));
  const web = kubelet.start({ namespace: 'shop', pod: 'web' });
  api.putPod({ namespace: 'shop', name: 'web', uid: web.uid, labels: { app: 'web' } });
  web.write(['{"level":"info","path":"/cart"}', 'no json']);
  const launch = {
    config: SAMPLE,
    env: {
      CONTAINERS: rig.path('log', 'containers'),
      LOG_ROOT: rig.path('log'),
      KUBE_URL: api.url,
      NODE_NAME: 'node-1',
    },
  };
  const first = await rig.start(launch);
  await first.shown(2);
  expect(await first.stop()).toMatchObject({ code: 0, summary: { read: 2, delivered: 2 } });
  const kubernetes = { namespace_name: 'shop', pod_name: 'web', pod_id: web.uid, labels: { app: 'web' } };
  const [json, text] = first.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(json).toMatchObject({ level: 'info', path: '/cart', stream: 'stdout', kubernetes });
  expect(json).not.toHaveProperty('log');
  expect(text).toMatchObject({ log: 'no json', kubernetes });

  // What was written while it was away.
  web.write(['later']);
  web.rotate();
  web.write(['latest']);
  const second = await rig.start(launch);
  await second.shown(2);
  expect(await second.stop()).toMatchObject({ code: 0, summary: { read: 2, delivered: 2 } });
  expect(second.stdout).toMatch(/later.*\n.*latest/);
});
