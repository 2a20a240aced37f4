/** Why a request got no answer, in words that say what to do. */

const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused: is it running, and is the port right?',
  ECONNRESET: 'the connection was cut off',
  EPIPE: 'the connection was cut off while sending',
  ENOTFOUND: 'the host name is unknown: check it and the name servers',
  EAI_AGAIN: 'the host name cannot be looked up now: check the name servers',
  EHOSTUNREACH: 'the host cannot be reached: check routes and firewalls',
  ENETUNREACH: 'the network cannot be reached: check routes and firewalls',
  ETIMEDOUT: 'the connection timed out: check routes and firewalls',
  UND_ERR_CONNECT_TIMEOUT: 'no connection within net.connect_timeout: check routes and firewalls',
  UND_ERR_HEADERS_TIMEOUT: 'no answer within http.read_idle_timeout',
  UND_ERR_BODY_TIMEOUT: 'the answer stalled for http.read_idle_timeout',
  UND_ERR_SOCKET: 'the connection was closed before an answer came',
  UND_ERR_PRX_CONN: 'the proxy closed the connection',
  HPE_INVALID_CONSTANT: 'the answer is not HTTP: is the port right, and does it want tls?',
  ERR_HTTP2_ERROR: 'the answer is not HTTP/2: is the port right, and does it want tls?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS: is the port right?',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS: is the port right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name: set tls.vhost to the right one',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself: set tls.ca_file to it',
  SELF_SIGNED_CERT_IN_CHAIN:
    'its certificate comes from an unknown authority: set tls.ca_file to that of the authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate comes from an unknown authority: set tls.ca_file to that of the authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate comes from an unknown authority: set tls.ca_file to that of the authority',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'it wants a certificate of this side: set tls.crt_file and tls.key_file',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not trust the own certificate: check tls.crt_file',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION:
    'it takes no TLS version of those between tls.min_version and tls.max_version',
  ERR_SSL_UNSUPPORTED_PROTOCOL:
    'it takes no TLS version of those between tls.min_version and tls.max_version',
};

const MAX_DEPTH = 5;

/** The HTTP library has no code for a proxy that refuses, only words. */
const PROXY_STATUS = /\((407)\)|Proxy response \((\d{3})\)/;

/** A clause about an error of the network, its own words in parentheses. */
export function describeFailure(error: unknown): string {
  let current = error;
  for (let depth = 0; depth < MAX_DEPTH && current instanceof Error; depth++) {
    const inner = current instanceof AggregateError ? (current.errors as unknown[])[0] : undefined;
    for (const candidate of [current, inner]) {
      const code = (candidate as NodeJS.ErrnoException | undefined)?.code;
      const words = code === undefined ? undefined : BY_CODE[code];
      if (words !== undefined) return `${words} (${code})`;
    }
    const [, denied, status] = PROXY_STATUS.exec(current.message) ?? [];
    if (denied === '407' || status === '407')
      return 'the proxy wants credentials: write them in the proxy URL (407)';
    if (status !== undefined)
      return `the proxy refuses the connection: check whether it may go there (${status})`;
    current = current.cause;
  }
  return error instanceof Error ? error.message : String(error);
}
