/** Listens on a unix socket: what a killed process left there is removed, what somebody listens on is not. */
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { dirname } from 'node:path';

/** Of a path, without the NUL byte behind it: sun_path of unix(7). Bytes. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** `who` listens, on the path that the option `key` says. Throws a sentence that says what to do. */
export async function listenOnPath(
  server: Server,
  path: string,
  mode: number | undefined,
  who: string,
  key = 'unix_path',
): Promise<void> {
  const where = `${who}: listening on ${key} ${path}`;
  try {
    await makeWay(path, isListenedOn);
    server.listen({ path });
    await once(server, 'listening');
    if (mode !== undefined) chmodSync(path, mode);
  } catch (error) {
    throw new Error(`${where}: ${pathFailure(path, error)}.`, { cause: error });
  }
}

/** Why a socket cannot be made at a path, and what to do: the system's own word is often another (EACCES where the directory is missing). */
export function pathFailure(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const directory = dirname(path);
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_PATH)
    return `the path has ${bytes} bytes, and ${LONGEST_PATH} are possible; choose a shorter one`;
  if ((code === 'EACCES' || code === 'ENOENT') && !existsSync(directory))
    return `there is no directory ${directory}, or this user may not look into it; make it first, or choose another path`;
  if (code === 'EACCES' || code === 'EPERM')
    return `this user may not make a socket in ${directory}; let it write there, or choose another path`;
  if (code === 'EROFS')
    return `${directory} is read-only for this process; as a service of systemd add it to ReadWritePaths=, or choose another path`;
  return message;
}

/** Removes the socket of a process that is gone; `isAlive` says whether somebody listens on it. */
export async function makeWay(
  path: string,
  isAlive: (path: string) => Promise<boolean> | boolean,
): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket())
    throw new Error('there is something else than a socket; remove it, or choose another path');
  if (await isAlive(path))
    throw new Error('another process listens there; stop that one, or choose another path');
  unlinkSync(path);
}

/** By a stream socket. Only a refusal says that nobody is there: not one of another kind of socket, of a full queue, or of missing rights. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
  });
}
