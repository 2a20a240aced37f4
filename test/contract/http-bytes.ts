/** HTTP requests as bytes, for what an HTTP client would not send. */

/** A POST on a connection that stays open. */
export function post(
  path: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const bytes = Buffer.from(body);
  const lines = Object.entries({
    host: 'test',
    'user-agent': 'test',
    'content-length': String(bytes.length),
    ...headers,
  });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${head}\r\n`), bytes]);
}
