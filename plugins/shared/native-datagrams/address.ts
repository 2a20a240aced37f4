/**
 * Addresses of the internet as the C library has them (`sockaddr_in`, `sockaddr_in6`), in the words of Node.js's own sockets. Numbers are
 * little-endian, as on the architectures that `udp.ts` is for.
 */
import { isIPv6 } from 'node:net';
import type { Library } from './library.ts';

const AF_INET = 2;
const AF_INET6 = 10;
/** Bytes of a `sockaddr_in6`, which is the larger one. */
export const ADDRESS_BYTES = 28;
const IPV4_BYTES = 16;
/** Where they have it. */
const PORT = 2;
const IPV4 = 4;
const IPV6 = 8;
const SCOPE = 24;
/** Bytes of a text, its NUL included. */
const LONGEST_TEXT = 46;
const LONGEST_NAME = 16;

export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

/** The structure of an address, which is a number already: `127.0.0.1`, `fe80::1%eth0`. */
export function encodeAddress(library: Library, { address, port }: SocketAddress): Buffer {
  const family = isIPv6(address) ? AF_INET6 : AF_INET;
  const bytes = Buffer.alloc(family === AF_INET6 ? ADDRESS_BYTES : IPV4_BYTES);
  bytes.writeUInt16LE(family);
  bytes.writeUInt16BE(port, PORT);
  const [number = '', zone] = address.split('%');
  library.inet_pton(family, number, bytes.subarray(family === AF_INET6 ? IPV6 : IPV4));
  if (zone !== undefined) bytes.writeUInt32LE(Number(library.if_nametoindex(zone)), SCOPE);
  return bytes;
}

/** The family of an address that is a number, for a socket. */
export function familyOf(address: string): number {
  return isIPv6(address) ? AF_INET6 : AF_INET;
}

/** Reads such structures. Senders come again and again: the last one's text is kept. */
export class AddressReader {
  private readonly library: Library;
  private readonly text = Buffer.alloc(LONGEST_TEXT);
  private readonly last = Buffer.alloc(ADDRESS_BYTES);
  private lastText: string | undefined;

  constructor(library: Library) {
    this.library = library;
  }

  /** `bytes` begins with the structure. */
  address(bytes: Buffer): string {
    const { last } = this;
    const family = bytes.readUInt16LE();
    const start = family === AF_INET6 ? IPV6 : IPV4;
    const end = family === AF_INET6 ? ADDRESS_BYTES : IPV6;
    const isLast = this.lastText !== undefined && last.compare(bytes, start, end, start, end) === 0;
    if (isLast && last.readUInt16LE() === family) return this.lastText as string;
    bytes.copy(last, 0, 0, end);
    this.lastText = this.write(family, bytes.subarray(start, end));
    return this.lastText;
  }

  port(bytes: Buffer): number {
    return bytes.readUInt16BE(PORT);
  }

  private write(family: number, bytes: Buffer): string {
    const { library, text } = this;
    library.inet_ntop(family, bytes, text, text.length);
    const address = textOf(text);
    // What is local to a link is nothing without the link.
    if (family !== AF_INET6 || bytes[0] !== 0xfe || ((bytes[1] ?? 0) & 0xc0) !== 0x80) return address;
    const index = bytes.readUInt32LE(SCOPE - IPV6);
    const name = Buffer.alloc(LONGEST_NAME);
    library.if_indextoname(index, name);
    return index === 0 ? address : `${address}%${textOf(name)}`;
  }
}

function textOf(bytes: Buffer): string {
  return bytes.toString('latin1', 0, bytes.indexOf(0));
}
