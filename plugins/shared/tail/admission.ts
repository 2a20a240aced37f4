/** Which paths may be opened: regular files, whose real path lies where a wildcard may lead (a link must not lead out of it). */
import { closeSync, fstatSync, readlinkSync, realpathSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { openForReading } from './tail-file.ts';

const ALWAYS_ALLOWED = ['/var/log', '/var/lib/docker/containers'];

export type Refusal = 'gone' | 'unreadable' | 'not_a_file' | 'outside' | 'no_tag';

export type Admission =
  | { descriptor: number; stats: BigIntStats; realPath: string }
  | { refused: Refusal; reason: string };

/** Opens a path. `base` is the fixed part of the pattern with a wildcard that found it, undefined for a path named in full. */
export function admit(path: string, base: string | undefined, allowedRoots: readonly string[]): Admission {
  let descriptor: number | undefined;
  try {
    descriptor = openForReading(path);
    const stats = fstatSync(descriptor, { bigint: true });
    const realPath = realPathOf(descriptor, path);
    if (!stats.isFile()) {
      closeSync(descriptor);
      return { refused: 'not_a_file', reason: 'it is no regular file' };
    }
    if (base !== undefined && !isBelow(realPath, [realBase(base), ...ALWAYS_ALLOWED, ...allowedRoots])) {
      closeSync(descriptor);
      return {
        refused: 'outside',
        reason: `it leads to ${realPath}, outside of ${base}; allowed_roots can widen that`,
      };
    }
    return { descriptor, stats, realPath };
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { refused: 'gone', reason: message };
    // A socket, or a FIFO that nobody writes to.
    if (code === 'ENXIO') return { refused: 'not_a_file', reason: message };
    if (code !== 'EACCES' && code !== 'EPERM') return { refused: 'unreadable', reason: message };
    const reason = `${message}. Give the user of the agent a group that may read it, or the capability CAP_DAC_READ_SEARCH`;
    return { refused: 'unreadable', reason };
  }
}

/** Where an open file really is: asked of the descriptor, so that nothing can be swapped in between. */
function realPathOf(descriptor: number, path: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).replace(/ \(deleted\)$/, '');
  } catch {
    return realpathSync(path);
  }
}

function realBase(base: string): string {
  try {
    return realpathSync(base);
  } catch {
    return base;
  }
}

function isBelow(path: string, roots: readonly string[]): boolean {
  return roots.some(
    (root) => root === '/' || path === root || path.startsWith(`${root.replace(/\/$/, '')}/`),
  );
}
