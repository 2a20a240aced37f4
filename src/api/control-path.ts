/**
 * The control socket's place: `control.sock` in the state directory. Addresses of Unix sockets hold some 100 bytes; where the directory's path
 * is longer, the directory is opened and the socket reached through its descriptor.
 */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'control.sock';
/** Linux takes 107 bytes, macOS 103. */
const MAX_BYTES = 100;
const DESCRIPTORS = '/proc/self/fd';

/** Where the socket of a state directory is, as a file. */
export function controlSocket(directory: string): string {
  return join(directory, NAME);
}

/** An address that can be bound and connected to while it is not released. Throws when the path is too long here. */
export function controlAddress(directory: string): { path: string; release: () => void } {
  const path = controlSocket(directory);
  if (Buffer.byteLength(path) <= MAX_BYTES) return { path, release: () => undefined };
  if (!existsSync(DESCRIPTORS)) {
    throw new Error(`The path ${path} is too long for a socket: name a shorter state_path.`);
  }
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `${DESCRIPTORS}/${descriptor}/${NAME}`, release: () => closeSync(descriptor) };
}
