/** The directory of pods against the real API server. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPodDirectory, podDirectoryOptions } from '../../plugins/shared/kubernetes/api/index.ts';
import type { Pod, PodDirectory } from '../../plugins/shared/kubernetes/pods.ts';
import type { Family } from '../../src/telemetry/metrics.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { optionsOf } from '../contract/support.ts';
import { recordingLog } from '../delivery/harness.ts';
import { startKubernetes } from './servers/kubernetes.ts';
import type { KubernetesServer } from './servers/kubernetes.ts';
import { eachOf } from './servers/kubernetes/admin.ts';
import { CutProxy } from './support/cut-proxy.ts';

const WAIT_MS = 60_000;
const PODS_READ = { resources: ['pods'], verbs: ['list', 'watch', 'get'] };

describe('the directory of pods', () => {
  let cluster: KubernetesServer;
  let folder: string;
  let metrics: Metrics;
  let log: ReturnType<typeof recordingLog>;
  let cleanUps: (() => Promise<void> | void)[];

  beforeAll(async () => {
    cluster = await startKubernetes();
    await cluster.admin.createServiceAccount('tailrace');
    await cluster.admin.grant('tailrace', 'tailrace', [
      PODS_READ,
      { resources: ['namespaces'], verbs: ['get'] },
    ]);
  });

  afterAll(() => cluster.close());

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tailrace-kubernetes-api-'));
    metrics = new Metrics();
    log = recordingLog();
    cleanUps = [() => rmSync(folder, { recursive: true })];
  });

  afterEach(async () => {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const tokenFile = async (account: string): Promise<string> => {
    const file = join(folder, account);
    writeFileSync(file, await cluster.admin.token(account));
    return file;
  };
  const open = async (node: string, options: Record<string, unknown> = {}): Promise<PodDirectory> => {
    const directory = await openPodDirectory(
      {
        ...optionsOf(podDirectoryOptions, {}),
        kube_url: cluster.url,
        kube_ca_file: cluster.caFile,
        kube_token_file: await tokenFile('tailrace'),
        kube_node_name: node,
        ...options,
      },
      { metrics, log, agentVersion: '1.2.3' },
    );
    cleanUps.push(() => directory.close());
    return directory;
  };
  const sum = (metric: string, labels: Record<string, string> = {}): number =>
    (metrics.families.get(metric) as Family | undefined)?.sum(labels) ?? 0;
  const until = (condition: () => boolean): Promise<void> =>
    vi.waitUntil(condition, { timeout: WAIT_MS, interval: 50 }).then(() => undefined);
  const connected = (): Promise<void> => until(() => sum('tailrace_kubernetes_connected') === 1);
  const find = async (directory: PodDirectory, name: string): Promise<Pod | string> => {
    const answer = await directory.awaitPod({ namespace: 'default', name }, WAIT_MS);
    return typeof answer === 'object' ? answer.found : answer;
  };

  it('knows what a pod is made of, and what its namespace says', async () => {
    const { admin } = cluster;
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-5', uid: 'owner-uid', controller: true },
    ];
    const pod = { name: 'web', labels: { app: 'web' }, annotations: { 'tailrace.io/parser': 'json' } };
    const [uid] = await admin.createPods([{ ...pod, ownerReferences, containers: ['app', 'side'] }]);
    const directory = await open('node-1');
    const id = 'c0'.repeat(32);
    await admin.patchStatus('default', 'web', { podIp: '10.9.8.7', containerIds: { app: id } });
    await vi.waitFor(async () => expect(await find(directory, 'web')).toMatchObject({ podIp: '10.9.8.7' }));
    expect(await find(directory, 'web')).toEqual({
      namespace: 'default',
      uid,
      nodeName: 'node-1',
      hostIp: '127.0.0.1',
      podIp: '10.9.8.7',
      ...pod,
      ownerReferences,
      containers: [
        {
          name: 'app',
          id,
          image: 'registry.local/app:1',
          imageId: `registry.local/app@sha256:${'ab'.repeat(32)}`,
        },
        { name: 'side', image: 'registry.local/side:1' },
      ],
    });
    await admin.createNamespace('team', { owner: 'me' }, { note: 'x' });
    expect(await directory.awaitNamespace('team', WAIT_MS)).toMatchObject({
      found: { labels: { owner: 'me' }, annotations: { note: 'x' } },
    });
    expect(await directory.awaitNamespace('nowhere', WAIT_MS)).toBe('absent');
    expect(await find(directory, 'nobody')).toBe('absent');
  });

  it('knows pods without the name of a node', async () => {
    await cluster.admin.createPod({ name: 'single', labels: { app: 'single' } });
    const directory = await open('', { kube_node_name: undefined });
    expect(await find(directory, 'single')).toMatchObject({ labels: { app: 'single' } });
    expect(await find(directory, 'nobody')).toBe('absent');
    expect(sum('tailrace_kubernetes_requests_total', { request: 'pod' })).toBe(2);
  });

  it('still knows 1,000 pods of which half live for a moment', async () => {
    const { admin } = cluster;
    const directory = await open('node-many');
    await connected();
    const names = Array.from({ length: 1000 }, (_, index) => `many-${index}`);
    const uids = await eachOf(names, async (name) => {
      const { metadata } = await admin.createPod({ name, node: 'node-many', labels: { app: name } });
      if (Number(name.slice(5)) % 2 === 0) await admin.deletePod('default', name);
      return metadata.uid;
    });
    const found = await Promise.all(names.map((name) => find(directory, name)));
    expect(found.map((pod) => (typeof pod === 'object' ? [pod.uid, pod.labels?.['app']] : pod))).toEqual(
      names.map((name, index) => [uids[index], name]),
    );
    await until(() => sum('tailrace_kubernetes_pods', { state: 'deleted' }) === 500);
    expect(sum('tailrace_kubernetes_pods', { state: 'live' })).toBe(500);
    expect(sum('tailrace_kubernetes_requests_total', { request: 'list' })).toBe(1);
  });

  it('says what to grant where it has no rights, and goes on when it has them', async () => {
    const { admin } = cluster;
    await admin.createServiceAccount('powerless');
    await admin.createPod({ name: 'seen-later', node: 'node-rbac', labels: { app: 'later' } });
    const directory = await open('node-rbac', { kube_token_file: await tokenFile('powerless') });
    expect(await find(directory, 'seen-later')).toBe('unknown');
    expect(await find(directory, 'another')).toBe('unknown');
    const warning = JSON.stringify(log.lines.find(({ level }) => level === 'warn'));
    expect(warning).toMatch(/grant the ServiceAccount get, list and watch/);
    expect(warning).toContain('system:serviceaccount:default:powerless');
    await admin.grant('powerless', 'powerless', [PODS_READ]);
    await connected();
    await vi.waitFor(
      async () => expect(await find(directory, 'seen-later')).toMatchObject({ labels: { app: 'later' } }),
      WAIT_MS,
    );
  });

  it('takes the new token when the old one is refused', async () => {
    const { admin } = cluster;
    await admin.createServiceAccount('rotated');
    await admin.grant('rotated', 'rotated', [PODS_READ]);
    const proxy = await new CutProxy(cluster.port).open();
    cleanUps.push(() => proxy.cut());
    await open('node-token', {
      kube_url: `https://127.0.0.1:${proxy.port}`,
      kube_token_file: await tokenFile('rotated'),
    });
    await connected();
    // Another account of that name: the old token is not its own.
    await admin.deleteServiceAccount('rotated');
    await admin.createServiceAccount('rotated');
    // The API server believes in a token that it has seen for ten seconds.
    await vi.waitFor(
      async () => {
        await proxy.cut();
        await proxy.open();
        expect(sum('tailrace_kubernetes_errors_total', { reason: 'unauthorized' })).toBeGreaterThan(0);
      },
      { timeout: WAIT_MS, interval: 500 },
    );
    expect(sum('tailrace_kubernetes_connected')).toBe(0);
    await tokenFile('rotated');
    await connected();
    expect(JSON.stringify(log.lines)).not.toContain('eyJ');
  });

  it('is back after the API server was down, and lists anew where history was forgotten', async () => {
    const { admin, apiServer } = cluster;
    await admin.createPods(['stays', 'goes'].map((name) => ({ name, node: 'node-down' })));
    const proxy = await new CutProxy(cluster.port).open();
    cleanUps.push(() => proxy.cut());
    const directory = await open('node-down', { kube_url: `https://127.0.0.1:${proxy.port}` });
    expect(await find(directory, 'goes')).toMatchObject({ name: 'goes' });
    await connected();
    await proxy.cut();
    await until(() => sum('tailrace_kubernetes_connected') === 0);
    await admin.deletePod('default', 'goes');
    await admin.createPod({ name: 'comes', node: 'node-down', labels: { app: 'new' } });
    await apiServer.kill();
    await proxy.open();
    expect(await directory.awaitPod({ namespace: 'default', name: 'comes' }, 500)).toBe('unknown');
    expect(await directory.awaitPod({ namespace: 'default', name: 'comes' }, WAIT_MS)).toBe('unknown');
    expect(directory.pod({ namespace: 'default', name: 'stays' })).toMatchObject({
      found: { name: 'stays' },
    });
    await cluster.compact();
    await apiServer.start();
    await connected();
    expect(await find(directory, 'comes')).toMatchObject({ labels: { app: 'new' } });
    // It may have been asked for by name, before the list said what is gone.
    await until(() => sum('tailrace_kubernetes_pods', { state: 'deleted' }) === 1);
    expect(sum('tailrace_kubernetes_errors_total', { reason: 'gone' })).toBeGreaterThan(0);
    expect(sum('tailrace_kubernetes_lists_total', { reason: 'gone' })).toBe(1);
    expect(sum('tailrace_kubernetes_pods', { state: 'live' })).toBe(2);
    expect(directory.pod({ namespace: 'default', name: 'goes' })).toMatchObject({ found: { name: 'goes' } });
  });
});
