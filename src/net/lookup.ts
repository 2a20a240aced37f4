/** Name look-up that puts addresses of one family first. */
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

export function preferring(family: 'ipv4' | 'ipv6'): LookupFunction {
  const order = family === 'ipv4' ? 'ipv4first' : 'ipv6first';
  return (hostname, options, callback) => lookup(hostname, { ...options, order }, callback);
}
