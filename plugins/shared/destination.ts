/** What all outputs share that connect to a host: the checks of its options, and what connections are made with. */
import { string } from '../../src/plugin.ts';
import type {
  netOptions,
  OptionProblem,
  OptionValues,
  OutputContext,
  TlsSettings,
  tlsOptions,
} from '../../src/plugin.ts';

export const hostOption = string().default('127.0.0.1').describe('Host name or address, IPv6 too.');

type Tls = OptionValues<typeof tlsOptions>;
type Net = Pick<OptionValues<typeof netOptions>, 'net.dns.prefer_ipv4' | 'net.dns.prefer_ipv6'>;

/** The problems of these options, for `check`. */
export function checkDestination(options: Tls & { host: string }): OptionProblem[] {
  const problems = checkHost(options.host);
  if ((options['tls.crt_file'] === undefined) !== (options['tls.key_file'] === undefined)) {
    const key = options['tls.crt_file'] === undefined ? 'tls.key_file' : 'tls.crt_file';
    problems.push({
      key,
      message: 'stands alone: an own certificate takes both tls.crt_file and tls.key_file',
    });
  }
  if (isUnverified(options)) {
    problems.push({
      key: options['tls.verify'] ? 'tls.verify_hostname' : 'tls.verify',
      message:
        'is off: whoever is on the way can read and change the records; set tls.ca_file or tls.vhost instead',
      level: 'warning',
    });
  }
  return problems;
}

/** The problems of a host, for `check`. */
export function checkHost(host: string): OptionProblem[] {
  if (!/[\s/?#@]/.test(host)) return [];
  return [
    {
      key: 'host',
      message: 'is not a host: write the name or address alone, the path as uri, the port as port',
    },
  ];
}

function isUnverified(options: Tls): boolean {
  return options.tls && !(options['tls.verify'] && options['tls.verify_hostname']);
}

/** Sets the gauge that says whether an output takes its destination's word for who it is. */
export function reportVerification(options: Tls, { metrics, name }: OutputContext): void {
  metrics
    .gauge(
      'tailrace_output_tls_unverified',
      '1 for outputs that do not verify the certificate of their destination.',
    )
    .labels({ output: name }).value = isUnverified(options) ? 1 : 0;
}

/** What to encrypt with; undefined without `tls`. */
export function tlsSettings(options: Tls): TlsSettings | undefined {
  if (!options.tls) return undefined;
  return {
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
  };
}

/** Which addresses of a name come first; undefined as the resolver says. */
export function preferredFamily(options: Net): 'ipv4' | 'ipv6' | undefined {
  if (options['net.dns.prefer_ipv4']) return 'ipv4';
  return options['net.dns.prefer_ipv6'] ? 'ipv6' : undefined;
}
