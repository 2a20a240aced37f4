/** The kubernetes_events input against the real API server. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect } from 'vitest';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { startKubernetes } from './servers/kubernetes.ts';
import type { KubernetesServer } from './servers/kubernetes.ts';
import { eachOf } from './servers/kubernetes/admin.ts';
import { writtenIn } from './support/written.ts';

const delivered = 'tailrace_output_delivered_records_total';
let cluster: KubernetesServer;
let token: string;

beforeAll(async () => {
  cluster = await startKubernetes();
  const { admin } = cluster;
  await admin.createServiceAccount('events');
  await admin.grant('events', 'events', [{ resources: ['events'], verbs: ['list', 'watch'] }]);
  token = await admin.token('events');
});

afterAll(() => cluster.close());

/** A namespace of its own, and an agent's configuration that reads its events into the file `out`. */
async function configure(rig: Rig, namespace: string): Promise<void> {
  await cluster.admin.createNamespace(namespace);
  writeFileSync(rig.path('token'), token);
  rig.configure(`service: {flush: 0.1, grace: 10}
pipeline:
  inputs:
    - name: kubernetes_events
      tag: k8s
      kube_url: ${cluster.url}
      kube_ca_file: ${cluster.caFile}
      kube_token_file: ${rig.path('token')}
      kube_namespace: ${namespace}
      kube_request_limit: 50
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: out}
`);
}

/** Events of core/v1, many at once. */
const create = (namespace: string, from: number, to: number): Promise<unknown> =>
  eachOf(
    Array.from({ length: to - from }, (_, index) => from + index),
    (n) => cluster.admin.createEvent(`event-${n}`, { namespace, message: String(n) }),
  );

const messagesIn = (rig: Rig): number[] =>
  writtenIn(rig.path('out')).map(({ record }) => Number((record as { message: string }).message));
const upTo = (total: number): number[] => Array.from({ length: total }, (_, n) => n);
const ascending = (numbers: readonly number[]): number[] => numbers.toSorted((a, b) => a - b);

test('each event once, across restarts, and behind forgotten history', async ({ rig }) => {
  await configure(rig, 'once');
  await create('once', 0, 200);
  const first = await rig.start();
  await first.until((scrape) => scrape.sum(delivered) === 200);
  await create('once', 200, 300);
  await first.until((scrape) => scrape.sum(delivered) === 300);
  expect(await first.stop()).toMatchObject({ code: 0, summary: { in_doubt: 0 } });
  const versions = writtenIn(rig.path('out')).map(({ record }) =>
    Number((record as { metadata: { resourceVersion: string } }).metadata.resourceVersion),
  );
  expect(versions).toEqual(ascending(versions));

  await create('once', 300, 400);
  const second = await rig.start();
  await second.until((scrape) => scrape.sum(delivered) === 100);
  expect((await second.scrape()).sum('tailrace_kubernetes_lists_total')).toBe(0);
  await second.stop();

  await create('once', 400, 500);
  await cluster.apiServer.kill();
  await cluster.compact();
  await cluster.apiServer.start();
  const third = await rig.start();
  await third.until((scrape) => scrape.sum(delivered) === 100);
  expect((await third.scrape()).sum('tailrace_kubernetes_lists_total', { reason: 'gone' })).toBe(1);
  await third.stop();
  expect(ascending(messagesIn(rig))).toEqual(upTo(500));
});

test('none is lost when the agent is killed and when the API server is', async ({ rig }) => {
  await configure(rig, 'killed');
  const first = await rig.start();
  const creating = create('killed', 0, 400);
  await first.until((scrape) => scrape.sum(delivered) > 0);
  await first.kill();
  await creating;
  const second = await rig.start();
  await second.until((scrape) => scrape.sum('tailrace_kubernetes_connected') === 1);
  await cluster.apiServer.kill();
  await second.until((scrape) => scrape.sum('tailrace_kubernetes_connected') === 0);
  await cluster.apiServer.start();
  await create('killed', 400, 500);
  await second.until(() => new Set(messagesIn(rig)).size === 500);
  await second.stop();
  expect(ascending([...new Set(messagesIn(rig))])).toEqual(upTo(500));
});

test('the sample pipelines/kubernetes-events.yaml shows an event as the API has it', async ({ rig }) => {
  const { admin } = cluster;
  await admin.createNamespace('sample');
  writeFileSync(rig.path('token'), token);
  const agent = await rig.start({
    config: new URL('../../pipelines/kubernetes-events.yaml', import.meta.url).pathname,
    state: null,
    env: {
      KUBE_URL: cluster.url,
      KUBE_CA_FILE: cluster.caFile,
      KUBE_TOKEN_FILE: rig.path('token'),
      STATE_PATH: rig.path('sample-state'),
    },
  });
  await admin.createEvent('shown', { namespace: 'sample', message: 'to be shown' });
  await agent.until(() => agent.stdout.includes('to be shown'));
  const line = agent.stdout.split('\n').find((each) => each.includes('to be shown')) ?? '';
  // In a list, other than in a watch, events do not say what they are.
  const { kind, apiVersion, ...event } = await admin.call('GET', '/api/v1/namespaces/sample/events/shown');
  expect([kind, apiVersion]).toEqual(['Event', 'v1']);
  expect(JSON.parse(line)).toMatchObject(event);
  await agent.stop();
});
