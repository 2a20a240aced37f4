/** What the outputs that speak HTTP share: the options of their destination, and the client made of them. */
import { integer, loadHttpClient, netOptions, string, time, tlsOptions } from '../../src/plugin.ts';
import type {
  HttpClient,
  HttpClientOptions,
  OptionProblem,
  OptionValues,
  OutputContext,
} from '../../src/plugin.ts';

export const httpDestinationOptions = {
  host: string().default('127.0.0.1').describe('Host name or address, IPv6 too.'),
  port: integer({ min: 1, max: 65_535 }).optional().describe('Port. Default: 80, or 443 with tls.'),
  proxy: string()
    .optional()
    .describe(
      'Proxy as `http://[user:password@]host:port`. Default: HTTP_PROXY and HTTPS_PROXY of the environment.',
    ),
  'http.response_timeout': time().default('60s').describe('Time for a request with its whole answer.'),
  'http.read_idle_timeout': time()
    .default('0s')
    .describe('Time between two pieces of an answer; 0: net.io_timeout.'),
  ...tlsOptions,
  ...netOptions,
};

type Values = OptionValues<typeof httpDestinationOptions>;

/** The problems of these options, for `check`. */
export function checkHttpDestination(options: Values): OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (options.proxy !== undefined && !isHttpUrl(options.proxy)) {
    problems.push({ key: 'proxy', message: 'is not the URL of a proxy: write http://host:port' });
  }
  if (/[\s/?#@]/.test(options.host)) {
    problems.push({
      key: 'host',
      message: 'is not a host: write the name or address alone, the path as uri, the port as port',
    });
  }
  if ((options['tls.crt_file'] === undefined) !== (options['tls.key_file'] === undefined)) {
    const key = options['tls.crt_file'] === undefined ? 'tls.key_file' : 'tls.crt_file';
    problems.push({
      key,
      message: 'stands alone: an own certificate takes both tls.crt_file and tls.key_file',
    });
  }
  if (options.tls && !(options['tls.verify'] && options['tls.verify_hostname'])) {
    problems.push({
      key: options['tls.verify'] ? 'tls.verify_hostname' : 'tls.verify',
      message:
        'is off: whoever is on the way can read and change the records; set tls.ca_file or tls.vhost instead',
      level: 'warning',
    });
  }
  return problems;
}

/** Opens the client. Throws for certificates that cannot be used. */
export async function openHttpClient(options: Values, context: OutputContext): Promise<HttpClient> {
  const unverified = options.tls && !(options['tls.verify'] && options['tls.verify_hostname']);
  context.metrics
    .gauge(
      'tailrace_output_tls_unverified',
      '1 for outputs that do not verify the certificate of their destination.',
    )
    .labels({ output: context.name }).value = unverified ? 1 : 0;
  const { HttpClient: Client } = await loadHttpClient();
  return Client.create(clientOptions(options));
}

function clientOptions(options: Values): HttpClientOptions {
  const prefer = options['net.dns.prefer_ipv4']
    ? 'ipv4'
    : options['net.dns.prefer_ipv6']
      ? 'ipv6'
      : undefined;
  return {
    host: options.host,
    port: options.port ?? (options.tls ? 443 : 80),
    tls: options.tls
      ? {
          verify: options['tls.verify'],
          verifyHostname: options['tls.verify_hostname'],
          caFile: options['tls.ca_file'],
          caPath: options['tls.ca_path'],
          crtFile: options['tls.crt_file'],
          keyFile: options['tls.key_file'],
          keyPasswd: options['tls.key_passwd']?.reveal(),
          vhost: options['tls.vhost'],
          minVersion: options['tls.min_version'],
          maxVersion: options['tls.max_version'],
          ciphers: options['tls.ciphers'],
        }
      : undefined,
    proxy: options.proxy,
    ignoreProxyEnvironment: options['net.proxy_env_ignore'],
    connectTimeoutMs: options['net.connect_timeout'] * 1000,
    responseTimeoutMs: options['http.response_timeout'] * 1000,
    readIdleTimeoutMs: (options['http.read_idle_timeout'] || options['net.io_timeout']) * 1000,
    keepAlive: options['net.keepalive'],
    keepAliveIdleMs: options['net.keepalive_idle_timeout'] * 1000,
    maxRequestsPerConnection: options['net.keepalive_max_recycle'],
    maxConnections: options['net.max_worker_connections'],
    sourceAddress: options['net.source_address'],
    prefer,
  };
}

function isHttpUrl(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}
