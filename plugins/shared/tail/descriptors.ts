/**
 * A bound on open files: beyond it the ones that were idle the longest are closed, and opened again when they grow. Files that were
 * rotated away stay open: they may not be there to be opened again. So do files with something to read, up to as many again: one that
 * waits (for its turn, for its pod) and is deleted meanwhile can only be read through what is held of it.
 */
import { fstatSync, readFileSync } from 'node:fs';
import type { TailFile } from './tail-file.ts';

/** What is used where the system does not tell its limit. */
const FALLBACK = 512;
const MOST = 4096;
/** Times the limit that may be open while files are not read. */
const UNREAD_SHARE = 2;
/** Where all that is open has to stay, it is not looked through again before so large a share of it was used. */
const LOOK_SHARE = 16;

/** A share of what the system allows this process to have open. */
export function openFilesLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return line === null ? FALLBACK : Math.max(16, Math.min(MOST, Math.floor(Number(line[1]) / 4)));
  } catch {
    return FALLBACK;
  }
}

export class Descriptors {
  private readonly limit: number;
  /** Open files, the one that was used longest ago first. */
  private readonly open = new Set<TailFile>();
  /** Uses until files that may be closed are looked for again. */
  private untilLook = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get count(): number {
    return this.open.size;
  }

  /** True when one more with something to read would cost no other of that kind its place. */
  get hasRoom(): boolean {
    return this.open.size < this.limit * UNREAD_SHARE;
  }

  /** The file was opened or used; others may be closed for it. */
  use(file: TailFile): void {
    this.open.delete(file);
    this.open.add(file);
    this.trim(file);
  }

  /** Closes what is open beyond the limit and may be closed: files that were read, then, where these are not enough, others. */
  trim(except?: TailFile): void {
    if (this.open.size > this.limit && --this.untilLook < 0) {
      this.closeIdle(this.limit, except, isRead);
      const { size } = this.open;
      this.untilLook = size > this.limit ? Math.floor(size / LOOK_SHARE) : 0;
    }
    const most = this.limit * UNREAD_SHARE;
    if (this.open.size > most) this.closeIdle(most, except, () => true);
  }

  close(file: TailFile): void {
    this.open.delete(file);
    file.close();
  }

  private closeIdle(
    limit: number,
    except: TailFile | undefined,
    mayClose: (file: TailFile) => boolean,
  ): void {
    for (const file of this.open) {
      if (this.open.size <= limit) return;
      if (file === except || file.busy || file.names.size === 0 || file.compressed) continue;
      try {
        // It may have gone from its place, and nobody has told so yet.
        if (mayClose(file) && !file.observeDeletion()) this.close(file);
      } catch {
        // It cannot even be looked at (NFS: ESTALE). That is not the fault of the one that is used: whoever reads it will say so.
      }
    }
  }
}

/** Read to its end, also of what nobody has told of yet. */
function isRead(file: TailFile): boolean {
  return file.caughtUpAt !== undefined && !file.isChanged(fstatSync(file.bytes.descriptor));
}
