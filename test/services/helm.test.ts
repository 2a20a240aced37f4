/** The chart: rendered by helm, judged by the schemas of Kubernetes, promtool, the agent itself, and the real API server. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { checkConfiguration } from '../../src/cli/configuration.ts';
import type { Problem } from '../../src/config/problem.ts';
import { ROOT, snippets } from '../docs/snippets.ts';
import { AgentProcess } from '../support/agent.ts';
import { mountConfigMap } from '../support/config-map.ts';
import { Kubelet } from '../support/kubelet.ts';
import { tlsFile } from '../net/servers.ts';
import { ALERT_CASES, promtoolTests } from './helm/alerts.ts';
import type { AlertRule } from './helm/alerts.ts';
import { definitionFiles, manifests, runHelm, runPromtool, validate } from './servers/helm.ts';
import type { Manifest } from './servers/helm.ts';
import { startKubernetes } from './servers/kubernetes.ts';
import type { KubernetesServer } from './servers/kubernetes.ts';
import { writtenIn } from './support/written.ts';

const CHART = join(import.meta.dirname, '../../helm/tailrace');
const VALUES = readdirSync(join(CHART, 'ci')).map((file) => join(CHART, 'ci', file));
const nameOf = (file: string): string => basename(file, '-values.yaml');
/** helm's own idea of a version is old where it was built from its module. */
const VERSIONS = ['1.28', '1.29', '1.30', '1.31', '1.32', '1.33', '1.34', '1.35', '1.36'];
const OPERATOR = 'monitoring.coreos.com/v1';

let folder: string;
/** Of each value file, what helm makes of it, and where that lies. */
const rendered = new Map<string, { file: string; objects: Manifest[] }>();

function template(values: string, ...args: readonly string[]): Promise<string> {
  return runHelm([
    'template',
    'logs',
    CHART,
    '-n',
    'logging',
    '--kube-version',
    '1.36.0',
    '-f',
    values,
    ...args,
  ]);
}

function objectsOf(name: string): Manifest[] {
  const found = rendered.get(name);
  if (found === undefined) throw new Error(`There is no value file ${name}.`);
  return found.objects;
}

function objectOf(name: string, kind: string): Manifest {
  const found = objectsOf(name).find((each) => each.kind === kind);
  if (found === undefined) throw new Error(`${name} renders no ${kind}.`);
  return found;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tailrace-helm-'));
  for (const values of VALUES) {
    const text = await template(values);
    const file = join(folder, `${nameOf(values)}.yaml`);
    writeFileSync(file, text);
    rendered.set(nameOf(values), { file, objects: manifests(text) });
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface PodSpec {
  securityContext: Record<string, unknown>;
  initContainers?: readonly Container[];
  containers: readonly Container[];
  volumes: readonly { name: string; hostPath?: { path: string } }[];
  [key: string]: unknown;
}

interface Container {
  name: string;
  args?: string[];
  env: { name: string; value?: string; valueFrom?: { secretKeyRef?: object } }[];
  securityContext: { capabilities: { drop: string[]; add?: string[] }; [key: string]: unknown };
  volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
  [key: string]: unknown;
}

function podOf({ spec }: Manifest): PodSpec {
  return (spec as { template: { spec: PodSpec } }).template.spec;
}

describe('helm', () => {
  it.for(VALUES.map(nameOf))('finds nothing to say of the chart with %s', async (name) => {
    const values = join(CHART, 'ci', `${name}-values.yaml`);
    const said = await runHelm(['lint', CHART, '--strict', '--kube-version', '1.36.0', '-f', values]);
    expect(said).toContain('1 chart(s) linted, 0 chart(s) failed');
    expect(said).not.toContain('[WARNING]');
  });

  it.for([
    ['a destination that is missing', ['--set', 'output=null'], /Where should the records go\?/],
    ['an output that there is not', ['--set', 'output.name=elasticsaerch'], /output\/name|output\.name/],
    ['an option that the output has not', ['--set', 'output.hots=x'], /hots/],
    ['an option of the wrong type', ['--set', 'output.port=high'], /output.port/],
    ['a filter without a name', ['--set', 'config.filters[0].match=a'], /config.filters.0/],
    ['a service key that there is not', ['--set', 'config.service.flsh=1'], /flsh/],
    ['a value that there is not', ['--set', 'clustername=a'], /clustername/],
    ['a kind that there is not', ['--set', 'kind=StatefulSet'], /kind/],
    ['a cluster name that would be two words', ['--set', 'clusterName=a b'], /clusterName/],
    ['aggregators that listen to nothing', ['--set', 'kind=Deployment'], /set config\.inputs/],
    ['a claim without a name', ['--set', 'state.type=persistentVolumeClaim'], /state\.claimName/],
    [
      'a claim for two',
      [
        '-f',
        join(CHART, 'ci/aggregator-values.yaml'),
        '--set',
        'state.type=persistentVolumeClaim,state.claimName=a',
      ],
      /state of one agent/,
    ],
    ['a Kubernetes that is too old', ['--kube-version', '1.27.0'], /kubeVersion/],
  ] as [string, string[], RegExp][])('refuses %s', async ([, args, message]) => {
    await expect(template(join(CHART, 'ci/default-values.yaml'), ...args)).rejects.toThrow(message);
  });
});

describe('what it renders', () => {
  it.for(VERSIONS)('is right for Kubernetes %s', async (version) => {
    const said = await validate(
      [...rendered.values()].map(({ file }) => file),
      version,
    );
    // Only the operator's objects have no schema here: the API server below knows them.
    const unknown = new Set(
      [...said.matchAll(/find schema for kind (\w+) with api version (\S+)/g)].map(
        ([, kind, api]) => `${api} ${kind}`,
      ),
    );
    expect([...unknown].filter((each) => !each.startsWith(OPERATOR))).toEqual([]);
    expect(said.match(/passed for resource daemonset/g)).toHaveLength(4);
    expect(said.match(/passed for resource deployment/g)).toHaveLength(1);
  });

  it('is a DaemonSet without privileges that sees the logs and writes its state', () => {
    const pod = podOf(objectOf('default', 'DaemonSet'));
    expect(pod.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      supplementalGroups: [0],
      seccompProfile: { type: 'RuntimeDefault' },
    });
    const [container] = pod.containers;
    expect(container?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const hosts = new Map(pod.volumes.map(({ name, hostPath }) => [name, hostPath?.path]));
    expect(
      container?.volumeMounts.map(({ name, mountPath, readOnly }) => [
        hosts.get(name),
        mountPath,
        readOnly ?? false,
      ]),
    ).toEqual([
      [undefined, '/etc/tailrace', true],
      ['/var/lib/tailrace/logging-logs-tailrace', '/var/lib/tailrace', false],
      ['/var/log', '/var/log', true],
    ]);
    expect(container).toMatchObject({
      startupProbe: { httpGet: { path: '/health' } },
      livenessProbe: { httpGet: { path: '/health' } },
      readinessProbe: { httpGet: { path: '/ready' } },
    });
    expect(pod['tolerations']).toEqual([{ operator: 'Exists' }]);
    expect(pod).not.toHaveProperty('hostNetwork');
    expect(pod.initContainers?.map(({ securityContext }) => securityContext.capabilities)).toEqual([
      { drop: ['ALL'], add: ['CHOWN'] },
    ]);
  });

  it('has no right but to see pods and namespaces', () => {
    const roles = objectsOf('default').filter(
      ({ kind }) => kind.includes('Role') && !kind.includes('Binding'),
    );
    expect(roles.map(({ kind, ...role }) => [kind, (role as unknown as { rules: unknown }).rules])).toEqual([
      [
        'ClusterRole',
        [
          { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] },
          { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
        ],
      ],
    ]);
    expect(objectsOf('minimal').map(({ kind }) => kind)).toEqual(['ConfigMap', 'DaemonSet']);
    expect(podOf(objectOf('aggregator', 'Deployment'))['automountServiceAccountToken']).toBe(false);
  });

  it('lets no pod say what becomes of its logs, unless it is told to', () => {
    expect(objectOf('default', 'ConfigMap').data?.['tailrace.yaml']).not.toContain('k8s-logging');
  });

  it('reads by CAP_DAC_READ_SEARCH and nothing else, where that is wanted', () => {
    const pod = podOf(objectOf('minimal', 'DaemonSet'));
    expect(pod.securityContext).toEqual({
      runAsNonRoot: false,
      runAsUser: 0,
      runAsGroup: 0,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.containers[0]?.securityContext.capabilities).toEqual({
      drop: ['ALL'],
      add: ['DAC_READ_SEARCH'],
    });
    expect(pod).not.toHaveProperty('initContainers');
  });

  it('takes secrets from the environment, and has none in the ConfigMap', () => {
    const { env } = podOf(objectOf('loki', 'DaemonSet')).containers[0] as Container;
    expect(env.find(({ name }) => name === 'LOKI_PASSWORD')).toEqual({
      name: 'LOKI_PASSWORD',
      valueFrom: { secretKeyRef: { name: 'loki-credentials', key: 'password' } },
    });
    expect(objectOf('loki', 'ConfigMap').data?.['tailrace.yaml']).toContain(
      '"http_passwd": "${LOKI_PASSWORD}"',
    );
  });

  it('restarts pods for the service section, and for nothing that they take up themselves', async () => {
    const annotations = async (...args: string[]): Promise<object> => {
      const text = await template(
        join(CHART, 'ci/default-values.yaml'),
        '-s',
        'templates/daemonset.yaml',
        ...args,
      );
      const [found] = manifests(text) as unknown as [
        { spec: { template: { metadata: { annotations: object } } } },
      ];
      return found.spec.template.metadata.annotations;
    };
    const before = await annotations();
    expect(await annotations('--set', 'output.host=elsewhere')).toEqual(before);
    expect(await annotations('--set', 'config.service.memory_limit=32M')).not.toEqual(before);
    const off = await annotations('--set', 'hotReload.enabled=false');
    expect(await annotations('--set', 'hotReload.enabled=false,output.host=elsewhere')).not.toEqual(off);
    // A text of one's own is looked at only when it says so.
    const text = await annotations('--set', 'config.text=a');
    expect(await annotations('--set', 'config.text=b')).not.toEqual(text);
    const watched = await annotations('--set', 'config.text=a: hot_reload.watch');
    expect(await annotations('--set', 'config.text=b: hot_reload.watch')).toEqual(watched);
  });

  it.for(VALUES.map(nameOf))('has a configuration that the agent takes: %s', async (name, { annotate }) => {
    const problems = await problemsOf(objectsOf(name));
    for (const { level, message } of problems) if (level !== 'error') await annotate(message);
    expect(problems.filter(({ level }) => level !== 'info')).toEqual([]);
  });
});

/** What the agent says of the configuration among these objects. */
async function problemsOf(objects: readonly Manifest[]): Promise<readonly Problem[]> {
  const pod = podOf(objects.find(({ kind }) => kind === 'DaemonSet' || kind === 'Deployment') as Manifest);
  const [container] = pod.containers;
  let text = objects.find(({ data }) => data?.['tailrace.yaml'] !== undefined)?.data?.['tailrace.yaml'] ?? '';
  // Files of mounted secrets: those of the tests.
  for (const [file, own] of Object.entries({
    'ca.crt': 'ca.pem',
    'tls.crt': 'server.pem',
    'tls.key': 'server.key',
  }))
    text = text.replaceAll(new RegExp(`/etc/tailrace-\\w+/${file.replace('.', '\\.')}`, 'g'), tlsFile(own));
  const file = join(mkdtempSync(join(folder, 'check-')), 'tailrace.yaml');
  writeFileSync(file, text);
  const before = { ...process.env };
  try {
    for (const { name: variable, value } of container?.env ?? []) process.env[variable] = value ?? 'a-value';
    return (await checkConfiguration(file)).problems;
  } finally {
    process.env = before;
  }
}

describe('what the documentation shows', () => {
  const shown = snippets();

  it.for(shown.filter(({ kind }) => kind === 'values'))('installs: $at', async ({ text }) => {
    const directory = mkdtempSync(join(folder, 'docs-'));
    const values = join(directory, 'values.yaml');
    writeFileSync(values, text);
    const said = await template(values);
    const file = join(directory, 'objects.yaml');
    writeFileSync(file, said);
    expect(await validate([file], '1.36')).toMatch(/passed for resource (daemonset|deployment)/);
    expect((await problemsOf(manifests(said))).filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.for(['docs/kubernetes.md', 'helm/tailrace/README.md'])(
    'installs by the commands of %s',
    async (page) => {
      const text = readFileSync(join(ROOT, page), 'utf8');
      const commands = [...text.matchAll(/^helm install ((?:.*\\\n)*.*)$/gm)];
      expect(commands.length).toBeGreaterThan(0);
      for (const [, command = ''] of commands) {
        const args = command
          .replaceAll('\\\n', ' ')
          .replace('helm/tailrace', CHART)
          .replace('-f values.yaml', `-f ${join(CHART, 'ci/default-values.yaml')}`)
          .split(/\s+/)
          .filter((word) => word !== '' && word !== '--create-namespace');
        const objects = manifests(await runHelm(['template', ...args, '--kube-version', '1.36.0']));
        expect(objects.map(({ kind }) => kind)).toContain('DaemonSet');
      }
    },
  );

  it('asks for the rights that the chart gives', async () => {
    const written = shown
      .filter(({ kind }) => kind === 'manifest')
      .flatMap(({ text }) => manifests(text))
      .find(({ kind }) => kind === 'ClusterRole');
    const text = await template(
      join(CHART, 'ci/default-values.yaml'),
      '-s',
      'templates/rbac.yaml',
      '--set',
      'rbac.events=true,rbac.kubelet=true',
    );
    const given = manifests(text).find(({ kind }) => kind === 'ClusterRole');
    expect(written).toMatchObject({ rules: (given as unknown as { rules: unknown }).rules });
  });
});

describe('its alerts', () => {
  const rulesOf = (name: string): AlertRule[] =>
    (objectOf(name, 'PrometheusRule').spec as { groups: { rules: AlertRule[] }[] }).groups.flatMap(
      ({ rules }) => rules,
    );

  it('are right in the eyes of promtool', async () => {
    const file = join(folder, 'rules.yaml');
    writeFileSync(file, stringify(objectOf('loki', 'PrometheusRule').spec));
    expect(await runPromtool(['check', 'rules', file])).toMatch(/SUCCESS: \d+ rules found/);
  });

  it('fire when they should, and only then', async () => {
    const rules = rulesOf('loki');
    for (const alert of rules.map((rule) => rule.alert)) {
      const cases = ALERT_CASES.filter((each) => each.alert === alert);
      expect(
        cases.some(({ fires }) => fires.length > 0),
        `${alert} fires in a case`,
      ).toBe(true);
      expect(
        cases.some(({ fires }) => fires.length === 0),
        `${alert} is silent in a case`,
      ).toBe(true);
    }
    const file = join(folder, 'bare-rules.yaml');
    const bare = rules.map(({ annotations: _annotations, ...rule }) => rule);
    writeFileSync(file, stringify({ groups: [{ name: 'tailrace', rules: bare }] }));
    const tests = join(folder, 'tests.yaml');
    writeFileSync(tests, stringify(promtoolTests(rules, file)));
    expect(await runPromtool(['test', 'rules', tests])).toContain('SUCCESS');
  });

  it('say what to do, can be left out, and have the labels that are wanted', () => {
    for (const { annotations } of rulesOf('loki')) {
      expect(annotations['summary']).toMatch(/\.$/);
      expect(annotations['description']).toMatch(/[.?]$/);
      expect(Object.values(annotations).join('')).not.toMatch(/\$(?!labels|value)/);
    }
    const everything = rulesOf('everything');
    expect(everything.map(({ alert }) => alert)).not.toContain('TailraceNodesWithoutAgent');
    expect(new Set(everything.map(({ labels }) => labels['team']))).toEqual(new Set(['platform']));
    expect(everything.find(({ alert }) => alert === 'TailraceFileLag')?.expr).toContain('> 500000000');
  });

  it('and the dashboard ask what Prometheus understands', async () => {
    const { panels } = JSON.parse(
      objectsOf('everything').find(({ data }) => data?.['tailrace.json'])?.data?.['tailrace.json'] ?? '',
    ) as {
      panels: { title: string; targets?: { expr: string }[] }[];
    };
    const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    expect(queries.length).toBeGreaterThan(40);
    const rules = queries.map((expr, index) => ({
      record: `dashboard:query:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h'),
    }));
    const file = join(folder, 'dashboard.yaml');
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(await runPromtool(['check', 'rules', file])).toContain(`SUCCESS: ${queries.length} rules found`);
  });
});

describe('the API server', () => {
  let server: KubernetesServer;

  beforeAll(async () => {
    server = await startKubernetes();
    const { admin } = server;
    for (const namespace of ['logging', 'monitoring']) await admin.createNamespace(namespace);
    for (const file of definitionFiles()) {
      const definition = JSON.parse(readFileSync(file, 'utf8')) as { metadata: { name: string } };
      await admin.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    }
    // The kinds are served a moment after they were defined.
    for (const { kind } of objectsOf('everything').filter(({ apiVersion }) => apiVersion === OPERATOR))
      while (!(await serves(kind))) await pause(100);
  });

  afterAll(async () => server?.close());

  async function serves(kind: string): Promise<boolean> {
    const resources = await resourcesOf(OPERATOR).catch(() => []);
    return resources.some((each) => each.kind === kind);
  }

  async function resourcesOf(
    apiVersion: string,
  ): Promise<{ name: string; kind: string; namespaced: boolean }[]> {
    const path = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
    const { resources } = await server.admin.call<{
      resources: { name: string; kind: string; namespaced: boolean }[];
    }>('GET', path);
    return resources;
  }

  /** Where an object of that kind is created. */
  async function pathOf({ apiVersion, kind, metadata }: Manifest): Promise<string> {
    const resource = (await resourcesOf(apiVersion)).find(
      (each) => each.kind === kind && !each.name.includes('/'),
    );
    if (resource === undefined) throw new Error(`The API server knows no ${kind} of ${apiVersion}.`);
    const base = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
    return resource.namespaced
      ? `${base}/namespaces/${metadata.namespace}/${resource.name}`
      : `${base}/${resource.name}`;
  }

  it.for(VALUES.map(nameOf))('would take all of %s, strictly', async (name) => {
    for (const object of objectsOf(name))
      await server.admin.call('POST', `${await pathOf(object)}?dryRun=All&fieldValidation=Strict`, object);
  });

  it('would not take a field that there is not', async () => {
    const object = objectOf('default', 'DaemonSet');
    const wrong = { ...object, spec: { ...object.spec, minimumReadySeconds: 3 } };
    await expect(
      server.admin.call('POST', `${await pathOf(object)}?dryRun=All&fieldValidation=Strict`, wrong),
    ).rejects.toThrow(/unknown field .*spec\.minimumReadySeconds/);
  });

  it('gives the agent the rights that it needs, and no others', async () => {
    for (const object of objectsOf('default').filter(({ kind }) => /ServiceAccount|Role/.test(kind)))
      await server.admin.call('POST', await pathOf(object), object);
    const may = async (verb: string, group: string, resource: string): Promise<boolean> => {
      const { status } = await server.admin.call<{ status: { allowed: boolean } }>(
        'POST',
        '/apis/authorization.k8s.io/v1/subjectaccessreviews',
        {
          spec: {
            user: 'system:serviceaccount:logging:logs-tailrace',
            // As in a cluster: what every account may is not of our doing.
            groups: ['system:serviceaccounts', 'system:serviceaccounts:logging', 'system:authenticated'],
            resourceAttributes: { verb, group, resource, namespace: 'default' },
          },
        },
      );
      return status.allowed;
    };
    // RBAC sees what was written a moment later.
    while (!(await may('watch', '', 'pods'))) await pause(50);
    const verbs = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'];
    const allowed: string[] = [];
    for (const [group, resource] of [
      ['', 'pods'],
      ['', 'namespaces'],
      ['', 'pods/log'],
      ['', 'pods/exec'],
      ['', 'secrets'],
      ['', 'configmaps'],
      ['', 'events'],
      ['', 'nodes'],
      ['', 'nodes/proxy'],
      ['', 'serviceaccounts/token'],
      ['apps', 'daemonsets'],
      ['rbac.authorization.k8s.io', 'clusterroles'],
    ] as const)
      for (const verb of verbs) if (await may(verb, group, resource)) allowed.push(`${verb} ${resource}`);
    expect(allowed).toEqual(['get pods', 'list pods', 'watch pods', 'get namespaces']);
  });
  it('works as installed: pods are known by its own rights, and a changed ConfigMap is taken up', async () => {
    const { admin } = server;
    const node = mkdtempSync(join(tmpdir(), 'tailrace-node-'));
    const token = join(node, 'token');
    writeFileSync(token, await admin.token('logs-tailrace', { namespace: 'logging' }));
    const kubelet = new Kubelet(join(node, 'log'));
    const config = join(node, 'config');
    const render = async (...args: string[]): Promise<Record<string, string>> => {
      const options = {
        kube_url: server.url,
        kube_ca_file: server.caFile,
        kube_token_file: token,
        path: join(kubelet.root, 'containers/*.log'),
        allowed_roots: kubelet.root,
      };
      const [map] = manifests(
        await template(
          join(CHART, 'ci/default-values.yaml'),
          '-s',
          'templates/configmap.yaml',
          ...Object.entries(options).flatMap(([key, value]) => [
            '--set-string',
            `logs.options.${key}=${value}`,
          ]),
          '--set',
          'hotReload.interval=100ms,output.name=file,output.host=null',
          '--set-string',
          `output.path=${node},output.file=out`,
          ...args,
        ),
      );
      return map?.data ?? {};
    };
    mountConfigMap(config, 1, await render());
    await admin.createNamespace('shop');
    const { uid } = (await admin.createPod({ namespace: 'shop', name: 'web', labels: { app: 'web' } }))
      .metadata;
    const log = kubelet.start({ namespace: 'shop', pod: 'web', uid, container: 'app' });
    log.write(['one']);
    const agent = new AgentProcess({
      config: join(config, 'tailrace.yaml'),
      state: join(node, 'state'),
      cwd: node,
      env: { NODE_NAME: 'node-1' },
    });
    try {
      const records = async (count: number): Promise<unknown[]> => {
        await agent.until((scrape) => scrape.sum('tailrace_output_delivered_records_total') >= count);
        return writtenIn(join(node, 'out')).map(({ record }) => record);
      };
      expect(await records(1)).toMatchObject([
        { log: 'one', cluster: 'production', kubernetes: { pod_name: 'web', labels: { app: 'web' } } },
      ]);
      const more = await render(
        '--set-string',
        'config.filters[0].name=modify,config.filters[0].match=*,config.filters[0].add=seen yes',
      );
      mountConfigMap(config, 2, more);
      await agent.said(/^The configuration was reloaded/);
      log.write(['two']);
      expect((await records(2))[1]).toMatchObject({ log: 'two', cluster: 'production', seen: 'yes' });
      expect((await agent.stop()).code).toBe(0);
    } finally {
      if (agent.exit === undefined) await agent.kill();
      rmSync(node, { recursive: true, force: true });
    }
  });
});
