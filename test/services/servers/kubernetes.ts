/**
 * The API server of Kubernetes with its etcd: no kubelet, no controllers, no scheduler, so pods and their status are what the test says.
 * kube-apiserver is built from its module, etcd is Debian's, unpacked and not installed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tlsFile } from '../../net/servers.ts';
import { answers, freePort, ServerProcess } from '../support/server.ts';
import { installed } from '../support/service.ts';
import type { Service } from '../support/service.ts';
import { goBuild, unpackDebian } from '../support/tools.ts';
import { KubernetesAdmin } from './kubernetes/admin.ts';

const module = readFileSync(join(import.meta.dirname, 'kubernetes', 'go.mod'), 'utf8');
const PACKAGES = ['etcd-server'];

export const kubernetes: Service = {
  name: 'kubernetes',
  version: '1.36.3',
  recipe: `${module}\n${PACKAGES.join(' ')}`,
  async install(folder) {
    await unpackDebian(folder, PACKAGES);
    await goBuild(folder, {
      module,
      program: 'k8s.io/kubernetes/cmd/kube-apiserver',
      name: 'kube-apiserver',
    });
  },
};

const ADMIN_TOKEN = 'admin-token-of-the-tests';

export interface KubernetesServer {
  /** https, verified by {@link caFile}. */
  url: string;
  port: number;
  caFile: string;
  /** A token that may do everything. */
  adminToken: string;
  admin: KubernetesAdmin;
  /** The API server alone: it can be killed and started again; what it knew is in etcd. */
  apiServer: ServerProcess;
  /**
   * Forgets history: what was listed or watched before the API server's next start is answered with 410 Gone. The API server must be down,
   * or have been started with `--watch-cache=false`: else it still has the history that it has seen itself.
   */
  compact(): Promise<void>;
  /** Ends both and removes their data. */
  close(): Promise<void>;
}

/** Starts both on free ports of 127.0.0.1, RBAC on; `flags` are further ones of the API server. */
export async function startKubernetes(flags: readonly string[] = []): Promise<KubernetesServer> {
  const folder = installed(kubernetes);
  const data = mkdtempSync(join(tmpdir(), 'tailrace-kubernetes-'));
  const [port, client, peer] = [await freePort(), await freePort(), await freePort()];
  const etcdUrl = `http://127.0.0.1:${client}`;
  const url = `https://127.0.0.1:${port}`;
  const caFile = tlsFile('ca.pem');
  const tokens = join(data, 'tokens.csv');
  writeFileSync(tokens, `${ADMIN_TOKEN},admin,1,"system:masters"\n`);
  const etcd = await new ServerProcess({
    command: join(folder, 'usr/bin/etcd'),
    args: [
      `--data-dir=${join(data, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      '--unsafe-no-fsync',
    ],
    cwd: data,
    ready: () => answers(`${etcdUrl}/health`),
  }).start();
  const admin = new KubernetesAdmin(url, caFile, ADMIN_TOKEN);
  const apiServer = new ServerProcess({
    command: join(folder, 'kube-apiserver'),
    args: [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--tls-cert-file=${tlsFile('server.pem')}`,
      `--tls-private-key-file=${tlsFile('server.key')}`,
      `--service-account-key-file=${tlsFile('server.pem')}`,
      `--service-account-signing-key-file=${tlsFile('server.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--service-cluster-ip-range=10.0.0.0/24',
      '--authorization-mode=RBAC',
      // The service `kubernetes` cannot have an address of the loopback.
      '--endpoint-reconciler-type=none',
      `--token-auth-file=${tokens}`,
      '--disable-admission-plugins=ServiceAccount',
      ...flags,
    ],
    cwd: data,
    ready: () => admin.isReady(),
  });
  const close = async (): Promise<void> => {
    await admin.close();
    await apiServer.close();
    await etcd.close();
    rmSync(data, { recursive: true, force: true });
  };
  try {
    await apiServer.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    port,
    caFile,
    adminToken: ADMIN_TOKEN,
    admin,
    apiServer,
    compact: () => compact(etcdUrl),
    close,
  };
}

async function compact(etcdUrl: string): Promise<void> {
  const post = async (path: string, body: object): Promise<unknown> => {
    const response = await fetch(etcdUrl + path, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const { header } = (await post('/v3/maintenance/status', {})) as { header: { revision: string } };
  await post('/v3/kv/compaction', { revision: header.revision, physical: true });
}
