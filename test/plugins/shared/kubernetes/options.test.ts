import { describe, expect, it } from 'vitest';
import { checkPodDirectory, podDirectoryOptions } from '../../../../plugins/shared/kubernetes/api/index.ts';
import { directorySettings } from '../../../../plugins/shared/kubernetes/api/options.ts';
import type { DirectorySettings } from '../../../../plugins/shared/kubernetes/api/settings.ts';
import { optionsOf } from '../../../contract/support.ts';

type Written = Record<string, string>;

const settings = (written: Written = {}, environment: NodeJS.ProcessEnv = {}): DirectorySettings =>
  directorySettings(optionsOf(podDirectoryOptions, written), '1.2.3', environment);
const problems = (written: Written): (string | undefined)[] =>
  checkPodDirectory(optionsOf(podDirectoryOptions, written)).map(
    ({ key, level = 'error' }) => `${level} ${key}`,
  );

describe('directorySettings', () => {
  it('takes the address of the service within a pod, and what is written elsewhere', () => {
    const pod = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' };
    expect(settings({}, pod).api).toMatchObject({
      host: 'fd00::1',
      port: 6443,
      tls: { verify: true, verifyHostname: true },
    });
    expect(settings().api).toMatchObject({ host: 'kubernetes.default.svc', port: 443 });
    expect(settings({ kube_url: 'https://[::1]:6443' }, pod).api).toMatchObject({ host: '::1', port: 6443 });
    expect(settings({ kube_url: 'http://127.0.0.1' }).api).toMatchObject({ port: 443, tls: undefined });
    expect(settings({ kube_url: 'http://127.0.0.1:80' }).api).toMatchObject({ port: 80 });
  });

  it('leaves out files that are only there by default, and not there', () => {
    expect(settings().api).toMatchObject({ tokenFile: undefined, tls: { caFile: undefined } });
    expect(settings({ kube_token_file: '/no/token', kube_ca_file: '/no/ca' }).api).toMatchObject({
      tokenFile: '/no/token',
      tls: { caFile: '/no/ca' },
    });
  });

  it('finds the name of the node', () => {
    expect(settings().nodeName).toBeUndefined();
    expect(settings({}, { NODE_NAME: '', K8S_NODE_NAME: 'n2' }).nodeName).toBe('n2');
    expect(settings({ kube_node_name: 'n1' }, { NODE_NAME: 'n2' }).nodeName).toBe('n1');
  });

  it('does not look for the name of a loopback address in the certificate of a kubelet, unless told to', () => {
    const kubelet = { use_kubelet: 'on' };
    expect(settings(kubelet).kubelet).toMatchObject({
      host: '127.0.0.1',
      port: 10_250,
      tls: { verifyHostname: false },
    });
    expect(settings({ ...kubelet, kubelet_host: 'node-1' }).kubelet).toMatchObject({
      tls: { verifyHostname: true },
    });
    expect(settings({ ...kubelet, 'tls.verify_hostname': 'on' }).kubelet).toMatchObject({
      tls: { verifyHostname: true },
    });
    expect(settings({ 'tls.verify_hostname': 'off' }).api).toMatchObject({ tls: { verifyHostname: false } });
  });
});

describe('checkPodDirectory', () => {
  it.each<[Written, string[]]>([
    [{}, []],
    [{ kube_url: 'kubernetes.default.svc' }, ['error kube_url']],
    [{ kube_url: 'ftp://host' }, ['error kube_url']],
    [{ kube_url: 'https://user:word@host' }, ['error kube_url']],
    [{ kube_url: 'https://host/k8s' }, ['error kube_url']],
    [{ kube_url: 'http://host:8001' }, ['warning kube_url']],
    [{ kube_url: 'http://localhost:8001', 'tls.verify': 'off' }, []],
    [
      { 'tls.verify': 'off', 'tls.verify_hostname': 'off' },
      ['warning tls.verify', 'warning tls.verify_hostname'],
    ],
    [{ kubelet_host: 'http://host' }, ['error kubelet_host']],
  ])('%j: %j', (written, expected) => {
    expect(problems(written)).toEqual(expected);
  });
});
