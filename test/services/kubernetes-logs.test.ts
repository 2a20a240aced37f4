/** The kubernetes_logs input on a node whose kubelet is the test, and whose API server is the real one. */
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { LogRecord } from '../../src/event/record.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import type { AgentProcess } from '../support/agent.ts';
import { Kubelet } from '../support/kubelet.ts';
import type { LoggedContainer } from '../support/kubelet.ts';
import { startKubernetes } from './servers/kubernetes.ts';
import type { KubernetesServer } from './servers/kubernetes.ts';
import { eachOf } from './servers/kubernetes/admin.ts';
import { writtenIn } from './support/written.ts';

const NODE = 'node-1';
const PODS = 1000;
const LINES = 10;
/** How long a pod of the second half lives, milliseconds: that is what is tested, not waited for. */
const LIFE_MS = 1000;
const WITHOUT = 'tailrace_kubernetes_records_without_metadata_total';
const READ = 'tailrace_input_read_records_total';
const RIGHTS = [
  { resources: ['pods'], verbs: ['list', 'watch', 'get'] },
  { resources: ['namespaces'], verbs: ['get'] },
];

describe('kubernetes_logs', () => {
  let cluster: KubernetesServer;

  beforeAll(async () => {
    cluster = await startKubernetes();
    await cluster.admin.createServiceAccount('tailrace');
    await cluster.admin.grant('tailrace', 'tailrace', RIGHTS);
  });

  afterAll(() => cluster.close());

  /** An agent on the node, with a token of this account. */
  const start = async (rig: Rig, account = 'tailrace', seconds?: number): Promise<AgentProcess> => {
    await giveToken(rig, account, seconds);
    rig.configure(`service:
  flush: 0.2
pipeline:
  inputs:
    - name: kubernetes_logs
      path: log/containers/*.log
      allowed_roots: ${rig.path('log')}
      kube_url: ${cluster.url}
      kube_ca_file: ${cluster.caFile}
      kube_token_file: token
      kube_node_name: ${NODE}
      namespace_labels: on
      rotate_wait: 1
  outputs:
    - name: file
      match: kube.*
      path: .
      file: out.log
`);
    return rig.start();
  };
  const giveToken = async (rig: Rig, account: string, seconds?: number): Promise<void> =>
    writeFileSync(
      rig.path('token'),
      await cluster.admin.token(account, seconds === undefined ? {} : { seconds }),
    );
  const node = (rig: Rig): Kubelet => new Kubelet(rig.path('log'));

  /** A pod as the API server, the kubelet and the runtime know it. */
  const run = async (
    kubelet: Kubelet,
    namespace: string,
    name: string,
    labels: Record<string, string> = {},
  ): Promise<LoggedContainer> => {
    const [uid] = await cluster.admin.createPods([
      { namespace, name, node: NODE, labels, containers: ['main'] },
    ]);
    const container = kubelet.start({ namespace, pod: name, ...(uid === undefined ? {} : { uid }) });
    await cluster.admin.patchStatus(namespace, name, { containerIds: { main: container.id } });
    return container;
  };

  test(`every line of ${PODS} pods arrives with the right metadata, half of which live one second`, async ({
    rig,
  }) => {
    await cluster.admin.createNamespace('load', { team: 'loaders' });
    const kubelet = node(rig);
    const agent = await start(rig);
    const pods = await eachOf(
      Array.from({ length: PODS }, (_, n) => n),
      async (n) => {
        const name = `pod-${n}`;
        const container = await run(kubelet, 'load', name, { number: String(n) });
        const write = (from: number, to: number): void =>
          container.write(Array.from({ length: to - from }, (_, line) => `${name} line ${from + line}`));
        write(0, LINES / 2);
        // Some are rotated in the middle of their lives, and some of those once more: then the first part is compressed.
        if (n % 10 < 2) {
          await pause(LIFE_MS);
          container.rotate();
        }
        write(LINES / 2, LINES);
        if (n % 20 < 2) {
          await pause(LIFE_MS);
          container.rotate();
        }
        if (n % 2 === 0) return container;
        await pause(LIFE_MS);
        await cluster.admin.deletePod('load', name);
        container.remove();
        return container;
      },
    );
    await agent.until((scrape) => scrape.sum(READ) >= PODS * LINES);
    const { summary } = await agent.stop();
    expect(summary).toMatchObject({ read: PODS * LINES, delivered: PODS * LINES, dropped: 0 });
    const byPod = Map.groupBy(writtenIn(rig.path('out.log')), ({ tag }) => tag);
    for (const [n, { pod, uid, id }] of pods.entries()) {
      const events = byPod.get(`kube.load.${pod}.main`) ?? [];
      expect(events.map(({ record }) => (record as LogRecord)['log'])).toEqual(
        Array.from({ length: LINES }, (_, line) => `${pod} line ${line}`),
      );
      for (const { record } of events) {
        expect(record).toMatchObject({
          kubernetes: {
            pod_name: pod,
            namespace_name: 'load',
            pod_id: uid,
            labels: { number: String(n) },
            host: NODE,
            container_name: 'main',
            docker_id: id,
            container_image: 'registry.local/main:1',
          },
          kubernetes_namespace: { name: 'load', labels: { team: 'loaders' } },
        });
      }
    }
  });

  test('without rights logs flow on, what to grant is said, and metadata comes with the rights', async ({
    rig,
  }) => {
    await cluster.admin.createNamespace('norights');
    await cluster.admin.createServiceAccount('nobody');
    const kubelet = node(rig);
    const web = await run(kubelet, 'norights', 'web', { app: 'web' });
    web.write(['before']);
    const agent = await start(rig, 'nobody');
    await agent.until((scrape) => scrape.sum(READ) === 1);
    expect((await agent.scrape()).sum(WITHOUT)).toBe(1);
    expect(JSON.stringify(agent.log)).toMatch(/pods/);
    await cluster.admin.grant('nobody', 'nobody', RIGHTS);
    await agent.until((scrape) => scrape.sum('tailrace_kubernetes_connected') === 1);
    web.write(['after']);
    await agent.until((scrape) => scrape.sum(READ) === 2);
    await agent.stop();
    const [before, after] = writtenIn(rig.path('out.log')).map(({ record }) => record);
    expect(before).not.toHaveProperty('kubernetes');
    expect(after).toMatchObject({ log: 'after', kubernetes: { labels: { app: 'web' } } });
  });

  test('a token that expired is read again', async ({ rig }) => {
    await cluster.admin.createNamespace('expiring');
    await cluster.admin.createServiceAccount('short');
    await cluster.admin.grant('short', 'short', RIGHTS);
    const kubelet = node(rig);
    const agent = await start(rig, 'short');
    (await run(kubelet, 'expiring', 'first')).write(['first']);
    await agent.until((scrape) => scrape.sum(READ) === 1);
    // No token lives shorter than ten minutes: what ends its life early is the end of its account.
    await cluster.admin.deleteServiceAccount('short');
    await giveToken(rig, 'tailrace');
    await cluster.apiServer.kill();
    await cluster.apiServer.start();
    (await run(kubelet, 'expiring', 'second')).write(['second']);
    await agent.until((scrape) => scrape.sum(READ) === 2);
    await agent.stop();
    const records = writtenIn(rig.path('out.log')).map(({ record }) => record);
    for (const record of records) expect(record).toHaveProperty('kubernetes.pod_id');
    expect(records).toHaveLength(2);
  });

  test('logs flow on for the minute that the API server is down', async ({ rig }) => {
    await cluster.admin.createNamespace('down');
    const kubelet = node(rig);
    const known = await run(kubelet, 'down', 'known', { app: 'known' });
    const agent = await start(rig);
    known.write(['before']);
    await agent.until((scrape) => scrape.sum(READ) === 1);
    await cluster.apiServer.kill();
    known.write(['while']);
    const stranger = kubelet.start({ namespace: 'down', pod: 'stranger' });
    stranger.write(['unknown']);
    await agent.until((scrape) => scrape.sum(READ) === 3);
    expect((await agent.scrape()).sum(WITHOUT, { reason: 'unknown' })).toBe(1);
    // The minute of the outage itself.
    await pause(60_000);
    known.write(['still']);
    await agent.until((scrape) => scrape.sum(READ) === 4);
    await cluster.apiServer.start();
    await agent.until((scrape) => scrape.sum('tailrace_kubernetes_connected') === 1);
    (await run(kubelet, 'down', 'later', { app: 'later' })).write(['later']);
    await agent.until((scrape) => scrape.sum(READ) === 5);
    await agent.stop();
    const records = writtenIn(rig.path('out.log')).map(({ record }) => record as LogRecord);
    const of = (log: string): LogRecord | undefined => records.find((record) => record['log'] === log);
    for (const log of ['before', 'while', 'still'])
      expect(of(log)).toMatchObject({ kubernetes: { labels: { app: 'known' } } });
    expect(of('later')).toMatchObject({ kubernetes: { labels: { app: 'later' } } });
    expect(of('unknown')).not.toHaveProperty('kubernetes');
  });
});
