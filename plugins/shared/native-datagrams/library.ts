/**
 * The functions of the C library that datagram sockets need beyond what Node.js has, through koffi. Every call returns at once; nothing
 * here waits, and no thread is taken.
 */
import { constants } from 'node:os';

type Call = (...values: readonly unknown[]) => number | bigint;

export interface Library {
  socket: Call;
  bind: Call;
  connect: Call;
  recv: Call;
  recvmmsg: Call;
  send: Call;
  fcntl: Call;
  getsockname: Call;
  getsockopt: Call;
  setsockopt: Call;
  close: Call;
  inet_ntop: (...values: readonly unknown[]) => unknown;
  inet_pton: Call;
  if_nametoindex: Call;
  if_indextoname: (...values: readonly unknown[]) => unknown;
  /** Of the call before. */
  errno: () => number;
  /** Where a buffer lies, for structures with pointers. Whoever writes it there keeps the buffer alive. */
  addressOf: (buffer: Buffer) => bigint;
}

/** Loads koffi. Rejects with its reason when it is not there. For Linux alone: the constants around these calls are its own. */
export async function loadLibrary(): Promise<Library> {
  const { default: koffi } = await import('koffi');
  const c = koffi.load(null);
  return {
    socket: c.func('int socket(int, int, int)') as Call,
    bind: c.func('int bind(int, void *, uint32_t)') as Call,
    connect: c.func('int connect(int, void *, uint32_t)') as Call,
    recv: c.func('int64_t recv(int, void *, size_t, int)') as Call,
    recvmmsg: c.func('int recvmmsg(int, void *, uint32_t, int, void *)') as Call,
    send: c.func('int64_t send(int, void *, size_t, int)') as Call,
    fcntl: c.func('int fcntl(int, int, ...)') as Call,
    getsockname: c.func('int getsockname(int, void *, void *)') as Call,
    getsockopt: c.func('int getsockopt(int, int, int, void *, void *)') as Call,
    setsockopt: c.func('int setsockopt(int, int, int, void *, uint32_t)') as Call,
    close: c.func('int close(int)') as Call,
    inet_ntop: c.func('void *inet_ntop(int, void *, void *, uint32_t)'),
    inet_pton: c.func('int inet_pton(int, str, void *)') as Call,
    if_nametoindex: c.func('uint32_t if_nametoindex(str)') as Call,
    if_indextoname: c.func('void *if_indextoname(uint32_t, void *)'),
    errno: () => koffi.errno(),
    addressOf: (buffer) => koffi.address(buffer),
  };
}

/** An error as those of Node.js, with the name of `code`, a number of the C library's. */
export function systemError(what: string, code: number): NodeJS.ErrnoException {
  const name = Object.entries(constants.errno).find(([, number]) => number === code)?.[0] ?? `errno ${code}`;
  return Object.assign(new Error(`${what} failed: ${name}`), { code: name });
}
