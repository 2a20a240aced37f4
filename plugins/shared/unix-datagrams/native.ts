/**
 * Datagram sockets of the unix kind, which Node.js lacks, by calls of the C library through koffi. Every call returns at once; nothing
 * here waits, and no thread is taken.
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { constants, endianness } from 'node:os';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
/** Bytes of a path in an address, the NUL at its end included. */
const LONGEST_PATH = 108;

const { EAGAIN, ECONNREFUSED, EINTR, EMSGSIZE } = constants.errno;

type Call = (...values: readonly unknown[]) => number | bigint;

/** The functions of the C library that are used. */
interface Library {
  socket: Call;
  bind: Call;
  connect: Call;
  recv: Call;
  send: Call;
  fcntl: Call;
  setsockopt: Call;
  close: Call;
  errno: () => number;
}

/** Loads koffi. Throws a sentence when it is not there. */
export async function loadUnixDatagrams(): Promise<UnixDatagrams> {
  if (process.platform !== 'linux') {
    throw new Error('Unix datagram sockets are there on Linux only: use unix_tcp or udp.');
  }
  const { default: koffi } = await import('koffi').catch((error: unknown) => {
    throw new Error(
      'Unix datagram sockets need the optional package koffi, which is not installed, or not for this platform: install it, or use unix_tcp or udp.',
      { cause: error },
    );
  });
  const c = koffi.load(null);
  return new UnixDatagrams({
    socket: c.func('int socket(int, int, int)') as Call,
    bind: c.func('int bind(int, void *, uint32_t)') as Call,
    connect: c.func('int connect(int, void *, uint32_t)') as Call,
    recv: c.func('int64_t recv(int, void *, size_t, int)') as Call,
    send: c.func('int64_t send(int, void *, size_t, int)') as Call,
    fcntl: c.func('int fcntl(int, int, ...)') as Call,
    setsockopt: c.func('int setsockopt(int, int, int, void *, uint32_t)') as Call,
    close: c.func('int close(int)') as Call,
    errno: () => koffi.errno(),
  });
}

export class UnixDatagrams {
  private readonly library: Library;

  constructor(library: Library) {
    this.library = library;
  }

  /** A socket that is bound to a path at which there is nothing. Throws a sentence. */
  bind(path: string): UnixDatagramSocket {
    const address = addressOf(path);
    const descriptor = this.open();
    const { library } = this;
    if (library.bind(descriptor, address, address.length) !== 0) {
      const code = library.errno();
      library.close(descriptor);
      throw systemError('binding the socket', code);
    }
    return new UnixDatagramSocket(library, descriptor, path);
  }

  /** A socket that sends to the one at a path. Throws a sentence when nobody has it. */
  connect(path: string): UnixDatagramPeer {
    const address = addressOf(path);
    const descriptor = this.open();
    const { library } = this;
    if (library.connect(descriptor, address, address.length) !== 0) {
      const code = library.errno();
      library.close(descriptor);
      throw systemError('connecting', code);
    }
    return new UnixDatagramPeer(library, descriptor);
  }

  /** Whether a process has the socket at a path. */
  isAlive(path: string): boolean {
    const { library } = this;
    const address = addressOf(path);
    const descriptor = this.open();
    // Anything but a refusal comes of somebody who has it: a stream socket, for instance, or one that may not be written to.
    const isAlive =
      library.connect(descriptor, address, address.length) === 0 || library.errno() !== ECONNREFUSED;
    library.close(descriptor);
    return isAlive;
  }

  private open(): number {
    const descriptor = Number(this.library.socket(AF_UNIX, SOCK_DGRAM + SOCK_NONBLOCK + SOCK_CLOEXEC, 0));
    if (descriptor < 0) throw systemError('making a socket', this.library.errno());
    return descriptor;
  }
}

export class UnixDatagramSocket {
  private readonly library: Library;
  /** -1 once it is closed: the number may be another file's by then. */
  private descriptor: number;
  private readonly path: string;
  /** Of the socket's file: another process may have put its own in its place. */
  private readonly inode: bigint;

  constructor(library: Library, descriptor: number, path: string) {
    this.library = library;
    this.descriptor = descriptor;
    this.path = path;
    this.inode = lstatSync(path, { bigint: true }).ino;
  }

  /** Asks for a receive buffer of so many bytes. */
  setReceiveBuffer(bytes: number): void {
    const value = Buffer.alloc(4);
    if (endianness() === 'LE') value.writeInt32LE(bytes);
    else value.writeInt32BE(bytes);
    const { library } = this;
    if (library.setsockopt(this.descriptor, SOL_SOCKET, SO_RCVBUF, value, value.length) !== 0)
      throw systemError('setting the size of the receive buffer', library.errno());
  }

  /** Whether the kernel sends SIGIO when a datagram comes. */
  signal(isWanted: boolean): void {
    const { library, descriptor } = this;
    if (isWanted) library.fcntl(descriptor, F_SETOWN, 'int', process.pid);
    if (library.fcntl(descriptor, F_SETFL, 'int', O_NONBLOCK + (isWanted ? O_ASYNC : 0)) !== 0)
      throw systemError('asking for signals', library.errno());
  }

  /** Takes a datagram into `into` and answers its length, which may be more than fits; -1 when there is none. */
  receive(into: Buffer): number {
    const { library, descriptor } = this;
    for (;;) {
      const length = Number(library.recv(descriptor, into, into.length, MSG_DONTWAIT + MSG_TRUNC));
      if (length >= 0) return length;
      const code = library.errno();
      if (code === EAGAIN) return -1;
      if (code !== EINTR) throw systemError('receiving', code);
    }
  }

  /** Removes the socket's file: nobody can find it any more. */
  unlink(): void {
    const stats = lstatSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (stats?.ino === this.inode) unlinkSync(this.path);
  }

  close(): void {
    if (this.descriptor !== -1) this.library.close(this.descriptor);
    this.descriptor = -1;
  }
}

/** Sends to one socket. */
export class UnixDatagramPeer {
  private readonly library: Library;
  /** -1 once it is closed: the number may be another file's by then. */
  private descriptor: number;

  constructor(library: Library, descriptor: number) {
    this.library = library;
    this.descriptor = descriptor;
  }

  /** `full`: its queue has no room now. `too_large`: no datagram can have so much. Throws a sentence when it is gone. */
  send(bytes: Buffer): 'sent' | 'full' | 'too_large' {
    const { library, descriptor } = this;
    for (;;) {
      if (Number(library.send(descriptor, bytes, bytes.length, MSG_DONTWAIT + MSG_NOSIGNAL)) >= 0)
        return 'sent';
      const code = library.errno();
      if (code === EAGAIN) return 'full';
      if (code === EMSGSIZE) return 'too_large';
      if (code !== EINTR) throw systemError('sending', code);
    }
  }

  close(): void {
    if (this.descriptor !== -1) this.library.close(this.descriptor);
    this.descriptor = -1;
  }
}

/** A `sockaddr_un`. Throws a sentence. */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length >= LONGEST_PATH)
    throw new Error(`the path has ${name.length} bytes, and ${LONGEST_PATH - 1} are possible`);
  const address = Buffer.alloc(2 + name.length + 1);
  if (endianness() === 'LE') address.writeUInt16LE(AF_UNIX);
  else address.writeUInt16BE(AF_UNIX);
  name.copy(address, 2);
  return address;
}

function systemError(what: string, code: number): Error {
  const name = Object.entries(constants.errno).find(([, number]) => number === code)?.[0] ?? `errno ${code}`;
  return Object.assign(new Error(`${what} failed: ${name}`), { code: name });
}
