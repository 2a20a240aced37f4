/** Credentials in a request's Authorization header, compared in constant time whatever their lengths. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether the header says `Bearer TOKEN`. An empty token matches nothing. */
export function hasBearer(header: string | undefined, token: string): boolean {
  return isOneOf(credentialsOf(header, 'Bearer'), [token]);
}

/** What stands behind a scheme (`Bearer`, `ApiKey`, in any case) in the header; undefined when it says another one. */
export function credentialsOf(header: string | undefined, scheme: string): string | undefined {
  const [given = '', ...rest] = (header ?? '').split(' ');
  if (given.toLowerCase() !== scheme.toLowerCase()) return undefined;
  return rest.join(' ').trim();
}

/** Whether a credential is one of those expected, all of which are looked at. An empty one is none. */
export function isOneOf(given: string | undefined, expected: readonly string[]): boolean {
  if (given === undefined || given === '') return false;
  let found = false;
  for (const each of expected) found = isSame(given, each) || found;
  return found;
}

/** Whether the header says `Basic` with these credentials (RFC 7617). */
export function hasBasic(header: string | undefined, user: string, password: string): boolean {
  const given = /^Basic +(\S+) *$/i.exec(header ?? '')?.[1];
  if (given === undefined) return false;
  return isSame(Buffer.from(given, 'base64').toString(), `${user}:${password}`);
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
