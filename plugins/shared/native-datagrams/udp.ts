/** UDP sockets that take many datagrams by one system call, where koffi is there. */
import { ADDRESS_BYTES, AddressReader, encodeAddress, familyOf } from './address.ts';
import type { SocketAddress } from './address.ts';
import type { Found } from './drain.ts';
import { loadLibrary, systemError } from './library.ts';
import type { Library } from './library.ts';
import { Messages } from './messages.ts';
import { intBytes, NativeSocket, openSocket } from './socket.ts';

const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
/** Those whose structures and constants are the ones that are written down here. */
const ARCHITECTURES: ReadonlySet<string> = new Set(['x64', 'arm64']);

export interface Wanted extends SocketAddress {
  /** Lets other processes listen on the same port. */
  sharePort: boolean;
}

/** Rejects with the reason where there are none. */
export async function loadUdp(): Promise<(wanted: Wanted) => UdpSocket> {
  if (process.platform !== 'linux' || !ARCHITECTURES.has(process.arch))
    throw new Error(`recvmmsg is not used on ${process.platform} ${process.arch}`);
  const library = await loadLibrary();
  return (wanted) => bind(library, wanted);
}

/** Throws an error with the code, as Node.js does. */
function bind(library: Library, wanted: Wanted): UdpSocket {
  const socket = new UdpSocket(library, openSocket(library, familyOf(wanted.address)));
  try {
    socket.bind(wanted);
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

export class UdpSocket extends NativeSocket {
  private readonly messages: Messages;
  /** Those of the messages that are not handed on yet. */
  private next = 0;
  private count = 0;

  constructor(library: Library, descriptor: number) {
    super(library, descriptor);
    this.messages = new Messages(library);
  }

  bind({ sharePort, ...place }: Wanted): void {
    const { library, descriptor } = this;
    const yes = intBytes(1);
    if (sharePort && library.setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, yes, yes.length) !== 0)
      throw systemError('sharing the port', library.errno());
    const address = encodeAddress(library, place);
    if (library.bind(descriptor, address, address.length) !== 0)
      throw systemError('binding the socket', library.errno());
  }

  /** Where it is bound. */
  address(): SocketAddress {
    const { library } = this;
    const bytes = Buffer.alloc(ADDRESS_BYTES);
    if (library.getsockname(this.descriptor, bytes, intBytes(bytes.length)) !== 0)
      throw systemError('asking for the address', library.errno());
    const reader = new AddressReader(library);
    return { address: reader.address(bytes), port: reader.port(bytes) };
  }

  /**
   * Hands what is there to `take`, up to `most` datagrams or `mostBytes`. Their memory and their senders are good until `take` returns; of
   * one that throws the others come with the next call.
   */
  receive(take: (bytes: Buffer, sender: SocketAddress) => void, most: number, mostBytes: number): Found {
    const { messages, descriptor } = this;
    let taken = 0;
    for (let bytes = 0; taken < most && bytes < mostBytes; taken++) {
      if (this.next === this.count) {
        this.next = 0;
        this.count = 0;
        this.count = messages.receive(descriptor);
        if (this.count === 0) return taken === 0 ? 'none' : 'all';
      }
      const index = this.next++;
      const datagram = messages.datagram(index);
      bytes += datagram.length;
      take(datagram, messages.sender(index));
    }
    return 'more';
  }
}
