/** Many datagrams by one system call: `recvmmsg` (recvmmsg(2), struct mmsghdr), which Node.js does not use. */
import { constants } from 'node:os';
import { ADDRESS_BYTES, AddressReader } from './address.ts';
import type { SocketAddress } from './address.ts';
import { systemError } from './library.ts';
import type { Library } from './library.ts';

const MSG_DONTWAIT = 0x40;
const { EAGAIN, EINTR } = constants.errno;

/** Datagrams that a call takes at most. */
const MANY = 64;
/** More than any datagram of UDP can have; memory that none needs is never touched. Bytes. */
const LONGEST = 65_536;
/** Bytes of the structures, and where they have what is needed, where pointers have eight bytes. */
const HEADER = 64;
const NAME = 0;
const NAME_LENGTH = 8;
const VECTOR = 16;
const VECTORS = 24;
const LENGTH = 56;
const VECTOR_BYTES = 16;
/** Of an address, so that each begins where it may. */
const NAME_BYTES = 32;

/** Who sent a datagram; what is asked for is read then. Good as long as the datagram is. */
class Sender implements SocketAddress {
  private readonly reader: AddressReader;
  private readonly bytes: Buffer;

  constructor(reader: AddressReader, bytes: Buffer) {
    this.reader = reader;
    this.bytes = bytes;
  }

  get address(): string {
    return this.reader.address(this.bytes);
  }

  get port(): number {
    return this.reader.port(this.bytes);
  }
}

export class Messages {
  private readonly library: Library;
  private readonly bytes = Buffer.allocUnsafeSlow(MANY * LONGEST);
  private readonly names = Buffer.alloc(MANY * NAME_BYTES);
  private readonly vectors = Buffer.alloc(MANY * VECTOR_BYTES);
  private readonly headers = Buffer.alloc(MANY * HEADER);
  /** The same, by numbers of four bytes. */
  private readonly words: Uint32Array;
  private readonly senders: Sender[] = [];

  constructor(library: Library) {
    this.library = library;
    const { bytes, names, vectors, headers } = this;
    this.words = new Uint32Array(headers.buffer, headers.byteOffset, headers.length / 4);
    const reader = new AddressReader(library);
    const pointers = new BigUint64Array(headers.buffer, headers.byteOffset, headers.length / 8);
    const lengths = new BigUint64Array(vectors.buffer, vectors.byteOffset, vectors.length / 8);
    const [bytesAt, namesAt, vectorsAt] = [bytes, names, vectors].map((buffer) => library.addressOf(buffer));
    for (let index = 0; index < MANY; index++) {
      lengths[(index * VECTOR_BYTES) / 8] = at(bytesAt, index * LONGEST);
      lengths[(index * VECTOR_BYTES) / 8 + 1] = BigInt(LONGEST);
      const header = (index * HEADER) / 8;
      pointers[header + NAME / 8] = at(namesAt, index * NAME_BYTES);
      pointers[header + VECTOR / 8] = at(vectorsAt, index * VECTOR_BYTES);
      pointers[header + VECTORS / 8] = 1n;
      this.words[(index * HEADER + NAME_LENGTH) / 4] = ADDRESS_BYTES;
      this.senders.push(new Sender(reader, names.subarray(index * NAME_BYTES, (index + 1) * NAME_BYTES)));
    }
  }

  /**
   * Takes what a socket has, {@link MANY} at most, and answers how many that were; 0: there is nothing. They are good until the next call.
   * Throws a sentence.
   */
  receive(descriptor: number): number {
    const { library, words } = this;
    for (;;) {
      const count = Number(library.recvmmsg(descriptor, this.headers, MANY, MSG_DONTWAIT, null));
      if (count >= 0) {
        // The kernel wrote there how long the addresses are.
        for (let index = 0; index < count; index++) words[(index * HEADER + NAME_LENGTH) / 4] = ADDRESS_BYTES;
        return count;
      }
      const code = library.errno();
      if (code === EAGAIN) return 0;
      if (code !== EINTR) throw systemError('receiving', code);
    }
  }

  datagram(index: number): Buffer {
    const start = index * LONGEST;
    return this.bytes.subarray(start, start + (this.words[(index * HEADER + LENGTH) / 4] as number));
  }

  sender(index: number): SocketAddress {
    return this.senders[index] as Sender;
  }
}

function at(start: bigint | undefined, offset: number): bigint {
  return (start ?? 0n) + BigInt(offset);
}
