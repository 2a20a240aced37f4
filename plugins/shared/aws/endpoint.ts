/** Endpoints as a configuration names them: with or without scheme and port. */

/**
 * An endpoint as a URL; `tls` and `port` decide where no scheme and no port is written. Undefined when it is none, or has more than a
 * path.
 */
export function parseEndpoint(
  text: string,
  { tls, port }: { tls: boolean; port?: number | undefined },
): URL | undefined {
  const written = text.includes('://') ? text : `${tls ? 'https' : 'http'}://${text}`;
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!isPlain || !/^https?:$/.test(url.protocol) || url.hostname === '') return undefined;
  if (port !== undefined && !/:\d+(?:\/|$)/.test(written.slice(written.indexOf('://') + 3)))
    url.port = String(port);
  return url;
}
