/** Who may change something: a caller on this machine, or one with the token (SECURITY: `http_server.token`). */
import type { IncomingHttpHeaders } from 'node:http';
import { hasBearer } from '../net/credentials.ts';

export interface Caller {
  address: string | undefined;
  headers: IncomingHttpHeaders;
}

/** undefined when the caller may, else why not, a sentence. */
export function refusal(caller: Caller, token: string | undefined): string | undefined {
  if (token !== undefined && hasBearer(caller.headers.authorization, token)) return undefined;
  if (!isLoopback(caller.address)) {
    return token === undefined
      ? 'Only callers on this machine may do this; set http_server.token to allow others.'
      : 'This needs the header "Authorization: Bearer <http_server.token>".';
  }
  // A web page that somebody on this machine has open could send this too; browsers say so.
  if (caller.headers.origin !== undefined || caller.headers['sec-fetch-site'] !== undefined) {
    return 'Requests from web pages are refused; send the token of http_server.token.';
  }
  return undefined;
}

/** Whether an address, as a socket gives it, is this machine's own. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return plain === '::1' || /^127\.\d+\.\d+\.\d+$/.test(plain);
}
