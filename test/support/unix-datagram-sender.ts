/** Sends datagrams to a unix socket, which Node.js cannot. */
import { setImmediate as turn } from 'node:timers/promises';
import koffi from 'koffi';
import { onTestFinished } from 'vitest';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

const library = koffi.load(null);
const socket = library.func('int socket(int, int, int)');
const connect = library.func('int connect(int, void *, uint32_t)');
const send = library.func('int64_t send(int, void *, size_t, int)');
const close = library.func('int close(int)');

export interface UnixSender {
  /** Sends one; false when the receiver's queue is full. */
  trySend: (bytes: Buffer | string) => boolean;
  /** Sends one, as soon as there is room. */
  send: (bytes: Buffer | string) => Promise<void>;
}

/** Connects to the socket at a path; closed at the end of the test. */
export function unixSender(path: string): UnixSender {
  const descriptor = socket(AF_UNIX, SOCK_DGRAM, 0) as number;
  const address = Buffer.alloc(2 + path.length + 1);
  address.writeUInt16LE(AF_UNIX);
  address.write(path, 2);
  if (connect(descriptor, address, address.length) !== 0) throw new Error(`There is nobody at ${path}.`);
  onTestFinished(() => void close(descriptor));
  const trySend = (bytes: Buffer | string): boolean => {
    const buffer = Buffer.from(bytes);
    return Number(send(descriptor, buffer, buffer.length, MSG_DONTWAIT)) === buffer.length;
  };
  return {
    trySend,
    async send(bytes) {
      while (!trySend(bytes)) await turn();
    },
  };
}
