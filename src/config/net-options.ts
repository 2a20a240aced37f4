/** The `tls.*` and `net.*` keys of outgoing connections: plugins that connect spread them into their options. */
import { boolean, enumOf, ignored, integer, path, secret, string, time } from './options.ts';

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

/** Encryption. Unlike Fluent Bit, host names are verified unless that is switched off. */
export const tlsOptions = {
  tls: boolean().default(false).describe('Encrypts the connection.'),
  'tls.verify': boolean().default(true).describe("Checks the other side's certificate."),
  'tls.verify_hostname': boolean()
    .default(true)
    .describe('Checks that the certificate is for the host name.'),
  'tls.ca_file': path().optional().describe('Certificates to trust instead of the system’s, PEM.'),
  'tls.ca_path': path().optional().describe('Directory of certificates to trust, PEM.'),
  'tls.crt_file': path().optional().describe('Own certificate, PEM.'),
  'tls.key_file': path().optional().describe('Key of the own certificate, PEM.'),
  'tls.key_passwd': secret().optional().describe('Passphrase of the key.'),
  'tls.vhost': string().optional().describe('Host name for SNI and for the check of the certificate.'),
  'tls.min_version': enumOf(...VERSIONS)
    .optional()
    .describe('Lowest TLS version.'),
  'tls.max_version': enumOf(...VERSIONS)
    .optional()
    .describe('Highest TLS version.'),
  'tls.ciphers': string().optional().describe('OpenSSL cipher list.'),
  'tls.debug': ignored('TLS errors are always logged with their reason'),
  'tls.verify_client_cert': ignored('it is for listeners; this plugin connects'),
};

/** Connections. */
export const netOptions = {
  'net.connect_timeout': time().default('10s').describe('Time for connecting, TLS handshake included.'),
  'net.io_timeout': time()
    .default(0)
    .describe('Time without any data on a busy connection after which it is given up; 0: none.'),
  'net.keepalive': boolean().default(true).describe('Uses a connection for more than one request.'),
  'net.keepalive_idle_timeout': time()
    .default('30s')
    .describe('Closes a connection that was idle for this time.'),
  'net.keepalive_max_recycle': integer({ min: 0 })
    .default(2000)
    .describe('Requests on one connection; 0: no limit.'),
  'net.max_worker_connections': integer({ min: 0 })
    .default(0)
    .describe('Connections per output; 0: as many as workers.'),
  'net.source_address': string().optional().describe('Local address to connect from.'),
  'net.dns.prefer_ipv4': boolean().default(false).describe('Tries IPv4 addresses first.'),
  'net.dns.prefer_ipv6': boolean().default(false).describe('Tries IPv6 addresses first.'),
  'net.proxy_env_ignore': boolean()
    .default(false)
    .describe('Does not look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY.'),
  'net.dns.mode': ignored("names are resolved by the operating system's resolver"),
  'net.dns.resolver': ignored("names are resolved by the operating system's resolver"),
  'net.connect_timeout_log_error': ignored('a connection that times out is always logged'),
  'net.tcp_keepalive': ignored('TCP keep-alive is always on'),
  'net.tcp_keepalive_time': ignored("the operating system's value is used"),
  'net.tcp_keepalive_interval': ignored("the operating system's value is used"),
  'net.tcp_keepalive_probes': ignored("the operating system's value is used"),
};
