/** How the Kubernetes plugins reach the API server and the kubelet: their options, Fluent Bit's keys, and the settings made of them. */
import { existsSync } from 'node:fs';
import { boolean, ignored, integer, path, string, time } from '../../../../src/plugin.ts';
import type { OptionProblem, OptionValues } from '../../../../src/plugin.ts';
import type { ApiSettings, DirectorySettings } from './settings.ts';

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const DEFAULT_URL = 'https://kubernetes.default.svc';
const DEFAULT_CA = `${ACCOUNT}/ca.crt`;
const DEFAULT_TOKEN = `${ACCOUNT}/token`;
/** Where charts and manifests put the name of the node, by the downward API. */
const NODE_VARIABLES = ['NODE_NAME', 'K8S_NODE_NAME', 'KUBERNETES_NODE_NAME', 'MY_NODE_NAME'] as const;

/** Of all plugins that speak to the API server. */
export const kubernetesApiOptions = {
  kube_url: string()
    .default(DEFAULT_URL)
    .describe(
      'API server: http:// or https://, host and port. Within a pod the default is the address in KUBERNETES_SERVICE_HOST, so that no name has to be looked up.',
    ),
  kube_ca_file: path()
    .default(DEFAULT_CA)
    .describe(
      "Authorities of the API server's certificate, PEM. Where the default does not exist: those of the system.",
    ),
  kube_ca_path: path().optional().describe("Directory of authorities of the API server's certificate, PEM."),
  kube_token_file: path()
    .default(DEFAULT_TOKEN)
    .describe(
      'Token of the ServiceAccount; read again when the file changes and when it is refused. Where the default does not exist: none is sent.',
    ),
  kube_token_ttl: time()
    .default('10m')
    .describe('Time after which the token is read again, or its command run again, in any case.'),
  'tls.verify': boolean().default(true).describe("Checks the API server's certificate."),
  'tls.verify_hostname': boolean()
    .optional()
    .describe(
      'Checks that the certificate is for the host name. Default: on; off for a kubelet at a loopback address, whose certificate is for the node. (Fluent Bit: off.)',
    ),
  'tls.vhost': string()
    .optional()
    .describe('Host name for SNI and for the check of the certificate, in place of the one in kube_url.'),
  'tls.debug': ignored('TLS errors are always logged with their reason'),
};

/** Of the plugins that ask for pods. */
export const podDirectoryOptions = {
  ...kubernetesApiOptions,
  kube_token_command: string()
    .optional()
    .describe('Command, run by the shell, that prints the token; used in place of kube_token_file.'),
  kube_node_name: string()
    .optional()
    .describe(
      `Name of the node whose pods are watched. Default: the variable ${NODE_VARIABLES.join(', ')}, whichever is set. Without one there is no watch: pods are asked for one by one.`,
    ),
  use_kubelet: boolean()
    .default(false)
    .describe(
      'Asks the kubelet of the node for its pods, and the API server only for namespaces. Needs the right to get nodes/pods, before Kubernetes 1.33 nodes/proxy.',
    ),
  kubelet_host: string().default('127.0.0.1').describe('Host of the kubelet.'),
  kubelet_port: integer({ min: 1, max: 65_535 }).default(10_250).describe('Port of the kubelet.'),
  kube_meta_cache_ttl: time()
    .default(0)
    .describe(
      'Where there is no watch: time after which a known pod is asked for again, in the background. 0: never again; a kubelet: 60 s.',
    ),
  kube_meta_namespace_cache_ttl: time()
    .default('15m')
    .describe('Time after which a known namespace is asked for again, in the background. 0: never again.'),
  dns_retries: ignored('the API server is tried again for as long as it takes; records go on meanwhile'),
  dns_wait_time: ignored('the API server is tried again for as long as it takes; records go on meanwhile'),
  buffer_size: ignored('an answer is read whole, up to bounds far beyond the largest pod'),
};

type ApiValues = OptionValues<typeof kubernetesApiOptions>;
type DirectoryValues = OptionValues<typeof podDirectoryOptions>;

/** The problems of {@link kubernetesApiOptions}, for `check`. */
export function checkKubernetesApi(options: ApiValues): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const url = parseUrl(options.kube_url);
  if (url === undefined) {
    return [
      {
        key: 'kube_url',
        message: 'is not the URL of an API server: write https://host or https://host:port',
      },
    ];
  }
  if (url.username !== '' || url.password !== '')
    problems.push({ key: 'kube_url', message: 'holds credentials: give a token by kube_token_file' });
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    problems.push({ key: 'kube_url', message: 'goes on behind the host: write scheme, host and port alone' });
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    problems.push({
      key: 'kube_url',
      message: 'is not encrypted: whoever is on the way can read the token; write https://',
      level: 'warning',
    });
  }
  for (const key of ['tls.verify', 'tls.verify_hostname'] as const) {
    if (options[key] === false && url.protocol === 'https:')
      problems.push({
        key,
        message:
          'is off: whoever is on the way can take the token and make up pods; set kube_ca_file or tls.vhost instead',
        level: 'warning',
      });
  }
  return problems;
}

/** The problems of {@link podDirectoryOptions}, for `check`. */
export function checkPodDirectory(options: DirectoryValues): OptionProblem[] {
  const problems = checkKubernetesApi(options);
  if (/[\s/?#@]/.test(options.kubelet_host))
    problems.push({ key: 'kubelet_host', message: 'is not a host: write the name or address alone' });
  return problems;
}

/** How to reach the API server. `token_command` for the plugins that have one. */
export function apiSettings(
  options: ApiValues & { kube_token_command?: string | undefined },
  agentVersion: string,
  environment: NodeJS.ProcessEnv = process.env,
): ApiSettings {
  const { host, port, isEncrypted } = serverOf(options.kube_url, environment);
  return {
    host,
    port,
    tls: isEncrypted
      ? { ...tlsOf(options), verifyHostname: options['tls.verify_hostname'] ?? true }
      : undefined,
    ...tokenOf(options),
    userAgent: `tailrace/${agentVersion}`,
  };
}

/** All that a directory of pods is opened by. */
export function directorySettings(
  options: DirectoryValues,
  agentVersion: string,
  environment: NodeJS.ProcessEnv = process.env,
): DirectorySettings {
  const api = apiSettings(options, agentVersion, environment);
  const host = options.kubelet_host;
  const kubelet: ApiSettings = {
    ...api,
    host,
    port: options.kubelet_port,
    tls: { ...tlsOf(options), verifyHostname: options['tls.verify_hostname'] ?? !isLoopback(host) },
  };
  return {
    api,
    kubelet: options.use_kubelet ? kubelet : undefined,
    nodeName: options.kube_node_name ?? nodeNameOf(environment),
    podTtlMs: options.kube_meta_cache_ttl * 1000,
    namespaceTtlMs: options.kube_meta_namespace_cache_ttl * 1000,
  };
}

/** Within a pod, the service's address as the kubelet says it: what the official clients take too. */
function serverOf(
  text: string,
  environment: NodeJS.ProcessEnv,
): { host: string; port: number; isEncrypted: boolean } {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (text === DEFAULT_URL && host !== undefined && host !== '')
    return { host, port: Number(port), isEncrypted: true };
  // The check made sure that it is one.
  const url = new URL(text);
  const isEncrypted = url.protocol === 'https:';
  // As Fluent Bit: 443 for both schemes.
  return {
    host: url.hostname.replaceAll(/^\[|\]$/g, ''),
    port: url.port === '' ? portOf(text) : Number(url.port),
    isEncrypted,
  };
}

/** A port that is the default of its scheme is not in a parsed URL. */
function portOf(text: string): number {
  return /:80\/?$/.test(text) ? 80 : 443;
}

function tlsOf(options: ApiValues): NonNullable<ApiSettings['tls']> {
  const { kube_ca_file: caFile, kube_ca_path: caPath } = options;
  return {
    keyPrefix: 'kube_',
    verify: options['tls.verify'],
    verifyHostname: true,
    vhost: options['tls.vhost'],
    caFile: isAbsentDefault(caFile, DEFAULT_CA) ? undefined : caFile,
    caPath,
  };
}

function tokenOf(
  options: ApiValues & { kube_token_command?: string | undefined },
): Pick<ApiSettings, 'tokenFile' | 'tokenCommand' | 'tokenTtlMs'> {
  const file = options.kube_token_file;
  return {
    tokenFile: isAbsentDefault(file, DEFAULT_TOKEN) ? undefined : file,
    tokenCommand: options.kube_token_command,
    tokenTtlMs: options.kube_token_ttl * 1000,
  };
}

function isAbsentDefault(file: string, byDefault: string): boolean {
  return file === byDefault && !existsSync(file);
}

function nodeNameOf(environment: NodeJS.ProcessEnv): string | undefined {
  for (const variable of NODE_VARIABLES) {
    const name = environment[variable];
    if (name !== undefined && name !== '') return name;
  }
  return undefined;
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && url.hostname !== '' ? url : undefined;
  } catch {
    return undefined;
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d+){3}$/.test(host);
}
