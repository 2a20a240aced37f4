/** The start of an input that has state: what it remembers is found again and read on, or counted as lost. */
import { basename, dirname } from 'node:path';
import type { Source } from '../../../src/plugin.ts';
import type { Adoption } from './adoption.ts';
import type { FinishedFiles } from './finished.ts';
import { patternOf } from './follow-options.ts';
import type { FollowEvents, FollowOptions } from './follow-options.ts';
import { bytesBefore, FINGERPRINT_BYTES, keyOf } from './identity.ts';
import { findAgain } from './resume.ts';
import type { FoundSource } from './resume.ts';
import { isRotationOf, Siblings, statOf } from './siblings.ts';
import { discard, TailFile } from './tail-file.ts';

export interface Resumption {
  options: FollowOptions;
  events: FollowEvents;
  finished: FinishedFiles;
  adoption: Adoption;
  /** Takes a file among the followed ones. */
  track: (file: TailFile, descriptor: number, path: string | undefined) => void;
}

/** Follows the remembered files that are there again. */
export async function resumeSources(parts: Resumption): Promise<void> {
  const { options, events } = parts;
  const { store, log } = options;
  const gone: Source[] = [];
  const found: FoundSource[] = [];
  const siblings = new Siblings();
  // Of two that claim one file, the one that has less of it loses nothing.
  const stored = (store?.load() ?? []).toSorted((a, b) => a.position - b.position);
  const keys = new Set<string>();
  for (const each of stored) {
    // A path that is not configured any more: should it come back, it goes on where it was.
    if (patternOf(options, each.identity.path) === undefined) continue;
    const result = await findAgain(each, siblings);
    if (result === 'unreadable') continue;
    if (result !== 'gone' && !keys.has(keyOf(result.stats))) {
      keys.add(keyOf(result.stats));
      found.push(result);
      continue;
    }
    if (result !== 'gone') discard(result.descriptor);
    // What is under way after a reload, or was found on disk, is not lost.
    const lost = each.size - each.source.emitted;
    if (lost > 0) {
      events.onLost('source_gone', lost);
      log.warn(
        { file: each.identity.path, bytes: lost },
        'A file went while nobody read it; its rest is lost',
      );
    }
    gone.push(each.source);
  }
  if (gone.length > 0) store?.remove(gone);
  // Oldest first, so that generations of one path are read in order.
  found.sort((a, b) => Number(a.stats.mtimeNs - b.stats.mtimeNs));
  for (const each of found) resumeFile(parts, each);
  resumeLegacy(parts, siblings);
}

/** Follows a remembered file, or keeps it among the finished ones. */
export function resumeFile({ options, finished, track }: Resumption, found: FoundSource): void {
  const { stored, path: realPath, stats, descriptor, compressed } = found;
  const { source, identity: before } = stored;
  const { path } = before;
  const inode = String(stats.ino);
  const identity = { ...before, realPath, device: String(stats.dev), inode };
  // After a reload the source is alive: what it handed over is under way and need not be read again.
  const offset = source.emitted;
  source.gone = false;
  const isCurrent = statOf(path)?.ino === stats.ino;
  const size = compressed ? stored.size : Number(stats.size);
  if (inode !== before.inode || realPath !== before.realPath) options.store?.identify(source, identity);
  // A compressed file does not grow, unless it is only now what the remembered one has become. A rotated one hardly does.
  const isDone = compressed
    ? inode === before.inode
    : !isCurrent && patternOf(options, realPath) === undefined;
  if (isDone && size <= offset) {
    discard(descriptor);
    if (identity.fingerprintLength === 0 && offset === 0) {
      // Nothing was ever in it: whatever has its inode next is another file.
      options.store?.remove([source]);
      return;
    }
    finished.add(keyOf(stats), { ...stored, identity });
    return;
  }
  const shown = patternOf(options, path)?.show(path) ?? path;
  const file = new TailFile({
    path,
    realPath,
    key: keyOf(stats),
    tag: options.tagOf(shown) ?? '',
    shown,
    source,
    identity,
    offset,
    size,
    mtimeMs: Number(stats.mtimeMs),
    compressed,
  });
  file.skipping = !compressed && stoppedWithinLine(descriptor, offset, options.maxLine);
  track(file, descriptor, isCurrent ? path : undefined);
}

/** Files that Fluent Bit was reading and that were rotated since. */
function resumeLegacy({ options, adoption }: Resumption, siblings: Siblings): void {
  for (const { path, inode, offset } of options.store?.legacy ?? []) {
    if (statOf(path)?.ino.toString() === inode) continue;
    for (const place of siblings.withInode(dirname(path), inode)) {
      const stats = statOf(place);
      const isRest = stats !== undefined && stats.size > BigInt(offset);
      if (isRest && isRotationOf(basename(place), basename(path)) === 'plain')
        adoption.adoptRotated(path, place, stats);
    }
  }
}

/** True when reading stopped inside an over-long line whose rest was being passed over: no line end in a line's length before the offset. */
function stoppedWithinLine(descriptor: number, offset: number, maxLine: number): boolean {
  if (offset < maxLine) return false;
  // A cut may lie some bytes before the limit, at the border of a character.
  const first = offset - (maxLine - 4);
  for (let end = offset; end > first;) {
    const length = Math.min(FINGERPRINT_BYTES, end - first);
    if (bytesBefore(descriptor, end, length).includes(10)) return false;
    end -= length;
  }
  return true;
}
