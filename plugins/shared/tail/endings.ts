/**
 * How followed files end: they become another one in place, are read to their end and settled, or go with what was not read of them,
 * which is counted and told once (DELIVERY.md, rule 3).
 */
import { randomUUID } from 'node:crypto';
import { Source } from '../../../src/plugin.ts';
import type { StoredSource } from '../../../src/plugin.ts';
import type { Descriptors } from './descriptors.ts';
import type { FileTable } from './file-table.ts';
import type { FinishedFiles } from './finished.ts';
import type { FollowEvents, FollowOptions } from './follow-options.ts';
import { fingerprintOf } from './identity.ts';
import { findAgain } from './resume.ts';
import { Siblings } from './siblings.ts';
import { discard } from './tail-file.ts';
import type { TailFile } from './tail-file.ts';

export class Endings {
  /** Generations that were truncated, or went while they were closed, and are not settled. */
  readonly retired = new Set<Source>();
  private readonly options: FollowOptions;
  private readonly events: FollowEvents;
  private readonly table: FileTable;
  private readonly finished: FinishedFiles;
  private readonly descriptors: Descriptors;

  constructor(parts: {
    options: FollowOptions;
    events: FollowEvents;
    table: FileTable;
    finished: FinishedFiles;
    descriptors: Descriptors;
  }) {
    this.options = parts.options;
    this.events = parts.events;
    this.table = parts.table;
    this.finished = parts.finished;
    this.descriptors = parts.descriptors;
  }

  /** The file became another one in place (truncated, or rewritten): it is read from its head as a new generation. */
  restart(file: TailFile): void {
    const { store, log } = this.options;
    const size = file.sizeNow ?? 0;
    const lost = Math.max(0, file.size - file.offset);
    if (lost > 0) this.events.onLost('truncated', lost);
    log.warn(
      { file: file.path, offset: file.offset, bytes_lost: lost },
      'A file was truncated; it is read from its head',
    );
    const identity = { ...file.identity, ...fingerprintOf(file.bytes.descriptor, size) };
    const old = file.source;
    store?.describe(old, file.lastDescription);
    const source = store?.add([{ identity, start: 0, size }])[0] ?? new Source(randomUUID(), 0);
    this.retire(old);
    file.startOver(source, identity, size);
    store?.describe(source, (position) => file.describe(position));
    this.table.ready(file);
  }

  /** Nothing can be read of it any more. */
  private retire(source: Source): void {
    source.gone = true;
    this.retired.add(source);
  }

  /** Forgets retired generations once what was read of them is delivered, or on disk. */
  forgetRetired(): void {
    for (const source of this.retired) {
      if (source.position() < source.emitted) continue;
      this.retired.delete(source);
      this.options.store?.remove([source]);
    }
  }

  /** Lets go of a file that is rotated away, read and settled. It stays known as long as it is there. */
  forget(file: TailFile): void {
    const { store } = this.options;
    const { source, identity } = file;
    if (file.isOpen) this.events.onClosed();
    this.descriptors.close(file);
    const position = source.position();
    const description = file.describe(position);
    store?.describe(source, undefined);
    this.table.remove(file);
    if (identity.fingerprintLength === 0 && file.offset === 0) {
      // Nothing was ever in it: whatever has its inode next is another file.
      store?.remove([source]);
      return;
    }
    this.finished.add(file.key, {
      source,
      identity,
      position,
      tailHash: description?.tailHash ?? '',
      size: file.size,
    });
  }

  /** The file cannot be had any more; what was not read of it is lost. */
  abandon(file: TailFile): void {
    const { store, log } = this.options;
    const lost = Math.max(0, file.size - file.offset);
    if (lost > 0) {
      this.events.onLost('source_gone', lost);
      log.warn({ file: file.path, bytes: lost }, 'A file went while it was not open; its rest is lost');
    }
    store?.describe(file.source, undefined);
    store?.remove([file.source]);
    this.retire(file.source);
    this.table.remove(file);
  }

  /** Closes a deleted file that can be kept open no longer; what was not read of it is lost. */
  async letGo(file: TailFile): Promise<void> {
    const rest = restOf(file);
    this.events.onClosed();
    this.descriptors.close(file);
    this.options.store?.describe(file.source, undefined);
    this.retire(file.source);
    this.table.remove(file);
    if (rest !== undefined) await this.giveUp(rest, new Siblings());
  }

  /** Closes all files. What was not read of deleted ones is lost with that, unless it is elsewhere as well. */
  async close(): Promise<void> {
    const siblings = new Siblings();
    for (const file of this.table.files.values()) {
      const rest = file.observeDeletion() && !file.broken ? restOf(file) : undefined;
      this.descriptors.close(file);
      this.options.store?.describe(file.source, undefined);
      if (rest !== undefined) await this.giveUp(rest, siblings);
    }
  }

  private async giveUp(rest: StoredSource, siblings: Siblings): Promise<void> {
    const { store } = this.options;
    // Compressed or copied before it was deleted: the next start goes on there.
    const copy = store === undefined ? 'gone' : await findAgain(rest, siblings);
    if (copy === 'unreadable') return;
    if (copy !== 'gone') {
      discard(copy.descriptor);
      return;
    }
    store?.remove([rest.source]);
    this.tellUnlinked(rest.identity.path, rest.size - rest.source.emitted);
  }

  private tellUnlinked(file: string, bytes: number): void {
    this.events.onLost('unlinked', bytes);
    this.options.log.warn({ file, bytes }, 'A file was deleted before all of it was read; the rest is lost');
  }
}

/** What was not handed over of an open file, as the state knows it; undefined when nothing is left. */
function restOf(file: TailFile): StoredSource | undefined {
  file.observeSize();
  const { source, identity, size } = file;
  if (source.emitted >= size) return undefined;
  const position = source.position();
  return { source, identity, position, tailHash: file.describe(position)?.tailHash ?? '', size };
}
