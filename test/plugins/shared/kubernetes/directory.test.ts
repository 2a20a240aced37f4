/** The directory of pods against a stand-in for the API server; `test/services/kubernetes-api.test.ts` is the same with the real one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPodDirectory, podDirectoryOptions } from '../../../../plugins/shared/kubernetes/api/index.ts';
import type { PodDirectory } from '../../../../plugins/shared/kubernetes/pods.ts';
import type { Family } from '../../../../src/telemetry/metrics.ts';
import { Metrics } from '../../../../src/telemetry/metrics.ts';
import { tlsFile } from '../../../net/servers.ts';
import { optionsOf } from '../../../contract/support.ts';
import { recordingLog } from '../../../delivery/harness.ts';
import { KubeStandIn } from '../../../support/kube-api.ts';

const SOON = 60_000;

describe('openPodDirectory', () => {
  let server: KubeStandIn;
  let metrics: Metrics;
  let log: ReturnType<typeof recordingLog>;
  let folder: string;
  let cleanUps: (() => Promise<void> | void)[];

  beforeEach(async () => {
    vi.stubEnv('NODE_NAME', '');
    folder = mkdtempSync(join(tmpdir(), 'tailrace-kube-'));
    metrics = new Metrics();
    log = recordingLog();
    server = await new KubeStandIn().open();
    cleanUps = [() => server.close(), () => rmSync(folder, { recursive: true })];
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  const open = async (options: Record<string, unknown> = {}): Promise<PodDirectory> => {
    const directory = await openPodDirectory(
      { ...optionsOf(podDirectoryOptions, {}), kube_url: server.url, ...options },
      { metrics, log, agentVersion: '1.2.3' },
    );
    cleanUps.push(() => directory.close());
    return directory;
  };
  const watching = (options: Record<string, unknown> = {}): Promise<PodDirectory> =>
    open({ kube_node_name: 'node-1', ...options });
  const name = (each: string): { namespace: string; name: string } => ({ namespace: 'default', name: each });
  const sum = (metric: string, labels: Record<string, string> = {}): number =>
    (metrics.families.get(metric) as Family | undefined)?.sum(labels) ?? 0;

  describe('with the name of a node', () => {
    it('knows its pods from one list and one watch, and shares them', async () => {
      server.putPod({
        name: 'web',
        labels: { app: 'web' },
        annotations: { 'tailrace.io/parser': 'json' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true },
        ],
        podIp: '10.1.1.1',
        containers: { app: 'abc', side: '' },
      });
      server.putPod({ name: 'elsewhere', node: 'node-2' });
      const directory = await watching();
      expect(await directory.awaitPod(name('web'), SOON)).toEqual({
        found: {
          namespace: 'default',
          name: 'web',
          uid: 'uid-of-web',
          nodeName: 'node-1',
          podIp: '10.1.1.1',
          hostIp: '10.0.0.1',
          labels: { app: 'web' },
          annotations: { 'tailrace.io/parser': 'json' },
          ownerReferences: [
            { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u', controller: true },
          ],
          containers: [
            {
              name: 'app',
              id: 'abc',
              image: 'registry.local/app:1',
              imageId: 'registry.local/app@sha256:abc',
            },
            { name: 'side', image: 'registry.local/side:1' },
          ],
        },
      });
      const other = await watching();
      expect(other.pod(name('web'))).toEqual(directory.pod(name('web')));
      await server.until(() => server.watching === 1);
      expect(server.requests.map((request) => request.split('?')[0])).toEqual([
        'GET /api/v1/pods',
        'GET /api/v1/pods',
      ]);
      expect(server.requests[0]).toContain(
        'fieldSelector=spec.nodeName%3Dnode-1&resourceVersion=0&limit=250',
      );
      expect(server.requests[1]).toMatch(
        /watch=1&allowWatchBookmarks=true&resourceVersion=\d+&timeoutSeconds=\d+/,
      );
      await directory.close();
      expect(other.pod(name('web'))).toMatchObject({ found: { name: 'web' } });
      await other.close();
      await server.until(() => server.watching === 0);
    });

    it('still knows a pod that lived for a moment, and hands out the same object until something changes', async () => {
      const directory = await watching();
      await server.until(() => server.watching === 1);
      const waiting = directory.awaitPod(name('brief'), SOON);
      server.putPod({ name: 'brief', labels: { app: 'a' } });
      const first = await waiting;
      server.putPod({ name: 'brief', labels: { app: 'a' } });
      server.putPod({ name: 'marker' });
      await directory.awaitPod(name('marker'), SOON);
      expect((directory.pod(name('brief')) as { found: object }).found).toBe(
        (first as { found: object }).found,
      );
      server.putPod({ name: 'brief', labels: { app: 'b' } });
      server.deletePod('brief');
      server.putPod({ name: 'marker2' });
      await directory.awaitPod(name('marker2'), SOON);
      expect(directory.pod(name('brief'))).toMatchObject({ found: { labels: { app: 'b' } } });
      expect(sum('tailrace_kubernetes_pods', { state: 'live' })).toBe(2);
      expect(sum('tailrace_kubernetes_pods', { state: 'deleted' })).toBe(1);
    });

    it('tells the generations of a name apart by uid and container', async () => {
      server.putPod({ name: 'db-0', uid: 'one', labels: { n: '1' }, containers: { app: 'aaa' } });
      const directory = await watching();
      await directory.awaitPod(name('db-0'), SOON);
      await server.until(() => server.watching === 1);
      server.putPod({ name: 'db-0', uid: 'one', labels: { n: '1' }, containers: { app: 'bbb' } });
      server.deletePod('db-0');
      server.putPod({ name: 'db-0', uid: 'two', labels: { n: '2' } });
      expect(await directory.awaitPod({ ...name('db-0'), uid: 'two' }, SOON)).toMatchObject({
        found: { labels: { n: '2' } },
      });
      for (const query of [{ uid: 'one' }, { containerId: 'bbb' }, { containerId: 'aaa' }])
        expect(directory.pod({ ...name('db-0'), ...query })).toMatchObject({ found: { uid: 'one' } });
      for (const query of [{}, { containerId: 'new' }])
        expect(directory.pod({ ...name('db-0'), ...query })).toMatchObject({ found: { uid: 'two' } });
    });

    it('knows a static pod by the hash that its logs have', async () => {
      server.putPod({
        name: 'etcd-node-1',
        uid: 'mirror',
        annotations: { 'kubernetes.io/config.hash': 'hash' },
      });
      const directory = await watching();
      const query = { ...name('etcd-node-1'), uid: 'hash' };
      expect(await directory.awaitPod(query, SOON)).toMatchObject({ found: { uid: 'mirror' } });
    });

    it('asks by name, once for all that wait, and says that a pod is absent until it is heard of', async () => {
      const directory = await watching();
      await server.until(() => server.watching === 1);
      const answers = await Promise.all([1, 2, 3].map(() => directory.awaitPod(name('nobody'), SOON)));
      expect(answers).toEqual(['absent', 'absent', 'absent']);
      expect(await directory.awaitPod(name('nobody'), SOON)).toBe('absent');
      expect(directory.pod(name('nobody'))).toBe('absent');
      expect(server.count('get')).toBe(1);
      server.putPod({ name: 'nobody' });
      server.putPod({ name: 'marker' });
      await directory.awaitPod(name('marker'), SOON);
      expect(directory.pod(name('nobody'))).toMatchObject({ found: { name: 'nobody' } });
    });

    it('goes on with a watch that ends or breaks, without a list', async () => {
      server.putPod({ name: 'a' });
      const directory = await watching();
      for (const [index, how] of (['end', 'break'] as const).entries()) {
        await server.until(() => server.watching === 1);
        server.endWatches(how);
        await server.until(() => server.watching === 0);
        server.putPod({ name: `b${index}` });
        expect(await directory.awaitPod(name(`b${index}`), SOON)).toMatchObject({ found: {} });
      }
      await server.until(() => server.watching === 1);
      expect(server.count('list')).toBe(1);
    });

    it.each(['status', 'event'] as const)(
      'lists anew after 410 Gone as %s, and sees what was deleted meanwhile',
      async (how) => {
        server.goneBy = how;
        server.putPod({ name: 'stays' });
        server.putPod({ name: 'goes' });
        const directory = await watching();
        await server.until(() => server.watching === 1);
        server.endWatches('break');
        server.deletePod('goes');
        server.putPod({ name: 'comes', labels: { app: 'new' } });
        server.compact();
        await server.until(() => server.count('list') === 2 && server.watching === 1);
        expect(await directory.awaitPod(name('comes'), SOON)).toMatchObject({
          found: { labels: { app: 'new' } },
        });
        expect(directory.pod(name('goes'))).toMatchObject({ found: { name: 'goes' } });
        expect(sum('tailrace_kubernetes_pods', { state: 'live' })).toBe(2);
        expect(sum('tailrace_kubernetes_pods', { state: 'deleted' })).toBe(1);
        expect(sum('tailrace_kubernetes_errors_total', { reason: 'gone' })).toBe(1);
        expect(sum('tailrace_kubernetes_lists_total', { reason: 'gone' })).toBe(1);
        expect(server.requests.find((request) => request.includes('NotOlderThan'))).toBeDefined();
      },
    );

    it('goes on at a bookmark', async () => {
      const directory = await watching();
      await server.until(() => server.watching === 1);
      server.compact();
      server.sendBookmark();
      server.putPod({ name: 'marker' });
      await directory.awaitPod(name('marker'), SOON);
      server.endWatches('break');
      await server.until(() => server.count('watch') === 2 && server.watching === 1);
      expect(server.count('list')).toBe(1);
    });

    it('begins anew after a line that is none', async () => {
      const directory = await watching();
      await server.until(() => server.watching === 1);
      server.sendLine('{"type":"ADDED"');
      await server.until(() => server.count('list') === 2 && server.watching === 1);
      server.putPod({ name: 'a' });
      expect(await directory.awaitPod(name('a'), SOON)).toMatchObject({ found: { name: 'a' } });
      expect(sum('tailrace_kubernetes_errors_total', { reason: 'bad_answer' })).toBe(1);
    });

    it('waits once while the server is down, and is back by itself', async () => {
      const { port } = server;
      server.putPod({ name: 'known' });
      const directory = await watching();
      await directory.awaitPod(name('known'), SOON);
      await server.until(() => server.watching === 1);
      await server.close();
      const first = directory.awaitPod(name('later'), 300);
      const second = directory.awaitPod(name('another'), SOON);
      expect([await first, await second]).toEqual(['unknown', 'unknown']);
      expect(directory.pod(name('third'))).toBe('unknown');
      expect(await directory.awaitPod(name('third'), SOON)).toBe('unknown');
      expect(directory.pod(name('known'))).toMatchObject({ found: { name: 'known' } });
      expect(sum('tailrace_kubernetes_connected')).toBe(0);
      expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
      server = await new KubeStandIn().open(port);
      server.putPod({ name: 'known' });
      server.putPod({ name: 'later' });
      await vi.waitFor(() => expect(sum('tailrace_kubernetes_connected')).toBe(1), SOON);
      expect(await directory.awaitPod(name('later'), SOON)).toMatchObject({ found: { name: 'later' } });
      expect(sum('tailrace_kubernetes_connected')).toBe(1);
    });

    it('asks pod by pod where it may not watch, and says what to grant', async () => {
      server.refuse.set('list', 403);
      server.putPod({ name: 'web', labels: { app: 'web' } });
      const directory = await watching();
      expect(await directory.awaitPod(name('web'), SOON)).toMatchObject({
        found: { labels: { app: 'web' } },
      });
      server.refuse.set('get', 403);
      expect(await directory.awaitPod(name('other'), SOON)).toBe('unknown');
      expect(await directory.awaitPod(name('further'), SOON)).toBe('unknown');
      expect(server.count('get')).toBe(2);
      const warning = log.lines.find(({ level }) => level === 'warn');
      expect(JSON.stringify(warning)).toMatch(/grant the ServiceAccount get, list and watch/);
      server.refuse.clear();
      await vi.waitFor(() => expect(sum('tailrace_kubernetes_connected')).toBe(1), SOON);
      server.putPod({ name: 'other' });
      server.putPod({ name: 'marker' });
      await directory.awaitPod(name('marker'), SOON);
      expect(directory.pod(name('other'))).toMatchObject({ found: { name: 'other' } });
    });

    it('reads the token again when it is refused, and never shows it', async () => {
      const file = join(folder, 'token');
      writeFileSync(file, 'old-secret\n');
      server.tokens.add('old-secret');
      server.putPod({ name: 'a' });
      const directory = await watching({ kube_token_file: file });
      await directory.awaitPod(name('a'), SOON);
      await server.until(() => server.watching === 1);
      server.tokens.clear();
      server.tokens.add('new-secret');
      server.endWatches('break');
      await server.until(() => sum('tailrace_kubernetes_errors_total', { reason: 'unauthorized' }) > 0);
      writeFileSync(file, 'new-secret');
      await server.until(() => server.watching === 1);
      expect(JSON.stringify(log.lines)).not.toContain('secret');
      expect(JSON.stringify(log.lines)).toContain('does not accept the token');
    });

    it('says what to do where no token is mounted', async () => {
      const directory = await watching({ kube_token_file: join(folder, 'none') });
      expect(await directory.awaitPod(name('a'), 50)).toBe('unknown');
      await vi.waitFor(
        () =>
          expect(JSON.stringify(log.lines)).toMatch(/kube_token_file .*none.*Is a ServiceAccount mounted/),
        SOON,
      );
    });

    it('does not wait again for a server that takes requests and says nothing', async () => {
      const directory = await watching();
      await server.until(() => server.watching === 1);
      server.silent = true;
      expect(await directory.awaitPod(name('a'), 50)).toBe('unknown');
      expect(await directory.awaitPod(name('b'), SOON)).toBe('unknown');
      server.putPod({ name: 'c' });
      await vi.waitFor(() => expect(directory.pod(name('c'))).toMatchObject({ found: {} }), SOON);
      server.silent = false;
      server.putPod({ name: 'd', node: 'node-2' });
      server.breakConnections();
      await vi.waitFor(
        async () => expect(await directory.awaitPod(name('d'), SOON)).toMatchObject({ found: {} }),
        SOON,
      );
    });
  });

  describe('without the name of a node', () => {
    it('asks for each pod once, and again when a container turns up', async () => {
      server.putPod({ name: 'web', containers: { app: 'aaa' } });
      const directory = await open();
      const query = { ...name('web'), containerId: 'aaa' };
      expect(directory.pod(query)).toBeUndefined();
      await Promise.all([directory.awaitPod(query, SOON), directory.awaitPod(query, SOON)]);
      expect(directory.pod(query)).toMatchObject({ found: { uid: 'uid-of-web' } });
      expect(server.requests).toEqual(['GET /api/v1/namespaces/default/pods/web']);
      server.putPod({ name: 'web', containers: { app: 'bbb' } });
      const restarted = { ...query, containerId: 'bbb' };
      expect(directory.pod(restarted)).toBeUndefined();
      expect(await directory.awaitPod(restarted, SOON)).toMatchObject({
        found: { containers: [{ id: 'bbb' }] },
      });
      const unheard = { ...query, containerId: 'ccc' };
      expect(await directory.awaitPod(unheard, SOON)).toMatchObject({
        found: { containers: [{ id: 'bbb' }] },
      });
      expect(directory.pod(unheard)).toMatchObject({ found: {} });
      expect(server.requests).toHaveLength(3);
    });

    it('asks again in the background when what it knows is old', async () => {
      server.putPod({ name: 'web', labels: { n: '1' } });
      const directory = await open({ kube_meta_cache_ttl: 0.001 });
      await directory.awaitPod(name('web'), SOON);
      server.putPod({ name: 'web', labels: { n: '2' } });
      await vi.waitFor(() =>
        expect(directory.pod(name('web'))).toMatchObject({ found: { labels: { n: '2' } } }),
      );
    });

    it('tries again while somebody waits, and does not wait again after that', async () => {
      const { port } = server;
      await server.close();
      const directory = await open();
      const waiting = directory.awaitPod(name('web'), SOON);
      await vi.waitFor(() => expect(sum('tailrace_kubernetes_errors_total')).toBeGreaterThan(0));
      server = await new KubeStandIn().open(port);
      server.putPod({ name: 'web' });
      expect(await waiting).toMatchObject({ found: { name: 'web' } });
      server.silent = true;
      expect(await directory.awaitPod(name('slow'), 50)).toBe('unknown');
      expect(await directory.awaitPod(name('slow'), SOON)).toBe('unknown');
      expect(await directory.awaitPod(name('further'), SOON)).toBe('unknown');
      server.silent = false;
      server.putPod({ name: 'further' });
      server.breakConnections();
      await vi.waitFor(
        async () => expect(await directory.awaitPod(name('further'), SOON)).toMatchObject({ found: {} }),
        SOON,
      );
    });
  });

  it('asks the kubelet for its list, and once more for pods that are not in it', async () => {
    const kubelet = await new KubeStandIn({ encrypted: true }).open();
    cleanUps.push(() => kubelet.close());
    kubelet.putPod({ name: 'web', labels: { n: '1' } });
    server.putNamespace('default', { in: 'api' });
    const directory = await watching({
      use_kubelet: true,
      kubelet_port: kubelet.port,
      kube_ca_file: tlsFile('ca.pem'),
      kube_meta_cache_ttl: 1,
    });
    expect(await directory.awaitPod(name('web'), SOON)).toMatchObject({ found: { labels: { n: '1' } } });
    const absent = await Promise.all([name('x'), name('y')].map((each) => directory.awaitPod(each, SOON)));
    expect(absent).toEqual(['absent', 'absent']);
    expect(kubelet.requests.length).toBeLessThanOrEqual(3);
    kubelet.putPod({ name: 'web', labels: { n: '2' } });
    await vi.waitFor(
      () => expect(directory.pod(name('web'))).toMatchObject({ found: { labels: { n: '2' } } }),
      SOON,
    );
    expect(await directory.awaitNamespace('default', SOON)).toMatchObject({
      found: { labels: { in: 'api' } },
    });
    expect(server.requests).toEqual(['GET /api/v1/namespaces/default']);
  });

  it('asks for namespaces by name, once, and believes that one is absent', async () => {
    server.putNamespace('team', { owner: 'me' }, { note: 'x' });
    const directory = await watching();
    expect(directory.namespace('team')).toBeUndefined();
    await Promise.all([directory.awaitNamespace('team', SOON), directory.awaitNamespace('team', SOON)]);
    expect(directory.namespace('team')).toEqual({
      found: { name: 'team', labels: { owner: 'me' }, annotations: { note: 'x' } },
    });
    expect(await directory.awaitNamespace('none', SOON)).toBe('absent');
    expect(directory.namespace('none')).toBe('absent');
    expect(server.count('get')).toBe(2);
  });

  it('waits once for namespaces while nothing is said, whatever becomes of pods', async () => {
    server.putNamespace('team');
    const directory = await open();
    server.silent = true;
    expect(await directory.awaitNamespace('team', 50)).toBe('unknown');
    expect(await directory.awaitNamespace('other', SOON)).toBe('unknown');
    expect(directory.namespace('third')).toBe('unknown');
    server.silent = false;
    server.breakConnections();
    await vi.waitFor(
      async () =>
        expect(await directory.awaitNamespace('team', SOON)).toMatchObject({ found: { name: 'team' } }),
      SOON,
    );
    server.refuse.set('get', 403);
    expect(await directory.awaitNamespace('hidden', SOON)).toBe('unknown');
    expect(directory.namespace('hidden')).toBe('unknown');
    server.refuse.clear();
    server.putNamespace('seen');
    expect(await directory.awaitNamespace('seen', SOON)).toMatchObject({ found: { name: 'seen' } });
  });
});
