/** Credentials in a request's Authorization header, compared in constant time whatever their lengths. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** Whether the header says `Bearer TOKEN`. An empty token matches nothing. */
export function hasBearer(header: string | undefined, token: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(header ?? '')?.[1];
  if (given === undefined || token === '') return false;
  return isSame(given.trim(), token);
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
