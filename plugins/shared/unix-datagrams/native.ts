/** Datagram sockets of the unix kind, which Node.js lacks. */
import { lstatSync, unlinkSync } from 'node:fs';
import { constants, endianness } from 'node:os';
import { loadLibrary, systemError } from '../native-datagrams/library.ts';
import type { Library } from '../native-datagrams/library.ts';
import { NativeSocket, openSocket } from '../native-datagrams/socket.ts';

const AF_UNIX = 1;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of a path in an address, the NUL at its end included. */
const LONGEST_PATH = 108;

const { EAGAIN, ECONNREFUSED, EINTR, EMSGSIZE } = constants.errno;

/** Loads koffi. Throws a sentence when it is not there. */
export async function loadUnixDatagrams(): Promise<UnixDatagrams> {
  if (process.platform !== 'linux') {
    throw new Error('Unix datagram sockets are there on Linux only: use unix_tcp or udp.');
  }
  const library = await loadLibrary().catch((error: unknown) => {
    throw new Error(
      'Unix datagram sockets need the optional package koffi, which is not installed, or not for this platform: install it, or use unix_tcp or udp.',
      { cause: error },
    );
  });
  return new UnixDatagrams(library);
}

export class UnixDatagrams {
  private readonly library: Library;

  constructor(library: Library) {
    this.library = library;
  }

  /** A socket that is bound to a path at which there is nothing. Throws a sentence. */
  bind(path: string): UnixDatagramSocket {
    const address = addressOf(path);
    const descriptor = openSocket(this.library, AF_UNIX);
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
    const descriptor = openSocket(this.library, AF_UNIX);
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
    const descriptor = openSocket(this.library, AF_UNIX);
    // Anything but a refusal comes of somebody who has it: a stream socket, for instance, or one that may not be written to.
    const isAlive =
      library.connect(descriptor, address, address.length) === 0 || library.errno() !== ECONNREFUSED;
    library.close(descriptor);
    return isAlive;
  }
}

export class UnixDatagramSocket extends NativeSocket {
  private readonly path: string;
  /** Of the socket's file: another process may have put its own in its place. */
  private readonly inode: bigint;

  constructor(library: Library, descriptor: number, path: string) {
    super(library, descriptor);
    this.path = path;
    this.inode = lstatSync(path, { bigint: true }).ino;
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
}

/** Sends to one socket. */
export class UnixDatagramPeer extends NativeSocket {
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
