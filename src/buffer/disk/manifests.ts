/**
 * The manifests of an output's objects (DELIVERY.md, rule 26), beside the segments that hold their records: `objects/OUTPUT/SEQUENCE.json`
 * while the object is to be sent, `SEQUENCE.done` once the destination has it. What a `.done` names counts as settled, whatever the
 * progress log says; it goes when that log is synced. The one with the highest number stays: it says where the next one goes on.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, ManifestChunk } from '../../event/manifest.ts';
import { directorySynced, makeDirectory, syncDirectory } from './sync-directory.ts';

const FOLDER = 'objects';
const VERSION = 1;
const NAME = /^(\d{10,})\.(json|done)$/;

/** What earlier runs left. */
export interface FoundManifests {
  /** Objects that are to be sent, in order. */
  open: Manifest[];
  /** Objects that the destination has, though the progress log may not say so. */
  done: Manifest[];
  /** The highest sequence that was given; 0 for none. */
  last: number;
  /** Files that hold no manifest, put aside: their records go into new objects. */
  damaged: string[];
}

export class Manifests {
  private readonly folder: string;
  private made = false;

  /** Of an output, by its name in the state. `directory` is that of the disk buffer. */
  constructor(directory: string, output: string) {
    this.folder = folderOf(directory, output);
  }

  /** Throws what the file system throws. */
  read(): FoundManifests {
    const found: FoundManifests = { open: [], done: [], last: 0, damaged: [] };
    const names = new Map(this.names().map(({ name, sequence, kind }) => [`${sequence}.${kind}`, name]));
    for (const { name, sequence, kind } of this.names()) {
      found.last = Math.max(found.last, sequence);
      // A crash has cut an acknowledgement short: what is left of the object must not take its place.
      if (kind === 'json' && names.has(`${sequence}.done`)) {
        rmSync(join(this.folder, name));
        continue;
      }
      const manifest = parse(readFileSync(join(this.folder, name), 'utf8'));
      if (manifest?.sequence !== sequence) {
        renameSync(join(this.folder, name), join(this.folder, `${name}.damaged`));
        found.damaged.push(join(this.folder, `${name}.damaged`));
      } else if (kind === 'done') {
        found.done.push(manifest);
      } else {
        found.open.push(manifest);
      }
    }
    return found;
  }

  private names(): { name: string; sequence: number; kind: string }[] {
    let entries: string[];
    try {
      entries = readdirSync(this.folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return entries
      .flatMap((name) => {
        const [, sequence, kind = ''] = NAME.exec(name) ?? [];
        return sequence === undefined ? [] : { name, sequence: Number(sequence), kind };
      })
      .toSorted((a, b) => a.sequence - b.sequence);
  }

  /** Resolves when it is durable. Rejects with what the file system says. */
  async write(manifest: Manifest): Promise<void> {
    if (!this.made) makeDirectory(this.folder);
    this.made = true;
    await this.writeFile(manifest, 'json');
  }

  /**
   * The destination has the object: the one write that says so. `delivered`: the chunks that are settled by it, where not all are.
   * Resolves when it is durable.
   */
  async acknowledge(manifest: Manifest, delivered?: readonly ManifestChunk[]): Promise<void> {
    const file = this.file(manifest.sequence, 'json');
    if (delivered === undefined) {
      await rename(file, this.file(manifest.sequence, 'done'));
      await directorySynced(this.folder);
      return;
    }
    await this.writeFile({ ...manifest, chunks: delivered }, 'done');
    await rm(file, { force: true });
  }

  /** What these name is in the synced progress log: it need not be said twice. Returns which went; the last one of all stays. */
  async tidy(settled: ReadonlySet<number>): Promise<number[]> {
    const names = this.names();
    const last = names.at(-1)?.sequence;
    const gone = names.filter(
      ({ sequence, kind }) => kind === 'done' && settled.has(sequence) && sequence !== last,
    );
    for (const { name } of gone) await rm(join(this.folder, name), { force: true });
    return gone.map(({ sequence }) => sequence);
  }

  private file(sequence: number, kind: 'json' | 'done'): string {
    return join(this.folder, `${String(sequence).padStart(10, '0')}.${kind}`);
  }

  private async writeFile(manifest: Manifest, kind: 'json' | 'done'): Promise<void> {
    const file = this.file(manifest.sequence, kind);
    try {
      const handle = await open(`${file}.new`, 'w', 0o600);
      try {
        await handle.writeFile(`${JSON.stringify({ version: VERSION, ...manifest })}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${file}.new`, file);
    } catch (error) {
      // It would take the room that a full disk lacks.
      rmSync(`${file}.new`, { force: true });
      throw error;
    }
    await directorySynced(this.folder);
  }
}

/** An output goes by another name: its manifests do too. Throws what the file system throws. */
export function renameManifests(directory: string, from: string, to: string): void {
  const old = folderOf(directory, from);
  const target = folderOf(directory, to);
  let names: string[];
  try {
    names = readdirSync(old);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  mkdirSync(target, { recursive: true, mode: 0o700 });
  for (const name of names) renameSync(join(old, name), join(target, name));
  rmSync(old, { recursive: true, force: true });
  syncDirectory(target);
  syncDirectory(join(directory, FOLDER));
}

function folderOf(directory: string, output: string): string {
  // `.` and `..` are names that encoding leaves as they are.
  return join(directory, FOLDER, encodeURIComponent(output).replaceAll('.', '%2E'));
}

/** Undefined for what no agent of ours wrote as a whole. */
function parse(text: string): Manifest | undefined {
  try {
    const read = JSON.parse(text) as (Partial<Manifest> & { version?: unknown }) | null;
    const valid =
      read?.version === VERSION &&
      Number.isSafeInteger(read.sequence) &&
      typeof read.plan?.key === 'string' &&
      typeof read.plan.settings === 'object' &&
      Array.isArray(read.chunks);
    return valid ? (read as Manifest) : undefined;
  } catch {
    return undefined;
  }
}
