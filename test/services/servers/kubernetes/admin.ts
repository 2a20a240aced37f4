/** What a test does to a cluster as its administrator: over the API, with the rights of `system:masters`. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';

/** Requests at once where there are many. */
const AT_ONCE = 32;

type Method = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

/** An object as the API gives it, as far as tests look into it. */
export interface KubeObject {
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [key: string]: unknown;
}

export interface PodSetup {
  namespace?: string;
  name: string;
  /** The node that it runs on; `node-1` by default. */
  node?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: readonly object[];
  /** Of its containers; one, `app`, by default. Their images are `registry.local/NAME:1`. */
  containers?: readonly string[];
}

export interface PodRuntime {
  podIp?: string;
  /** Container name to its id, without scheme: 64 hexadecimal digits. */
  containerIds?: Readonly<Record<string, string>>;
  phase?: 'Pending' | 'Running' | 'Succeeded';
}

/** A rule of RBAC. */
export interface Rule {
  apiGroups?: readonly string[];
  resources: readonly string[];
  verbs: readonly string[];
}

export const imageOf = (container: string): string => `registry.local/${container}:1`;

export class KubernetesAdmin {
  private readonly url: string;
  private readonly bearer: string;
  private readonly agent: Agent;

  constructor(url: string, caFile: string, token: string) {
    this.url = url;
    this.bearer = `Bearer ${token}`;
    this.agent = new Agent({ connect: { ca: readFileSync(caFile) }, connections: AT_ONCE });
  }

  /** One request. Throws for an answer that is no success, with what it says. `body` is JSON; a PATCH is a merge patch. */
  async call<T = KubeObject>(method: Method, path: string, body?: object): Promise<T> {
    const { status, text } = await this.answer(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return JSON.parse(text) as T;
  }

  private async answer(
    method: Method,
    path: string,
    body?: object,
  ): Promise<{ status: number; text: string }> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await request(this.url + path, {
      method,
      dispatcher: this.agent,
      headers: { authorization: this.bearer, accept: 'application/json', 'content-type': type },
      body: body === undefined ? null : JSON.stringify(body),
    });
    return { status: response.statusCode, text: await response.body.text() };
  }

  /** Whether the API server has made all that it makes for itself: roles, and the namespace `default`. */
  async isReady(): Promise<boolean> {
    const ready = await this.answer('GET', '/readyz');
    return ready.status === 200 && (await this.answer('GET', '/api/v1/namespaces/default')).status === 200;
  }

  createNamespace(
    name: string,
    labels: Record<string, string> = {},
    annotations: Record<string, string> = {},
  ): Promise<KubeObject> {
    return this.call('POST', '/api/v1/namespaces', { metadata: { name, labels, annotations } });
  }

  /** Creates a pod that is bound to its node from the start: there is no scheduler. */
  createPod({
    namespace = 'default',
    name,
    node = 'node-1',
    labels,
    annotations,
    ownerReferences,
    containers = ['app'],
  }: PodSetup): Promise<KubeObject> {
    return this.call('POST', `/api/v1/namespaces/${namespace}/pods`, {
      metadata: { name, labels, annotations, ownerReferences },
      spec: {
        nodeName: node,
        automountServiceAccountToken: false,
        containers: containers.map((container) => ({ name: container, image: imageOf(container) })),
      },
    });
  }

  /** What a kubelet would say of a pod once its containers run. */
  patchStatus(
    namespace: string,
    name: string,
    { podIp = '10.1.2.3', containerIds = {}, phase = 'Running' }: PodRuntime = {},
  ): Promise<KubeObject> {
    return this.call('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, {
      status: {
        phase,
        podIP: podIp,
        podIPs: [{ ip: podIp }],
        hostIP: '127.0.0.1',
        containerStatuses: Object.entries(containerIds).map(([container, id]) => ({
          name: container,
          containerID: `containerd://${id}`,
          image: imageOf(container),
          imageID: `registry.local/${container}@sha256:${'ab'.repeat(32)}`,
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
        })),
      },
    });
  }

  /** Gone at once, as after its containers ended. */
  deletePod(namespace: string, name: string): Promise<unknown> {
    return this.call('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}?gracePeriodSeconds=0`);
  }

  /** Creates pods, many at once; answers with their uids, in their order. */
  async createPods(setups: readonly PodSetup[]): Promise<string[]> {
    const pods = await eachOf(setups, (setup) => this.createPod(setup));
    return pods.map(({ metadata }) => metadata.uid);
  }

  async createServiceAccount(name: string, namespace = 'default'): Promise<void> {
    await this.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
  }

  /** All its tokens are refused from then on, up to ten seconds later: so long the API server believes what it has seen. */
  async deleteServiceAccount(name: string, namespace = 'default'): Promise<void> {
    await this.call('DELETE', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`);
  }

  /** A token of a ServiceAccount, by the TokenRequest API. The API server gives none for less than 600 seconds. */
  async token(name: string, { namespace = 'default', seconds = 3600 } = {}): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status } = await this.call<{ status: { token: string } }>('POST', path, {
      spec: { expirationSeconds: seconds },
    });
    return status.token;
  }

  /** Gives a ServiceAccount rights in the whole cluster, by a ClusterRole and a binding of that name. Resolves when they count. */
  async grant(name: string, account: string, rules: readonly Rule[], namespace = 'default'): Promise<void> {
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await this.call('POST', `${rbac}/clusterroles`, {
      metadata: { name },
      rules: rules.map((rule) => ({ apiGroups: [''], ...rule })),
    });
    await this.call('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
    });
    for (const { resources, verbs, apiGroups = [''] } of rules) {
      const attributes = { resource: resources[0], verb: verbs[0], group: apiGroups[0] };
      while (!(await this.isAllowed(account, namespace, attributes))) await pause(50);
    }
  }

  /** Takes a grant back. */
  async revoke(name: string): Promise<void> {
    await this.call('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/${name}`);
    await this.call('DELETE', `/apis/rbac.authorization.k8s.io/v1/clusterroles/${name}`);
  }

  private async isAllowed(account: string, namespace: string, attributes: object): Promise<boolean> {
    const { status } = await this.call<{ status: { allowed: boolean } }>(
      'POST',
      '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      { spec: { user: `system:serviceaccount:${namespace}:${account}`, resourceAttributes: attributes } },
    );
    return status.allowed;
  }

  /** An event of core/v1, as the kubelet writes them. */
  createEvent(
    name: string,
    { namespace = 'default', message = '', at = new Date() } = {},
  ): Promise<KubeObject> {
    const time = `${at.toISOString().slice(0, 19)}Z`;
    return this.call('POST', `/api/v1/namespaces/${namespace}/events`, {
      metadata: { name },
      involvedObject: {
        kind: 'Pod',
        namespace,
        name: 'some-pod',
        uid: '11111111-1111-4111-8111-111111111111',
      },
      type: 'Normal',
      reason: 'Tested',
      message,
      source: { component: 'test' },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** Does something for each of many, some at once; answers in their order. */
export async function eachOf<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let at = next++; at < items.length; at = next++) results[at] = await work(items[at] as T);
    }),
  );
  return results;
}
