/** What the inputs that listen by TCP share: the options of their listener, their check, and the TLS made of them. */
import { isIP } from 'node:net';
import {
  boolean,
  enumOf,
  ignored,
  integer,
  loadListenerTls,
  path,
  secret,
  string,
  time,
} from '../../src/plugin.ts';
import type { ListenerTls, Option, OptionProblem, OptionValues } from '../../src/plugin.ts';

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
const OUTGOING = 'it is for outgoing connections; this plugin listens';

const listenerFields = {
  listen: string()
    .default('127.0.0.1')
    .describe(
      'Address to listen on. Fluent Bit listens on all by default; here that is written, as 0.0.0.0 or ::.',
    ),
  host: ignored('the address to listen on is listen'),
  ipv6: ignored('an IPv6 address to listen on is written as listen'),
  'net.backlog': integer({ min: 1 }).default(128).describe('Connections that may wait to be accepted.'),
  'net.share_port': boolean()
    .default(false)
    .describe('Lets other processes listen on the same port (SO_REUSEPORT).'),
  'net.accept_timeout': time()
    .default('10s')
    .describe('Time for the TLS handshake, and for the head of a request.'),
  'net.io_timeout': time()
    .default(0)
    .describe('Time without any data on a busy connection after which it is given up; 0: as an idle one.'),
  'net.keepalive': boolean().default(true).describe('Keeps connections open for further requests.'),
  'net.accept_timeout_log_error': ignored('such connections are counted'),
  'net.connect_timeout': ignored(OUTGOING),
  'net.connect_timeout_log_error': ignored(OUTGOING),
  'net.keepalive_idle_timeout': ignored(OUTGOING),
  'net.keepalive_max_recycle': ignored(OUTGOING),
  'net.max_worker_connections': ignored(OUTGOING),
  'net.source_address': ignored(OUTGOING),
  'net.proxy_env_ignore': ignored(OUTGOING),
  'net.dns.mode': ignored(OUTGOING),
  'net.dns.resolver': ignored(OUTGOING),
  'net.dns.prefer_ipv4': ignored(OUTGOING),
  'net.dns.prefer_ipv6': ignored(OUTGOING),
  'net.tcp_keepalive': ignored('TCP keep-alive is always on'),
  'net.tcp_keepalive_time': ignored("the operating system's value is used"),
  'net.tcp_keepalive_interval': ignored("the operating system's value is used"),
  'net.tcp_keepalive_probes': ignored("the operating system's value is used"),
  tls: boolean().default(false).describe('Takes encrypted connections only.'),
  'tls.crt_file': path().optional().describe('Certificate, PEM, with its chain; read again when it changes.'),
  'tls.key_file': path().optional().describe('Key of the certificate, PEM.'),
  'tls.key_passwd': secret().optional().describe('Passphrase of the key.'),
  'tls.verify_client_cert': boolean()
    .default(false)
    .describe('Clients need a certificate of an authority in tls.ca_file or tls.ca_path.'),
  'tls.ca_file': path().optional().describe("Authorities of the clients' certificates, PEM."),
  'tls.ca_path': path().optional().describe("Directory of authorities of the clients' certificates, PEM."),
  'tls.min_version': enumOf(...VERSIONS)
    .default('TLSv1.2')
    .describe('Lowest TLS version.'),
  'tls.max_version': enumOf(...VERSIONS)
    .optional()
    .describe('Highest TLS version.'),
  'tls.ciphers': string().optional().describe('OpenSSL cipher list.'),
  'tls.verify': ignored('clients are verified by tls.verify_client_cert'),
  'tls.verify_hostname': ignored(OUTGOING),
  'tls.vhost': ignored(OUTGOING),
  'tls.debug': ignored('failed handshakes are counted'),
};

type Fields = typeof listenerFields & { port: Option<number> };
export type ListenerValues = OptionValues<Fields>;

/** The options of a listener with its default port. */
export function listenerOptions(port: number): Fields {
  return {
    ...listenerFields,
    port: integer({ min: 0, max: 65_535 })
      .default(port)
      .describe('Port; 0: any that is free, which the log says.'),
  };
}

/** The problems of these options, for `check`. `authenticated`: the plugin asks for credentials of its own. */
export function checkListener(options: ListenerValues, authenticated: boolean): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const { tls, listen } = options;
  const verifiesClients = options['tls.verify_client_cert'];
  for (const key of ['tls.crt_file', 'tls.key_file'] as const) {
    if (tls && options[key] === undefined)
      problems.push({ key: 'tls', message: `needs a certificate and its key: ${key} is missing` });
  }
  if (verifiesClients && !tls)
    problems.push({ key: 'tls.verify_client_cert', message: 'has no effect without tls: set tls to on' });
  if (verifiesClients && options['tls.ca_file'] === undefined && options['tls.ca_path'] === undefined) {
    problems.push({
      key: 'tls.verify_client_cert',
      message: "needs the authorities of the clients' certificates: set tls.ca_file or tls.ca_path",
    });
  }
  return [...problems, ...checkAddress(listen, { encrypted: tls, authenticated, verifiesClients })];
}

/** The problems of an address to listen on, one of which is that others reach it. */
export function checkAddress(
  listen: string,
  {
    encrypted,
    authenticated,
    verifiesClients,
  }: { encrypted: boolean; authenticated: boolean; verifiesClients: boolean },
): OptionProblem[] {
  if (/[\s/?#@[\]]/.test(listen) || listen === '')
    return [{ key: 'listen', message: 'is not an address: write it alone, the port as port' }];
  if (isLoopbackHost(listen) || (encrypted && (authenticated || verifiesClients))) return [];
  const lacks = encrypted
    ? 'no authentication'
    : authenticated
      ? 'no encryption'
      : 'neither encryption nor authentication';
  return [
    {
      key: 'listen',
      message: `can be reached from other machines, and there is ${lacks}: who reaches it can ${authenticated ? 'read the records and the credentials on their way' : 'send records'}`,
      level: 'warning',
    },
  ];
}

/** The TLS of a listener; undefined without. Throws a sentence for files that cannot be used. */
export async function openListenerTls(options: ListenerValues): Promise<ListenerTls | undefined> {
  if (!options.tls) return undefined;
  const { ListenerTls: Tls } = await loadListenerTls();
  return new Tls({
    // The check made sure that they are there.
    crtFile: options['tls.crt_file'] ?? '',
    keyFile: options['tls.key_file'] ?? '',
    keyPasswd: options['tls.key_passwd']?.reveal(),
    verifyClient: options['tls.verify_client_cert'],
    caFile: options['tls.ca_file'],
    caPath: options['tls.ca_path'],
    minVersion: options['tls.min_version'],
    maxVersion: options['tls.max_version'],
    ciphers: options['tls.ciphers'],
  });
}

/** Whether only this machine reaches a listener on that address. */
function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
