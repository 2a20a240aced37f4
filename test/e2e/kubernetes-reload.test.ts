/** Reloads of pipelines that watch pods: what is known of them stays, no connection is left over, and nothing is read twice. */
import { expect } from 'vitest';
import { KubeStandIn } from '../support/kube-api.ts';
import { Kubelet } from '../support/kubelet.ts';
import { test } from '../support/e2e.ts';

test('reloads keep the pods that are known, and refused ones leave no watch', async ({
  rig,
  onTestFinished,
}) => {
  const api = await new KubeStandIn().open();
  onTestFinished(() => api.close());
  const kubelet = new Kubelet(rig.path('log'));
  const web = kubelet.start({ namespace: 'shop', pod: 'web' });
  const containers = { [web.container]: web.id };
  api.putPod({ namespace: 'shop', name: 'web', uid: web.uid, labels: { app: 'web' }, containers });

  const configure = (
    options: { inputs?: string; node?: string; mergeLog?: string; ttl?: string } = {},
  ): void => {
    const { inputs = '', node = 'node-1', mergeLog = 'off', ttl = '15m' } = options;
    rig.configure(`
service:
  flush: 0.05
pipeline:
  inputs:
    - name: kubernetes_logs
      path: ${rig.path('log', 'containers')}/*.log
      allowed_roots: ${rig.path('log')}
      kube_url: ${api.url}
      kube_node_name: ${node}
      kube_meta_namespace_cache_ttl: ${ttl}
      merge_log: ${mergeLog}
${inputs}
  filters:
    - name: kubernetes
      match: none
      kube_url: ${api.url}
      kube_node_name: ${node}
      kube_meta_namespace_cache_ttl: ${ttl}
  outputs:
    - name: stdout
      match: '*'
      format: json_lines
`);
  };
  configure();
  web.write(['first']);
  const agent = await rig.start();
  await agent.shown(1);
  await api.until(() => api.watching === 1);

  // Nobody but the agent knows the pod from here on.
  api.deletePod('web', 'shop');
  await agent.until((scrape) => scrape.sum('tailrace_kubernetes_pods', { state: 'deleted' }) === 1);
  for (let round = 1; round <= 3; round++) {
    configure({ mergeLog: round % 2 === 1 ? 'on' : 'off' });
    expect(await agent.reload()).toMatchObject({ status: 200 });
    web.write([`round ${round}`]);
    await agent.shown(1 + round);
  }
  expect([api.count('watch'), api.count('list'), api.watching]).toEqual([1, 1, 1]);

  // Another directory takes the place of that one.
  const steady = kubelet.start({ namespace: 'shop', pod: 'steady' });
  api.putPod({ namespace: 'shop', name: 'steady', uid: steady.uid, labels: { app: 'web' } });
  configure({ ttl: '10m' });
  expect(await agent.reload()).toMatchObject({ status: 200 });
  await api.until(() => api.watching === 1 && api.count('watch') === 2);
  const scrape = await agent.scrape();
  expect(scrape.sum('tailrace_kubernetes_connected')).toBe(1);
  expect(scrape.sum('tailrace_kubernetes_pods', { state: 'live' })).toBe(1);

  const bad = `
    - name: kubernetes_events
      kube_url: https://127.0.0.1:1
      kube_ca_file: nowhere.pem`;
  for (let round = 0; round < 3; round++) {
    configure({ node: `other-${round}`, inputs: bad, ttl: '10m' });
    expect((await agent.reload()).status).not.toBe(200);
  }
  steady.write(['last']);
  await agent.shown(5);
  await api.until(() => api.watching === 1);

  const { summary } = await agent.stop();
  expect(summary).toMatchObject({ read: 5, delivered: 5 });
  const shown = agent.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { log: string; kubernetes?: { labels: unknown } });
  expect(shown.map(({ log }) => log)).toEqual(['first', 'round 1', 'round 2', 'round 3', 'last']);
  for (const { kubernetes } of shown) expect(kubernetes?.labels).toEqual({ app: 'web' });
});
