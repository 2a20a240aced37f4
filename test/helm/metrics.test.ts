/**
 * The names that the chart's alerts and its dashboard ask for are those that agents expose, with the labels that are asked for. Families come
 * into being with what they count, so agents are led through what alerts are about: refusals, losses, evictions.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse } from 'yaml';
import type { AgentProcess } from '../support/agent.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';
import { KubeStandIn } from '../support/kube-api.ts';
import { Kubelet } from '../support/kubelet.ts';
import { numberedLines } from '../support/numbered.ts';

const FILES = join(import.meta.dirname, '../../helm/tailrace/files');
/** Prometheus puts these on every series of a target. */
const TARGET = new Set(['job', 'namespace', 'pod', 'exported_namespace']);
/** What is not the agent's. */
const FOREIGN = /^(up|kube_\w+)$/;

/** Metric → the labels that it is asked for by. */
type Wanted = Map<string, Set<string>>;

/** Every name of a metric in an expression, with the labels of its matchers and of what it is summed by. */
function wantedBy(expressions: readonly string[]): Wanted {
  const wanted: Wanted = new Map();
  for (const expression of expressions) {
    const grouped = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) =>
      labels.split(/, */),
    );
    for (const [, name = '', matchers = ''] of expression.matchAll(/\b([a-z]\w*)\{([^}]*)\}/g)) {
      const labels = wanted.get(name) ?? new Set<string>();
      wanted.set(name, labels);
      for (const [, label = ''] of matchers.matchAll(/(\w+)(?:=~?|!~|!=)"/g)) labels.add(label);
      for (const label of grouped) labels.add(label);
    }
  }
  for (const [name, labels] of wanted) {
    if (FOREIGN.test(name)) wanted.delete(name);
    for (const label of labels) if (TARGET.has(label)) labels.delete(label);
  }
  return wanted;
}

function alertExpressions(): string[] {
  const text = readFileSync(join(FILES, 'alerts.yaml'), 'utf8');
  const rules = parse(text) as { expr: string }[];
  return rules.map(({ expr }) =>
    expr.replaceAll('$agents', 'job="a"').replaceAll('$namespace', 'a').replaceAll('$workload', 'a'),
  );
}

function dashboardExpressions(): string[] {
  const { panels } = JSON.parse(readFileSync(join(FILES, 'dashboard.json'), 'utf8')) as {
    panels: { targets?: { expr: string }[] }[];
  };
  return panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

/** Metric → the labels of its series, of what an agent exposes. */
async function exposedBy(agent: AgentProcess, into: Wanted): Promise<void> {
  const text = await (await fetch(`${await agent.api()}/metrics`)).text();
  for (const [, name = '', pairs = ''] of text.matchAll(/^([a-z_0-9]+)(?:\{(.*)\})? \S+$/gm)) {
    const labels = into.get(name) ?? new Set<string>();
    into.set(name, labels);
    for (const [, label = ''] of pairs.matchAll(/(\w+)="/g)) labels.add(label);
  }
}

const pipeline = (port: number): string => `
service: { flush: 0.02, grace: 0.5, scheduler.base: 0.01, scheduler.cap: 0.05, dead_letters.limit: 100k, storage.type: filesystem }
pipeline:
  inputs:
    - { name: tail, path: 'app.log, odd.log', tag: app, read_from_head: on }
  filters:
    - { name: grep, match: app, exclude: log ^unwanted }
  outputs:
    - { name: http, alias: refusing, match: app, port: ${port}, format: json_lines }
    - { name: file, alias: taking, match: app, path: ., file: out }
`;

/** An agent whose destination fails, then refuses everything, more than its dead letters may take. */
async function troubled(rig: Rig, exposed: Wanted): Promise<void> {
  const sink = await rig.sink();
  sink.behave = (index) => ({ status: index === 0 ? 503 : 400 });
  writeFileSync(rig.path('app.log'), `unwanted\n${numberedLines('app', 0, 12, 20_000)}`);
  mkdirSync(rig.path('odd.log'));
  rig.configure(pipeline(sink.port));
  const agent = await rig.start();
  await agent.until((scrape) => scrape.sum('tailrace_dead_letters_evicted_total') > 0);
  await exposedBy(agent, exposed);
  await agent.kill();
}

/** An agent that comes back after a file went that it had not delivered. */
async function tooLate(rig: Rig, exposed: Wanted): Promise<void> {
  writeFileSync(rig.path('late.log'), numberedLines('late', 0, 3));
  writeFileSync(
    rig.path('late.yaml'),
    `
service: { flush: 0.02, grace: 0.5 }
pipeline:
  inputs:
    - { name: tail, path: late.log, tag: app, read_from_head: on }
  outputs:
    - { name: http, match: app, port: 9, format: json_lines }
`,
  );
  const first = await rig.start({ config: 'late.yaml' });
  await first.until((scrape) => scrape.sum('tailrace_output_buffered_records') === 3);
  await first.kill();
  rmSync(rig.path('late.log'));
  const second = await rig.start({ config: 'late.yaml' });
  await second.until((scrape) => scrape.sum('tailrace_input_lost_bytes_total') > 0);
  await exposedBy(second, exposed);
  await second.kill();
}

/** An agent without a state: what its destination refuses is dropped. */
async function stateless(rig: Rig, exposed: Wanted): Promise<void> {
  const sink = await rig.sink();
  sink.behave = () => ({ status: 400 });
  writeFileSync(rig.path('app.log'), numberedLines('app', 0, 3));
  writeFileSync(rig.path('stateless.yaml'), pipeline(sink.port).replace(', storage.type: filesystem', ''));
  const agent = await rig.start({ config: 'stateless.yaml', state: 'off' });
  await agent.until((scrape) => scrape.sum('tailrace_output_dropped_records_total') > 0);
  await exposedBy(agent, exposed);
}

/** An agent of a node, with a pod that writes more than it may and one that the API server does not know. */
async function onNode(rig: Rig, exposed: Wanted): Promise<void> {
  const api = await new KubeStandIn().open();
  try {
    const kubelet = new Kubelet(rig.path('log'));
    const known = kubelet.start({ namespace: 'shop', pod: 'web' });
    api.putPod({ namespace: 'shop', name: 'web', uid: known.uid, containers: { main: known.id } });
    known.write(Array.from({ length: 20 }, (_, n) => `line ${n}`));
    kubelet.start({ namespace: 'shop', pod: 'stranger' }).write(['who?']);
    writeFileSync(
      rig.path('node.yaml'),
      `
service: { flush: 0.02, grace: 0.5 }
pipeline:
  inputs:
    - name: kubernetes_logs
      path: log/containers/*.log
      allowed_roots: ${rig.directory}
      kube_url: ${api.url}
      kube_node_name: node-1
      pod_rate_limit: 1
  outputs:
    - { name: 'null', match: '*' }
`,
    );
    const agent = await rig.start({ config: 'node.yaml' });
    await agent.until((scrape) => scrape.sum('tailrace_kubernetes_suppressed_records_total') > 0);
    await agent.until((scrape) => scrape.sum('tailrace_kubernetes_records_without_metadata_total') > 0);
    await exposedBy(agent, exposed);
    await agent.kill();
  } finally {
    await api.close();
  }
}

test('alerts and dashboard ask for what agents expose', async ({ rig }) => {
  const exposed: Wanted = new Map();
  await troubled(rig, exposed);
  await tooLate(rig, exposed);
  await stateless(rig, exposed);
  await onNode(rig, exposed);
  const wanted = wantedBy([...alertExpressions(), ...dashboardExpressions()]);
  expect(wanted.size).toBeGreaterThan(30);
  const missing = [...wanted].flatMap(([name, labels]) => {
    const found = exposed.get(name);
    if (found === undefined) return [name];
    return [...labels].filter((label) => !found.has(label)).map((label) => `${name}{${label}}`);
  });
  expect(missing).toEqual([]);
});
