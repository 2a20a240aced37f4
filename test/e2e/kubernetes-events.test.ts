/** The kubernetes_events input, against a stand-in for the API server; `test/services/kubernetes-events.test.ts` has the real one. */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect } from 'vitest';
import { writtenIn } from '../services/support/written.ts';
import type { WrittenEvent } from '../services/support/written.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { KubeStandIn } from '../support/kube-api.ts';

const delivered = 'tailrace_output_delivered_records_total';

const putEvent = (
  server: KubeStandIn,
  name: string,
  { at = new Date(), count = 1, namespace = 'default' } = {},
): void => {
  const time = `${at.toISOString().slice(0, 19)}Z`;
  server.put(`/api/v1/namespaces/${namespace}/events`, {
    metadata: { name, namespace, uid: `uid-of-${name}`, resourceVersion: '', creationTimestamp: time },
    reason: 'Killing',
    message: `Stopping ${name}`,
    lastTimestamp: time,
    count,
  });
};

const namesIn = (events: WrittenEvent[]): string[] =>
  events.map(({ record }) => {
    const { metadata, count } = record as { metadata: { name: string }; count: number };
    return count === 1 ? metadata.name : `${metadata.name} ${count}`;
  });

async function standIn(cleanUp: (work: () => Promise<void>) => void): Promise<KubeStandIn> {
  const server = await new KubeStandIn().open();
  cleanUp(() => server.close());
  return server;
}

function configure(rig: Rig, server: KubeStandIn, more = ''): void {
  rig.configure(`service: {flush: 0.1, grace: 5}
pipeline:
  inputs:
    - {name: kubernetes_events, tag: k8s, kube_url: '${server.url}', interval_nsec: 50000000${more}}
  outputs:
    - {name: file, match: '*', path: ${rig.path()}, file: out}
`);
}

test('reads what is there by age of change, then what happens, and goes on after a restart', async ({
  rig,
  onTestFinished,
}) => {
  const server = await standIn(onTestFinished);
  putEvent(server, 'zebra');
  putEvent(server, 'ancient', { at: new Date(Date.now() - 2 * 3_600_000) });
  putEvent(server, 'ant');
  configure(rig, server);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum(delivered) === 2);
  await server.until(() => server.watching === 1);
  putEvent(server, 'live');
  putEvent(server, 'zebra', { count: 2 });
  await agent.until((scrape) => scrape.sum(delivered) === 4);
  expect((await agent.scrape()).sum('tailrace_input_read_bytes_total')).toBe(0);
  const [first] = writtenIn(rig.path('out'));
  expect(first).toMatchObject({
    tag: 'k8s',
    record: {
      metadata: { name: 'zebra', uid: 'uid-of-zebra' },
      reason: 'Killing',
      message: 'Stopping zebra',
    },
  });
  const { nanos, record } = first as WrittenEvent;
  const { lastTimestamp } = record as { lastTimestamp: string };
  expect(nanos).toBe(BigInt(Date.parse(lastTimestamp)) * 1_000_000n);
  expect(await agent.stop()).toMatchObject({ code: 0, summary: { read: 4, delivered: 4, in_doubt: 0 } });

  putEvent(server, 'meanwhile', { at: new Date(Date.now() - 2 * 3_600_000) });
  server.requests.length = 0;
  const again = await rig.start();
  await again.until((scrape) => scrape.sum(delivered) === 1);
  // One look whether it is the same history; no list.
  expect(server.requests.filter((request) => !request.includes('watch='))).toEqual([
    'GET /api/v1/events?limit=1',
  ]);
  // What was forgotten meanwhile is listed, and what was sent is not sent again.
  server.endWatches();
  putEvent(server, 'unseen');
  server.compact();
  await again.until((scrape) => scrape.sum(delivered) === 2);
  await again.stop();
  expect(namesIn(writtenIn(rig.path('out')))).toEqual([
    'zebra',
    'ant',
    'live',
    'zebra 2',
    'meanwhile',
    'unseen',
  ]);
});

test('a resource version that is no number is not taken for a position', async ({ rig, onTestFinished }) => {
  const server = await standIn(onTestFinished);
  putEvent(server, 'before');
  configure(rig, server);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum(delivered) === 1);
  await server.until(() => server.watching === 1);
  const object = { metadata: { name: 'odd', resourceVersion: 'v1' } };
  server.sendLine(JSON.stringify({ type: 'MODIFIED', object }));
  await server.until(() => server.watching === 0);
  putEvent(server, 'after');
  await agent.until((scrape) => scrape.sum(delivered) === 2);
  await agent.stop();
  putEvent(server, 'later');
  const again = await rig.start();
  await again.until((scrape) => scrape.sum(delivered) === 1);
  await again.stop();
  expect(namesIn(writtenIn(rig.path('out')))).toEqual(['before', 'after', 'later']);
});

test('reads from the beginning where the history is another one, and one namespace alone', async ({
  rig,
  onTestFinished,
}) => {
  const old = await standIn(onTestFinished);
  for (let index = 0; index < 20; index++) putEvent(old, `old-${index}`);
  putEvent(old, 'elsewhere', { namespace: 'other' });
  configure(rig, old, ', kube_namespace: default, kube_request_limit: 3');
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum(delivered) === 20);
  await agent.stop();
  expect(old.requests.filter((request) => request.includes('continue=')).length).toBeGreaterThan(5);
  const { port } = old;
  await old.close();
  const made = await new KubeStandIn().open(port);
  onTestFinished(() => made.close());
  putEvent(made, 'new');
  const again = await rig.start();
  await again.said(/another history/);
  await again.until((scrape) => scrape.sum(delivered) === 1);
  await again.stop();
  expect(namesIn(writtenIn(rig.path('out'))).at(-1)).toBe('new');
});

test('goes on behind the newest event in a database of Fluent Bit', async ({ rig, onTestFinished }) => {
  const server = await standIn(onTestFinished);
  putEvent(server, 'sent');
  const database = new DatabaseSync(rig.path('flb.db'));
  database.exec(
    'CREATE TABLE in_kubernetes_events (id INTEGER PRIMARY KEY, uid TEXT NOT NULL, resourceVersion INTEGER NOT NULL, created INTEGER NOT NULL)',
  );
  database.exec(
    "INSERT INTO in_kubernetes_events (uid, resourceVersion, created) VALUES ('a', 90, 1), ('b', 101, 1)",
  );
  database.close();
  putEvent(server, 'open');
  configure(rig, server, `, db: ${rig.path('flb.db')}`);
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum(delivered) === 1);
  await agent.stop();
  expect(namesIn(writtenIn(rig.path('out')))).toEqual(['open']);
});

test('says once what right is missing, and reads when it has it', async ({ rig, onTestFinished }) => {
  const server = await standIn(onTestFinished);
  putEvent(server, 'one');
  server.refuse.set('list', 403);
  configure(rig, server);
  const agent = await rig.start();
  const line = await agent.said(/Events of Kubernetes cannot be read now/);
  expect(String(line['problem'])).toMatch(/grant the ServiceAccount get, list and watch/);
  await server.until(() => server.requests.length >= 2);
  server.refuse.clear();
  await agent.until((scrape) => scrape.sum(delivered) === 1);
  expect(agent.log.filter(({ msg }) => /cannot be read now/.test(msg))).toHaveLength(1);
  await agent.stop();
});

test('the sample pipelines/kubernetes-events.yaml', async ({ rig, onTestFinished }) => {
  const server = await standIn(onTestFinished);
  copyFileSync(
    join(import.meta.dirname, '../../pipelines/kubernetes-events.yaml'),
    rig.path('pipeline.yaml'),
  );
  putEvent(server, 'shown');
  const env = { KUBE_URL: server.url };
  const agent = await rig.start({ env, state: null });
  await agent.shown(1);
  expect(JSON.parse(agent.stdout)).toMatchObject({ metadata: { name: 'shown' }, message: 'Stopping shown' });
  await agent.stop();
});
