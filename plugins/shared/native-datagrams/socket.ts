/** A datagram socket of the C library's: what those of the unix kind and of UDP have in common. It never waits. */
import { endianness } from 'node:os';
import { systemError } from './library.ts';
import type { Library } from './library.ts';

const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;

/** The descriptor of a new socket. Throws a sentence. */
export function openSocket(library: Library, family: number): number {
  const descriptor = Number(library.socket(family, SOCK_DGRAM + SOCK_NONBLOCK + SOCK_CLOEXEC, 0));
  if (descriptor < 0) throw systemError('making a socket', library.errno());
  return descriptor;
}

/** An `int` as the C library has it. */
export function intBytes(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (endianness() === 'LE') bytes.writeInt32LE(value);
  else bytes.writeInt32BE(value);
  return bytes;
}

export class NativeSocket {
  protected readonly library: Library;
  /** -1 once it is closed: the number may be another file's by then. */
  protected descriptor: number;

  constructor(library: Library, descriptor: number) {
    this.library = library;
    this.descriptor = descriptor;
  }

  /** Asks for a receive buffer of so many bytes. */
  setRecvBufferSize(bytes: number): void {
    const { library } = this;
    const value = intBytes(bytes);
    if (library.setsockopt(this.descriptor, SOL_SOCKET, SO_RCVBUF, value, value.length) !== 0)
      throw systemError('setting the size of the receive buffer', library.errno());
  }

  /** Bytes, as the kernel says it: with what it takes for its own accounts. */
  getRecvBufferSize(): number {
    const { library } = this;
    const value = intBytes(0);
    if (library.getsockopt(this.descriptor, SOL_SOCKET, SO_RCVBUF, value, intBytes(value.length)) !== 0)
      throw systemError('asking for the size of the receive buffer', library.errno());
    return endianness() === 'LE' ? value.readInt32LE() : value.readInt32BE();
  }

  /** Whether the kernel sends SIGIO when a datagram comes. */
  signal(isWanted: boolean): void {
    const { library, descriptor } = this;
    if (isWanted) library.fcntl(descriptor, F_SETOWN, 'int', process.pid);
    if (library.fcntl(descriptor, F_SETFL, 'int', O_NONBLOCK + (isWanted ? O_ASYNC : 0)) !== 0)
      throw systemError('asking for signals', library.errno());
  }

  close(): void {
    if (this.descriptor !== -1) this.library.close(this.descriptor);
    this.descriptor = -1;
  }
}
