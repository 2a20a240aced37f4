/** Listens on a unix socket: what a killed process left there is removed, what somebody listens on is not. */
import { once } from 'node:events';
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import type { Server } from 'node:net';

/** Throws a sentence that says what to do. */
export async function listenOnPath(
  server: Server,
  path: string,
  mode: number | undefined,
  who: string,
): Promise<void> {
  const where = `${who}: listening on unix_path ${path}`;
  if (isThere(path)) {
    if (!lstatSync(path).isSocket())
      throw new Error(`${where}: there is something else than a socket. Remove it, or choose another path.`);
    if (await isListenedOn(path))
      throw new Error(`${where}: another process listens there. Stop that one, or choose another path.`);
    unlinkSync(path);
  }
  server.listen({ path });
  try {
    await once(server, 'listening');
    if (mode !== undefined) chmodSync(path, mode);
  } catch (error) {
    throw new Error(
      `${where}: ${(error as Error).message}. Check that the folder is there, that this user may write to it, and that the path is short.`,
      {
        cause: error,
      },
    );
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
