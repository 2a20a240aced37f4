/**
 * Which proxy a request goes through: the `proxy` option, else HTTP_PROXY and HTTPS_PROXY less what NO_PROXY names.
 *
 * Source: https://docs.fluentbit.io/manual/administration/http-proxy
 */

/** The environment variables that count; lower case wins where both are set, as in curl. */
export interface ProxyEnvironment {
  readonly [name: string]: string | undefined;
}

/** The proxy for an origin by the environment; undefined for none. */
export function proxyFromEnvironment(origin: URL, environment: ProxyEnvironment): string | undefined {
  const name = origin.protocol === 'https:' ? 'https_proxy' : 'http_proxy';
  const proxy = environment[name] || environment[name.toUpperCase()];
  if (proxy === undefined || proxy === '') return undefined;
  const exceptions = environment['no_proxy'] || environment['NO_PROXY'] || '';
  if (isExcepted(origin, exceptions)) return undefined;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

/** `NO_PROXY`: hosts and domains with an optional port, separated by commas; `*` for all; `.example.com` means its subdomains too. */
function isExcepted(origin: URL, exceptions: string): boolean {
  const host = bareHost(origin);
  const port = origin.port || (origin.protocol === 'https:' ? '443' : '80');
  return exceptions.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    // An IPv6 address has colons of its own.
    const [, name = entry, wantedPort = port] = isIpv6(entry) ? [] : (/^(.*):(\d+)$/.exec(entry) ?? []);
    const wanted = name
      .replace(/^\*?\./, '')
      .replace(/^\[|\]$/g, '')
      .toLowerCase();
    return wanted !== '' && wantedPort === port && (host === wanted || host.endsWith(`.${wanted}`));
  });
}

/** Without port: several colons and no bracket. */
function isIpv6(entry: string): boolean {
  return /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(entry) || /^\[[^\]]*\]$/.test(entry);
}

function bareHost(origin: URL): string {
  return origin.hostname.replace(/^\[|\]$/g, '').toLowerCase();
}

/** A URL as it may be shown: without user and password. */
export function shownUrl(url: URL | string): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.pathname === '/' && shown.search === '' ? shown.origin : shown.href;
}
