/** Where a request comes from. */
import type { IncomingMessage } from 'node:http';

/** The first address of the header X-Forwarded-For, else that of the connection. */
export function senderOf(request: IncomingMessage): string {
  return forwardedFor(request) ?? request.socket.remoteAddress ?? '';
}

/** The first address of the header X-Forwarded-For: what a proxy says. */
export function forwardedFor({ headers }: IncomingMessage): string | undefined {
  const [first = ''] = [headers['x-forwarded-for'] ?? ''].flat().join().split(',');
  const address = first.trim();
  return address === '' ? undefined : address;
}
