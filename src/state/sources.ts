/**
 * The remembered sources of one input, in one database. Marks that changed are written in one transaction, never synced here:
 * a killed process loses none of them, a power cut at most the last second's, which costs duplicates.
 */
import { randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { Ranges } from '../event/ranges.ts';
import type { Range } from '../event/ranges.ts';
import { Source } from '../event/source.ts';
import type { Progress } from '../event/source.ts';
import { checksum } from './damage.ts';
import type {
  LegacyPosition,
  SourceDescription,
  SourceIdentity,
  SourceStore,
  StoredSource,
} from './store.ts';

/** What the database holds of a source; rewritten only where it differs. */
interface Written {
  /** As last written; undefined after a failure. */
  position: number | undefined;
  description: SourceDescription;
  /** By output: mark and ranges, as one string to compare. */
  marks: Map<string, string>;
}

interface Entry {
  source: Source;
  /** False until its row is in the database. */
  stored: boolean;
  identity: SourceIdentity;
  identityChanged: boolean;
  describe: ((position: number) => SourceDescription | undefined) | undefined;
  written: Written;
}

const UNKNOWN: SourceDescription = { tailHash: '', size: 0 };

export interface SqliteSourcesOptions {
  database: DatabaseSync;
  input: string;
  /** The plugin of an output that is there, or was there in this run; empty if it is not known. */
  pluginOf: (output: string) => string;
  /** Whether an output is there now. */
  isPresent: (output: string) => boolean;
  /** By output, ranges of a source's bytes that the disk buffer holds. */
  recovered: (source: string) => ReadonlyMap<string, readonly Range[]>;
  /** Asked only when the input has no state yet. */
  legacy: () => readonly LegacyPosition[];
  /** Likewise. */
  legacyCursor: () => string | undefined;
  lastWritten: number | undefined;
  /** Writes what changed, now; never throws. */
  save: () => void;
}

export class SqliteSources implements SourceStore {
  readonly legacy: readonly LegacyPosition[];
  readonly legacyCursor: string | undefined;
  readonly lastWritten: number | undefined;
  private readonly input: string;
  private readonly pluginOf: (output: string) => string;
  private readonly isPresent: (output: string) => boolean;
  private readonly recovered: SqliteSourcesOptions['recovered'];
  private readonly save: () => void;
  private readonly entries = new Map<string, Entry>();
  private readonly dirty = new Set<Entry>();
  /** Sources whose rows are to go. */
  private readonly doomed = new Set<string>();
  private readonly statements: Record<'claim' | 'put' | 'mark' | 'remove' | 'unmark', StatementSync>;
  private claimed: boolean;
  private claimStored: boolean;
  private readonly hadState: boolean;

  constructor(options: SqliteSourcesOptions) {
    const { database, input, pluginOf, isPresent, recovered, legacy, legacyCursor, lastWritten, save } =
      options;
    this.input = input;
    this.pluginOf = pluginOf;
    this.isPresent = isPresent;
    this.recovered = recovered;
    this.save = save;
    this.claimed = database.prepare('SELECT 1 FROM inputs WHERE name = ?').get(input) !== undefined;
    this.claimStored = this.claimed;
    // Positions that were lost with a damaged file were there: nothing may be skipped on their account.
    const replaced = database.prepare("SELECT 1 FROM meta WHERE key = 'replaced'").get() !== undefined;
    this.legacy = this.claimed ? [] : legacy();
    this.legacyCursor = this.claimed ? undefined : legacyCursor();
    this.hadState = replaced || this.legacy.length > 0 || this.legacyCursor !== undefined;
    this.lastWritten = this.claimed || this.hadState ? lastWritten : undefined;
    this.statements = {
      claim: database.prepare('INSERT OR REPLACE INTO inputs VALUES (?, ?)'),
      put: database.prepare('INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
      mark: database.prepare('INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?)'),
      remove: database.prepare('DELETE FROM sources WHERE id = ?'),
      unmark: database.prepare('DELETE FROM marks WHERE source = ?'),
    };
    this.read(database);
  }

  get fresh(): boolean {
    return !this.claimed && !this.hadState;
  }

  private read(database: DatabaseSync): void {
    const rows = database.prepare('SELECT * FROM sources WHERE input = ?').all(this.input);
    const marks = database.prepare('SELECT * FROM marks WHERE source = ?');
    for (const row of rows) {
      const id = String(row['id']);
      const identity: SourceIdentity = {
        path: String(row['path']),
        realPath: String(row['real_path']),
        device: String(row['device']),
        inode: String(row['inode']),
        fingerprint: String(row['fingerprint']),
        fingerprintLength: Number(row['fingerprint_length']),
      };
      const progress = new Map<string, Progress>();
      const written = new Map<string, string>();
      for (const mark of marks.all(id)) {
        const output = String(mark['output']);
        const entry = { mark: Number(mark['mark']), settled: JSON.parse(String(mark['settled'])) as Range[] };
        written.set(output, markText(entry));
        // A vanished output's mark holds nothing back.
        if (this.isPresent(output)) progress.set(output, entry);
      }
      const position = Number(row['position']);
      // What a crash left on disk is not read again, though no mark says so yet (rule 14).
      const recovered = this.recovered(id);
      for (const [output, ranges] of recovered) {
        if (!this.isPresent(output)) continue;
        const { mark, settled } = progress.get(output) ?? { mark: position, settled: [] };
        progress.set(output, advance(mark, new Ranges([...settled, ...ranges])));
      }
      const lowest = Math.min(...[...progress.values()].map(({ mark }) => mark));
      const source = new Source(id, progress.size === 0 ? position : lowest, progress, recovered);
      source.dirty = false;
      this.track(source, identity, true, {
        position,
        description: { tailHash: String(row['tail_hash']), size: Number(row['size']) },
        marks: written,
      });
    }
  }

  private track(source: Source, identity: SourceIdentity, stored: boolean, written: Written): Entry {
    const entry: Entry = {
      source,
      stored,
      identity,
      identityChanged: false,
      describe: undefined,
      written,
    };
    this.entries.set(source.id, entry);
    source.onDirty = () => this.dirty.add(entry);
    return entry;
  }

  load(): StoredSource[] {
    return [...this.entries.values()].map(({ source, identity, written }) => ({
      source,
      identity,
      position: written.position ?? source.position(),
      ...written.description,
    }));
  }

  claim(): void {
    if (this.claimed) return;
    this.claimed = true;
    this.save();
  }

  add(found: readonly { identity: SourceIdentity; start: number; size?: number }[]): Source[] {
    this.claimed = true;
    const sources = found.map(({ identity, start, size = 0 }) => {
      const source = new Source(randomUUID(), start);
      const description = { tailHash: '', size };
      this.dirty.add(this.track(source, identity, false, { position: start, description, marks: new Map() }));
      return source;
    });
    this.save();
    return sources;
  }

  identify(source: Source, identity: SourceIdentity): void {
    const entry = this.entries.get(source.id);
    if (entry === undefined) return;
    entry.identity = identity;
    entry.identityChanged = true;
    this.dirty.add(entry);
    source.touch();
  }

  describe(
    source: Source,
    describe: ((position: number) => SourceDescription | undefined) | undefined,
  ): void {
    const entry = this.entries.get(source.id);
    if (entry !== undefined) entry.describe = describe;
  }

  remove(sources: readonly Source[]): void {
    for (const source of sources) {
      const entry = this.entries.get(source.id);
      if (entry === undefined) continue;
      this.doomed.add(source.id);
      this.entries.delete(source.id);
      this.dirty.delete(entry);
      source.onDirty = undefined;
    }
  }

  get hasChanges(): boolean {
    return this.dirty.size > 0 || this.doomed.size > 0 || this.claimed !== this.claimStored;
  }

  /** Writes what changed; inside a transaction of the caller. Returns the rows written. Throws what SQLite throws. */
  write(): number {
    let rows = this.doomed.size;
    if (this.claimed && !this.claimStored) this.statements.claim.run(this.input, checksum(this.input));
    for (const id of this.doomed) {
      this.statements.remove.run(id);
      this.statements.unmark.run(id);
    }
    for (const entry of this.dirty) rows += this.writeEntry(entry);
    return rows;
  }

  /** The transaction with the last `write` is done: what was dirty is clean. */
  committed(): void {
    this.claimStored = this.claimed;
    this.doomed.clear();
    for (const entry of this.dirty) {
      entry.stored = true;
      entry.source.dirty = false;
    }
    this.dirty.clear();
  }

  /** The transaction failed: everything dirty is written again next time, in full. */
  rolledBack(): void {
    for (const entry of this.dirty) {
      entry.written.position = undefined;
      entry.written.marks.clear();
      entry.identityChanged = true;
    }
  }

  private writeEntry(entry: Entry): number {
    const { source, written } = entry;
    let rows = 0;
    for (const output of source.outputs()) {
      const progress = source.progress(output);
      const text = markText(progress);
      if (written.marks.get(output) === text) continue;
      const fields = [
        source.id,
        output,
        this.pluginOf(output),
        progress.mark,
        JSON.stringify(progress.settled),
      ] as const;
      this.statements.mark.run(...fields, checksum(...fields));
      written.marks.set(output, text);
      rows++;
    }
    const position = source.position();
    const description =
      entry.describe?.(position) ?? (written.position === position ? written.description : UNKNOWN);
    const { tailHash, size } = written.description;
    // The size as well: what is not read when a file vanishes is counted by it.
    const moved =
      written.position !== position || description.tailHash !== tailHash || description.size !== size;
    if (!entry.stored || entry.identityChanged || moved) {
      this.put(entry, position, description);
      written.position = position;
      written.description = description;
      entry.identityChanged = false;
      rows++;
    }
    return rows;
  }

  private put({ source, identity }: Entry, position: number, { tailHash, size }: SourceDescription): void {
    const { path, realPath = path, device, inode, fingerprint, fingerprintLength } = identity;
    const fields = [
      source.id,
      this.input,
      path,
      realPath,
      device,
      inode,
      fingerprint,
      fingerprintLength,
      position,
      tailHash,
      size,
    ] as const;
    this.statements.put.run(...fields, checksum(...fields));
  }
}

/** Progress whose mark stands behind all ranges that reach back to it. */
function advance(mark: number, settled: Ranges): Progress {
  const reached = settled.list.find(([from, to]) => from <= mark && to > mark)?.[1] ?? mark;
  settled.remove(0, reached);
  return { mark: reached, settled: settled.list };
}

function markText({ mark, settled }: Progress): string {
  return `${mark} ${settled.join(';')}`;
}
