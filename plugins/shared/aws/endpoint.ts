/** Endpoints as a configuration names them: with or without scheme and port. */

/** An endpoint as a URL; `tls` decides where no scheme is written. Undefined when it is none, or has more than a path. */
export function parseEndpoint(text: string, tls: boolean): URL | undefined {
  const written = text.includes('://') ? text : `${tls ? 'https' : 'http'}://${text}`;
  if (!URL.canParse(written)) return undefined;
  const url = new URL(written);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return isPlain && /^https?:$/.test(url.protocol) && url.hostname !== '' ? url : undefined;
}
