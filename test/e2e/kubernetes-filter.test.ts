/** tail and the kubernetes filter in a real agent: metadata from the API server, and what becomes of the logs while it is down. */
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { KubeStandIn } from '../support/kube-api.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';

const CONTAINER_ID = '0123456789abcdef'.repeat(4);
const WITHOUT = 'tailrace_kubernetes_records_without_metadata_total';

/** A line as Docker writes it. */
function line(log: string, stream = 'stdout'): string {
  return `${JSON.stringify({ log: `${log}\n`, stream, time: '2026-03-14T10:00:00.000000000Z' })}\n`;
}

function logOf(rig: Rig, pod: string): string {
  return rig.path('containers', `${pod}_shop_app-${CONTAINER_ID}.log`);
}

function configure(rig: Rig, kubeUrl: string, wait: string): void {
  mkdirSync(rig.path('containers'), { recursive: true });
  rig.configure(`
service:
  flush: 0.05
parsers:
  - name: docker
    format: json
    time_key: time
    time_format: '%Y-%m-%dT%H:%M:%S.%L%z'
pipeline:
  inputs:
    - name: tail
      tag: kube.<name>
      tag_regex: '(?<name>[^/]+)$'
      path: containers/*.log
      read_from_head: on
      parser: docker
  filters:
    - name: kubernetes
      match: kube.*
      kube_tag_prefix: kube.
      kube_url: ${kubeUrl}
      kube_node_name: node-1
      kube_meta_wait: ${wait}
      merge_log: on
      keep_log: off
      k8s-logging.parser: on
      k8s-logging.exclude: on
      k8s-logging.namespaces: shop
  outputs:
    - name: stdout
      match: '*'
      format: json_lines
`);
}

interface Shown {
  log?: string;
  kubernetes?: { pod_name: string };
  [key: string]: unknown;
}

function shownBy(text: string): Shown[] {
  return text
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((each) => JSON.parse(each) as Shown);
}

test('metadata, merged lines, and what pods want of their logs', async ({ rig }) => {
  const api = await new KubeStandIn().open();
  try {
    configure(rig, api.url, '10s');
    const containers = { app: CONTAINER_ID };
    api.putPod({ namespace: 'shop', name: 'json', labels: { team: 'a' }, containers });
    // `nginx` is a stock parser that the configuration does not name.
    api.putPod({
      namespace: 'shop',
      name: 'web',
      annotations: { 'fluentbit.io/parser': 'nginx' },
      containers,
    });
    api.putPod({
      namespace: 'shop',
      name: 'quiet',
      annotations: { 'tailrace.io/exclude_stdout': 'true' },
      containers,
    });
    writeFileSync(logOf(rig, 'json'), line('{"level":"info","n":12345678901234567890}'));
    writeFileSync(
      logOf(rig, 'web'),
      line('10.0.0.1 - - [14/Mar/2026:09:59:59 +0000] "GET /cart HTTP/1.1" 200 612 "-" "curl/8"'),
    );
    writeFileSync(logOf(rig, 'quiet'), line('one') + line('two', 'stderr'));
    const agent = await rig.start();
    await agent.shown(3);

    const shown = shownBy(agent.stdout);
    const of = (pod: string): Shown[] => shown.filter(({ kubernetes }) => kubernetes?.pod_name === pod);
    expect(of('json')).toEqual([
      expect.objectContaining({
        level: 'info',
        kubernetes: expect.objectContaining({ labels: { team: 'a' }, host: 'node-1' }) as unknown,
      }),
    ]);
    expect(agent.stdout).toContain('"n":12345678901234567890');
    expect(of('json')[0]).not.toHaveProperty('log');
    expect(of('web')).toEqual([expect.objectContaining({ method: 'GET', path: '/cart', code: '200' })]);
    expect(of('quiet')).toEqual([expect.objectContaining({ log: 'two\n', stream: 'stderr' })]);
    const scrape = await agent.scrape();
    expect(scrape.sum('tailrace_filter_dropped_records_total', { name: 'kubernetes.0' })).toBe(1);
    expect(scrape.sum(WITHOUT)).toBe(0);
  } finally {
    await api.close();
  }
});

test('while the API server is down logs flow on without metadata, counted; it is used again by itself', async ({
  rig,
}) => {
  const api = await new KubeStandIn().open();
  const { port } = api;
  await api.close();
  configure(rig, api.url, '200ms');
  writeFileSync(logOf(rig, 'web'), line('one') + line('two'));
  const agent = await rig.start();
  await agent.shown(2);
  expect(shownBy(agent.stdout).every(({ kubernetes }) => kubernetes === undefined)).toBe(true);
  const counted = await agent.until((scrape) => scrape.sum(WITHOUT, { reason: 'unknown' }) === 2);
  expect(counted.sum('tailrace_filter_dropped_records_total', { name: 'kubernetes.0' })).toBe(0);

  const back = new KubeStandIn();
  back.putPod({ namespace: 'shop', name: 'web', containers: { app: CONTAINER_ID } });
  await back.open(port);
  try {
    await back.until(() => back.watching === 1);
    appendFileSync(logOf(rig, 'web'), line('three'));
    await agent.shown(3);
    expect(shownBy(agent.stdout)[2]).toMatchObject({ log: 'three\n', kubernetes: { pod_name: 'web' } });
  } finally {
    await back.close();
  }
});

test('a stop does not wait for metadata as long as records do, and loses none of them', async ({ rig }) => {
  const api = await new KubeStandIn().open();
  api.silent = true;
  try {
    configure(rig, api.url, '60s');
    writeFileSync(logOf(rig, 'web'), line('hello'));
    const agent = await rig.start();
    await agent.until((scrape) => scrape.sum('tailrace_input_read_records_total') === 1);
    expect(await agent.stop()).toMatchObject({ code: 0, summary: { read: 1, delivered: 1 } });
    expect(shownBy(agent.stdout)).toEqual([expect.objectContaining({ log: 'hello\n' })]);
  } finally {
    await api.close();
  }
});
