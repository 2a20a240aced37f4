/** What the outputs that speak HTTP share: the options of their destination, and the client made of them. */
import {
  boolean,
  integer,
  loadHttpClient,
  netOptions,
  path,
  string,
  time,
  tlsOptions,
} from '../../src/plugin.ts';
import type {
  HttpClient,
  HttpClientOptions,
  OptionProblem,
  OptionValues,
  OutputContext,
} from '../../src/plugin.ts';
import {
  checkDestination,
  hostOption,
  preferredFamily,
  reportVerification,
  tlsSettings,
} from './destination.ts';

/** All about the connections but where they go. */
export const httpConnectionOptions = {
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
  'tls.proxy.verify': boolean()
    .default(true)
    .describe('Verifies the certificate of a proxy that is reached by TLS (`https://`).'),
  'tls.proxy.verify_hostname': boolean()
    .default(true)
    .describe('Checks that the certificate is for the host name of the proxy.'),
  'tls.proxy.ca_file': path().optional().describe("Authorities of the proxy's certificate, PEM."),
  'tls.proxy.ca_path': path()
    .optional()
    .describe("Directory of authorities of the proxy's certificate, PEM."),
  ...netOptions,
};

export const httpDestinationOptions = {
  host: hostOption,
  port: integer({ min: 1, max: 65_535 }).optional().describe('Port. Default: 80, or 443 with tls.'),
  ...httpConnectionOptions,
};

type Values = OptionValues<typeof httpConnectionOptions> & { host: string; port?: number | undefined };

/** The problems of these options, for `check`. */
export function checkHttpDestination(options: Values): OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (options.proxy !== undefined && !isHttpUrl(options.proxy)) {
    problems.push({ key: 'proxy', message: 'is not the URL of a proxy: write http://host:port' });
  }
  for (const key of ['tls.proxy.verify', 'tls.proxy.verify_hostname'] as const) {
    if (!options[key])
      problems.push({
        key,
        message: 'is off: whoever is on the way to the proxy can be it; set tls.proxy.ca_file instead',
        level: 'warning',
      });
  }
  return [...problems, ...checkDestination(options)];
}

/** The problem of a path and query under `key`, if there is one. */
export function uriProblems(key: string, uri: string): OptionProblem[] {
  if (!/[\s\u0000-\u001f\u007f-\uffff]/.test(uri)) return [];
  return [{ key, message: 'holds a character that a URL cannot have: write it percent-encoded' }];
}

/** Opens the client. Throws for certificates that cannot be used. */
export async function openHttpClient(
  options: Values,
  context: OutputContext,
  { http2 }: Pick<HttpClientOptions, 'http2'> = {},
): Promise<HttpClient> {
  reportVerification(options, context);
  const { HttpClient: Client } = await loadHttpClient();
  return Client.create({ ...httpClientOptions(options), http2 });
}

/** What a client of one destination is made of. */
export function httpClientOptions(options: Values): HttpClientOptions {
  return {
    host: options.host,
    port: options.port ?? (options.tls ? 443 : 80),
    tls: tlsSettings(options),
    proxy: options.proxy,
    proxyTls: {
      keyPrefix: 'tls.proxy.',
      verify: options['tls.proxy.verify'],
      verifyHostname: options['tls.proxy.verify_hostname'],
      caFile: options['tls.proxy.ca_file'],
      caPath: options['tls.proxy.ca_path'],
    },
    ignoreProxyEnvironment: options['net.proxy_env_ignore'],
    connectTimeoutMs: options['net.connect_timeout'] * 1000,
    responseTimeoutMs: options['http.response_timeout'] * 1000,
    readIdleTimeoutMs: (options['http.read_idle_timeout'] || options['net.io_timeout']) * 1000,
    keepAlive: options['net.keepalive'],
    keepAliveIdleMs: options['net.keepalive_idle_timeout'] * 1000,
    maxRequestsPerConnection: options['net.keepalive_max_recycle'],
    maxConnections: options['net.max_worker_connections'],
    sourceAddress: options['net.source_address'],
    prefer: preferredFamily(options),
  };
}

function isHttpUrl(text: string): boolean {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}
